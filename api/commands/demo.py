"""``malote demo``: the first thing anybody sees of Malote, and all of it real.

A server on loopback with its log in a local folder; a provider that posts signed webhooks over
HTTP; two agents with the Python client, who lose their network now and then. Every number shown was
measured in this run. At the end the log is verified against the receipts the provider was given.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import shutil
import signal
import socket
import sqlite3
import sys
import time
from pathlib import Path

import click

from api import logs
from api.commands.asking import exit_codes
from api.commands.exits import CannotStart, Failed, settings
from api.commands.serve import bind
from api.demo.display import Display, Screen
from api.demo.play import Limits, Reckoning, play
from api.demo.stage import INBOX, PROVIDER, serving
from api.house import RELEASE
from api.settings import Settings
from eventstore.folder import FolderLock, FolderLocked, log_path, prepare
from eventstore.verify import Anchor, Report, verify
from transport.server import uvicorn_config

FOLDER = Path("malote-data") / "demo"
MARK = "made-by-malote-demo"


@click.command()
@click.option("--port", type=int, help="Default: 8080, or a free one if that is taken.")
@click.option("--fresh", is_flag=True, help="Begin with an empty log; the old folder is kept.")
@click.option("--rate", type=click.FloatRange(0.1, 200), help="Webhooks a second.")
@click.option("--seed", type=int, help="The same seed is the same play.")
@click.option("--seconds", type=click.FloatRange(0.1), help="End after so long.")
@click.option("--messages", type=click.IntRange(1), help="End after so many messages.")
def demo(
    port: int | None,
    fresh: bool,
    rate: float | None,
    seed: int | None,
    seconds: float | None,
    messages: int | None,
) -> None:
    """Start a server with a simulated WhatsApp provider, and watch messages travel.

    Everything is kept in ./malote-data/demo, or in the folder that MALOTE_DATA names.
    """
    chosen = settings(data=None if "MALOTE_DATA" in os.environ else FOLDER, port=port)
    _prepare(chosen.data, fresh=fresh)
    logs.configure("error", chosen.log_format)
    listener = _bind(chosen, exact=port is not None)
    dice = random.Random(secrets.randbits(64) if seed is None else seed)  # noqa: S311 - a play
    with listener, exit_codes():
        bound = settings(data=chosen.data, host="127.0.0.1", port=listener.getsockname()[1])
        try:
            _run(listener, bound, dice, Limits(rate, seconds, messages))
        except TimeoutError as late:
            raise Failed(str(late)) from None


def _prepare(folder: Path, *, fresh: bool) -> None:
    """A folder of the demo's own: invented messages must not get into somebody's real log."""
    if fresh and folder.exists():
        _put_aside(folder)
    if log_path(folder).exists() and not (folder / MARK).exists():
        raise CannotStart(
            f"{folder} holds a log that no demo made, and the demo would write invented messages "
            "into it; name another folder with MALOTE_DATA"
        )
    prepare(folder)
    (folder / MARK).touch(mode=0o600)


def _put_aside(folder: Path) -> None:
    try:
        lock = FolderLock(folder)
    except FolderLocked as locked:
        raise CannotStart(str(locked)) from None
    kept = folder.with_name(f"{folder.name}.{time.strftime('%Y%m%d-%H%M%S')}")
    folder.rename(kept)
    lock.release()


def _bind(chosen: Settings, *, exact: bool) -> socket.socket:
    try:
        return bind(settings(data=chosen.data, host="127.0.0.1", port=chosen.port))
    except CannotStart:
        if exact:
            raise
        return bind(settings(data=chosen.data, host="127.0.0.1", port=0))


def _run(listener: socket.socket, chosen: Settings, dice: random.Random, limits: Limits) -> None:
    loop_factory = uvicorn_config(None).get_loop_factory()
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        display, reckoning = runner.run(_perform(listener, chosen, dice, limits))
    anchors = [Anchor(at, hash_, "the provider") for at, hash_ in reckoning.receipts.items()]
    report = verify(chosen.data, anchors)
    _conclude(display, chosen.data, reckoning, report)


async def _perform(
    listener: socket.socket, chosen: Settings, dice: random.Random, limits: Limits
) -> tuple[Display, Reckoning]:
    stop = asyncio.Event()
    _stop_on_signals(stop)
    display = Display(Screen(on_reader_gone=stop.set))
    display.note("malote", f"{RELEASE}, SQLite {sqlite3.sqlite_version}")
    async with serving(listener, chosen) as house:
        known = house.log.head.position - 1
        continued = f"goes on after {known:,} events" if known else "a new log"
        display.note("data", f"{chosen.data} ({continued})")
        display.note("inbox", f"{INBOX}, {PROVIDER}: POST {chosen.base_url}/webhooks/{INBOX}")
        return display, await play(house, chosen.base_url, dice, limits, display, stop)


def _stop_on_signals(stop: asyncio.Event) -> None:
    """The first asks for an end in good order, the second does not ask."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def caught() -> None:
        if stop.is_set():
            task.cancel()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, caught)


def _conclude(display: Display, folder: Path, reckoning: Reckoning, report: Report) -> None:
    verified = "yes" if report.fault is None else f"no, {report.fault.what}"
    display.end(
        f"{reckoning.events:,} events ({reckoning.messages:,} messages), "
        f"{reckoning.deliveries:,} deliveries, duplicates: {reckoning.duplicates}, "
        f"lost: {reckoning.lost}, verified: {verified}",
        well=not reckoning.lost and report.fault is None,
    )
    display.note("data", str(folder))
    display.note("look", f"MALOTE_DATA={folder} {_program()} tail   (or: verify, serve)")
    if reckoning.lost or report.fault is not None:
        raise Failed("the demo found a fault in Malote; please report it")


def _program() -> str:
    """How whoever started this can start it again: on the path, in .venv, or as a module."""
    if shutil.which("malote"):
        return "malote"
    started = Path(sys.argv[0])
    return os.path.relpath(started) if started.name == "malote" else "python -m api.commands"
