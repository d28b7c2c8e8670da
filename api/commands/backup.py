"""``malote backup`` and ``malote restore``: the log as one file, and back."""

from __future__ import annotations

from pathlib import Path

import click
import orjson

from api.commands.asking import ask, run
from api.commands.exits import Failed, data_folder
from eventstore.backup import BackupBroken
from eventstore.backup import restore as put_back
from eventstore.folder import FolderLocked, FolderUnfit

JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object.")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@JSON
def backup(file: Path, as_json: bool) -> None:
    """Copy the log to FILE, beside a running server or without one.

    Every event acknowledged before is in it. The receipt printed proves later, with `malote verify
    FILE --receipt …`, that the file is still what it was. The keyring is not in it: secrets stay.
    """
    # A running server has a working folder of its own.
    made = ask("backup", target=str(file.absolute()))
    if as_json:
        click.echo(orjson.dumps({"file": str(file), **made}))
        return
    click.echo(f"{file} has the events up to {made['position']:,}")
    click.echo(f"receipt {made['position']}:{made['hash']}")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@JSON
def restore(file: Path, as_json: bool) -> None:
    """Put the backup FILE in place of the data folder's log; no server may be running.

    The backup is verified first. The log gets a new epoch, so that clients that know more than the
    backup holds are told to start over; the log that was there is kept beside it.
    """
    folder = data_folder()
    try:
        head = run(put_back(file, folder))
    except (FolderLocked, FolderUnfit, BackupBroken, OSError) as trouble:
        raise Failed(str(trouble)) from None
    if as_json:
        click.echo(orjson.dumps({"position": head.position, "hash": head.hash.hex()}))
        return
    click.echo(f"{folder} has the events up to {head.position:,}, under a new epoch")
