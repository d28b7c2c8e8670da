"""``malote verify``: the offline verifier of :mod:`eventstore.verify` on the data folder."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from api.commands.exits import CannotStart, data_folder
from eventstore import verify as verifier


@click.command()
@click.argument("path", type=click.Path(path_type=Path), required=False)
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A JSON file with a checkpoint, kept elsewhere; repeatable.",
)
@click.option(
    "--receipt",
    "receipts",
    multiple=True,
    help="POSITION:HASH, a cursor, or a JSON file with receipts; repeatable.",
)
@click.option(
    "--key",
    "keys",
    multiple=True,
    help="A public key that may have signed, hex or a file with it; repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="The report as one JSON object.")
def verify(
    path: Path | None,
    checkpoints: tuple[Path, ...],
    receipts: tuple[str, ...],
    keys: tuple[str, ...],
    as_json: bool,
) -> None:
    """Check the whole log: positions, times, hashes, erasures, proofs, the file itself.

    PATH is a log file, an export, or a data folder, by default that of the settings. Works beside
    a running server. Exit: 0 verified, 1 a fault (the first bad position is named), 2 usage, 3 the
    log cannot be read.
    """
    try:
        anchors = [anchor for text in receipts for anchor in verifier.read_receipt(text)]
        anchors += [anchor for file in checkpoints for anchor in verifier.read_anchors(file)]
        with _progress() as on_progress:
            trusted = [verifier.read_key(text) for text in keys]
            report = verifier.verify(
                path or data_folder(), anchors, on_progress, trusted, verifier.processors()
            )
    except verifier.AnchorMalformed as malformed:
        raise click.UsageError(str(malformed)) from None
    except verifier.CannotRead as trouble:
        raise CannotStart(str(trouble)) from None
    click.echo(json.dumps(asdict(report)) if as_json else "\n".join(verifier.describe(report)))
    sys.exit(verifier.EXIT_VERIFIED if report.fault is None else verifier.EXIT_FAULT)


@contextmanager
def _progress() -> Iterator[verifier.Progress | None]:
    """A bar on standard error where that is a terminal, nothing elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = (TextColumn("verifying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=console, transient=True)
    task = progress.add_task("events", total=None)

    def show(done: int, total: int) -> None:
        progress.start()  # its thread, only now: the verifier forks before it reports
        progress.update(task, completed=done, total=total)

    try:
        yield show
    finally:
        progress.stop()
