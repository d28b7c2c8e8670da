"""``malote ledger``: every device's account, folded from the log's file, now or as of a moment."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import click
import orjson

from api.commands.exits import CannotStart, Failed, data_folder
from api.commands.screen import At
from api.file_fold import folded
from api.log_reader import LogReader
from api.moment import Moment
from api.terminal import one_line
from projections.ledger import LEDGER, Account, list_accounts
from projections.projection import to_json
from projections.projector import PositionUnknown

ACCOUNTS_MAX = 1_000_000


@click.command()
@click.option("--device", metavar="USER/DEVICE", help="This device's account only.")
@click.option("--at", type=At(), help="As of then: a position, or 2026-11-22T10:00:00Z.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def ledger(device: str | None, at: Moment | None, as_json: bool) -> None:
    """Show what each device was addressed and what became of it; a residue is a fault.

    Reads the log from its first event, beside a running server or without one: some 20,000 events a
    second. Exit: 0 all accounts balance, 1 one does not, or there is no such device.
    """
    folder = data_folder()
    try:
        with closing(LogReader(folder)) as reader:
            until = _position(reader, at or Moment())
            rows = _accounts(reader, until, device)
    except sqlite3.OperationalError as error:
        raise CannotStart(f"cannot read a log in {folder}: {error}") from None
    if device is not None and not rows:
        raise Failed(f"there was no device {device} with an account at position {until}")
    if not rows and not as_json:
        click.echo("no device had an account", err=True)
        return
    for row in rows:
        click.echo(orjson.dumps(to_json(row)) if as_json else _line(row))
    if wrong := [f"{row.user}/{row.device}" for row in rows if row.residue]:
        raise Failed(f"these accounts do not balance: {', '.join(wrong)}")


def _line(row: Account) -> str:
    """The equation, without the terms that are 0."""
    names = ("acknowledged", "outstanding", "parked", "skipped", "withdrawn", "residue")
    terms = [f"{count:,} {name}" for name in names if (count := getattr(row, name))]
    where = f"ack floor {row.ack_floor:,}{', connected' if row.connected else ''}"
    whose = one_line(f"{row.user}/{row.device}")
    return f"{whose}  {row.addressed:,} addressed = {' + '.join(terms) or '0'}  ({where})"


def _position(reader: LogReader, at: Moment) -> int:
    if at.time_us is not None:
        return reader.position_at(at.time_us)
    try:
        return at.place(reader.head().position)
    except PositionUnknown as unknown:
        raise Failed(str(unknown)) from None


def _accounts(reader: LogReader, until: int, device: str | None) -> list[Account]:
    user, _, name = (device or "").partition("/")
    asked = list_accounts((user, name) if device else None, limit=ACCOUNTS_MAX)
    with folded(reader, (LEDGER,), until) as store:
        return store.fetch(asked).rows
