"""``malote sync``: follow an inbox from a terminal or a script, with the Python client.

It is a client like any other: it needs a token and not the data folder, so it runs anywhere. Its
cursor is kept in a file; what was printed before a crash may be printed again, and nothing is left
out silently: ``reset`` and ``skipped`` are lines of their own.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import sys
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import IO

import click
import orjson

from api.commands.asking import run
from api.commands.exits import Failed, settings
from api.terminal import fit, one_line
from transport.client import Inbox, connect
from transport.client_errors import ClientError
from transport.client_session import State
from transport.cursor_store import CursorStore, MemoryCursorStore, cursor_file
from transport.frames import Reset, Skipped
from transport.inbox_event import InboxEvent

SAID_CHARS_MAX = 200
INBOX_CELLS, TYPE_CELLS = 12, 23


@click.command()
@click.option("--url", help="The server; default: as MALOTE_HOST and MALOTE_PORT say.")
@click.option("--token-file", type=click.File(), help="Default: the variable MALOTE_TOKEN.")
@click.option("--device", default="terminal", show_default=True, help="One name a program.")
@click.option("--cursor", type=click.Path(dir_okay=False, path_type=Path), help="Keep it here.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--once", is_flag=True, help="End when everything up to now was printed.")
def sync(
    url: str | None,
    token_file: IO[str] | None,
    device: str,
    cursor: Path | None,
    as_json: bool,
    once: bool,
) -> None:
    """Follow an inbox: print its events as they come, across restarts of either side.

    Without --cursor the server's record of what DEVICE acknowledged decides where to begin; a new
    device begins now. A token is never taken from the command line, where others could read it.
    """
    token = (token_file.read() if token_file else os.environ.get("MALOTE_TOKEN", "")).strip()
    if not token:
        raise click.UsageError("a token is needed: MALOTE_TOKEN, or --token-file")
    server = url or settings().base_url
    printer = Printer(as_json=as_json)
    try:
        with cursor_file(cursor) if cursor else nullcontext(MemoryCursorStore()) as store:
            run(_follow(server, token, device, store, printer, once=once))
    except ValueError as wrong:
        raise click.UsageError(str(wrong)) from None
    except (ClientError, ssl.SSLError) as stopped:
        raise Failed(str(stopped)) from None
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        # Whoever read us has enough. Python flushes once more at its exit; give it nowhere to fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


async def _follow(
    url: str, token: str, device: str, store: CursorStore, printer: Printer, *, once: bool
) -> None:
    async with connect(
        url,
        token,
        device=device,
        store=store,
        on_reset=printer.reset,
        on_skipped=printer.skipped,
        on_state=lambda state: printer.state(state, inbox),
    ) as inbox:
        caught_up = asyncio.create_task(inbox.caught_up()) if once else None
        try:
            while (event := await _next(inbox, caught_up)) is not None:
                printer.event(event)
                inbox.done()
        finally:
            if caught_up is not None:
                caught_up.cancel()
                await asyncio.wait({caught_up})


async def _next(inbox: Inbox, caught_up: asyncio.Task[None] | None) -> InboxEvent | None:
    """The next event; None where we have caught up and none is left."""
    if caught_up is None:
        return await anext(inbox)
    coming = asyncio.create_task(anext(inbox))
    try:
        await asyncio.wait({coming, caught_up}, return_when=asyncio.FIRST_COMPLETED)
        for _ in range(2):  # what is received already, it takes in its next turn
            await asyncio.sleep(0)
    finally:
        coming.cancel()
    with suppress(asyncio.CancelledError):
        return await coming
    caught_up.result()
    return None


class Printer:
    """Events on standard output; how the connection stands on standard error, for people."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def event(self, event: InboxEvent) -> None:
        """One line."""
        self._line(_json(event) if self._as_json else _human(event))

    def reset(self, reset: Reset) -> None:
        """The server's history is another one."""
        self._odd("reset", reset.reason, str(reset.cursor))

    def skipped(self, skipped: Skipped) -> None:
        """Events that will not come here."""
        self._odd("skipped", skipped.reason, str(skipped.cursor), skipped.count)

    def state(self, state: State, inbox: Inbox) -> None:
        """A change of the connection."""
        if sys.stderr.isatty() and state is not State.CLOSED:
            end = inbox.last_end
            why = f": {one_line(end.reason)}" if end and state is State.RECONNECTING else ""
            click.echo(f"{state.value.replace('_', ' ')}{why}", err=True)

    def _odd(self, kind: str, reason: str, cursor: str, count: int | None = None) -> None:
        if self._as_json:
            told = {"type": kind, "reason": reason, "cursor": cursor, "count": count}
            self._line(orjson.dumps(told).decode())
        else:
            many = "" if count is None else f" {count} events, still in the history"
            self._line(f"-- {kind}{many} ({reason}); on from {cursor}")

    def _line(self, text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def _json(event: InboxEvent) -> str:
    told = {
        "position": event.position,
        "cursor": str(event.cursor),
        "type": event.type,
        "version": event.version,
        "time": event.time.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "inbox": event.inbox,
        "conversation": event.conversation,
        "data": event.data,
    }
    return orjson.dumps(told).decode()


def _human(event: InboxEvent) -> str:
    at = event.time.astimezone()
    line = (
        f"{at:%H:%M:%S} {event.position:>8} {fit(one_line(event.inbox), INBOX_CELLS)} "
        f"{fit(one_line(event.type), TYPE_CELLS)} {one_line(_said(event))}"
    )
    return fit(line, shutil.get_terminal_size().columns).rstrip() if sys.stdout.isatty() else line


def _said(event: InboxEvent) -> str:
    """Who and what, where it is a message with text; else the data as it is."""
    if event.data is None:
        return "(erased)"
    contact, content = event.data.get("contact"), event.data.get("content")
    if isinstance(contact, dict) and isinstance(content, dict):
        text = content.get("body") or content.get("text") or content.get("type")
        return f"{contact.get('name') or contact.get('id')}: {text}"[:SAID_CHARS_MAX]
    return orjson.dumps(event.data).decode()[:SAID_CHARS_MAX]
