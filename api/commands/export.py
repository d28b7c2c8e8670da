"""``malote export`` and ``malote import``: the log as lines, and a log made of them."""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import click

from api.commands.exits import CannotStart, Failed, data_folder
from eventstore.folder import FolderLocked, FolderUnfit, log_path
from eventstore.interchange import FORMATS
from eventstore.transfer import ImportRefused, import_log
from eventstore.transfer import export as export_lines


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=False), required=False)
@click.option("--format", "form", type=click.Choice(list(FORMATS)), default="ndjson")
@click.option("--after", default=0, show_default=True, help="Begin after this position.")
@click.option("--until", type=int, help="End with this position; default: all there is.")
def export(file: Path | None, form: str, after: int, until: int | None) -> None:
    """Write the history to FILE or standard output, one event a line.

    Works beside a running server. `malote verify FILE` checks an export of everything; from NDJSON
    a log can be made again, with `malote import`. Erased content is not in it; what is erased
    later stays in it.
    """
    path = log_path(data_folder())
    try:
        with ExitStack() as stack:
            target: BinaryIO = sys.stdout.buffer
            if file is not None:
                target = stack.enter_context(os.fdopen(_private(file), "wb"))
            for line in export_lines(path, form, after, until):
                target.write(line)
            target.flush()
    except sqlite3.Error as error:
        raise CannotStart(f"cannot read a log in {path.parent}: {error}") from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as trouble:
        raise Failed(f"{file}: {trouble.strerror}") from None


def _private(file: Path) -> int:
    return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)


@click.command(name="import")
@click.argument("file", type=click.File("rb"))
def import_(file: BinaryIO) -> None:
    """Make a log of the NDJSON export FILE (- is standard input), in a data folder without one.

    Every line and every link of the chain is checked first. Positions, times and hashes are the
    same, and so are the proofs that were kept; the epoch is a new one. Secrets and tokens are not
    in an export: inboxes and users are there, and need new ones.
    """
    folder = data_folder()
    try:
        head = import_log(file, folder)
    except (ImportRefused, FolderLocked, FolderUnfit, OSError) as trouble:
        raise Failed(str(trouble)) from None
    click.echo(f"{folder} has the events up to {head.position:,}, under a new epoch")
    click.echo(f"receipt {head.position}:{head.hash.hex()}")
