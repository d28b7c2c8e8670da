"""``malote tail``: the log, one event a line, beside a running server or without one."""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import TypeAlias

import click
import orjson
from cattrs.errors import CattrsError
from rich.console import Console
from rich.text import Text

from api.commands.exits import CannotStart, data_folder
from api.log_reader import LogReader
from api.terminal import fit, one_line, summary
from eventstore.codec import EventUnknown, decode_recorded, encode_recorded
from eventstore.events import RecordedEvent

POLL_S = 0.1
STREAM_CELLS, TYPE_CELLS = 22, 23

Shown: TypeAlias = Callable[[RecordedEvent, str], str]
"""An event and the log's epoch to a line without its end."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--after", default=0, show_default=True, help="Begin after this position.")
@click.option("--follow", "-f", is_flag=True, help="Wait for what comes, until Ctrl-C.")
def tail(as_json: bool, after: int, follow: bool) -> None:
    """Show the events of the log, one a line."""
    folder = data_folder()
    try:
        with closing(LogReader(folder)) as reader:
            _copy(reader, after, follow, json_line if as_json else human_line())
    except sqlite3.OperationalError as error:
        raise CannotStart(f"cannot read a log in {folder}: {error}") from None
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        # Whoever read us has enough. Python flushes once more at its exit; give it nowhere to fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _copy(reader: LogReader, after: int, follow: bool, shown: Shown) -> None:
    while True:
        found = 0
        for event in reader.after(after):
            sys.stdout.write(shown(event, reader.epoch) + "\n")
            after, found = event.position, found + 1
        if found:
            continue
        sys.stdout.flush()
        if not follow:
            return
        time.sleep(POLL_S)


def json_line(event: RecordedEvent, epoch: str) -> str:
    """The event object with its stream, for programs."""
    # The stream in front, spliced in like the data: nothing is decoded on the way through.
    stream = orjson.dumps(event.stream)
    return (b'{"stream":%b,%b' % (stream, encode_recorded(event, epoch)[1:])).decode()


def human_line() -> Shown:
    """Aligned columns, cut to the terminal where it is one."""
    console = Console(highlight=False, soft_wrap=True)
    width = console.width if console.is_terminal else None

    def shown(event: RecordedEvent, _: str) -> str:
        line = columns(event)
        if width is not None:
            line.truncate(width, overflow="ellipsis")
        with console.capture() as capture:
            console.print(line, end="")
        return capture.get()

    return shown


def columns(event: RecordedEvent) -> Text:
    """Time, position, stream, type and what it says, aligned."""
    at = datetime.fromtimestamp(event.recorded_at / 1_000_000, UTC).astimezone()
    return Text.assemble(
        (f"{at:%H:%M:%S}.{at.microsecond // 1000:03d}", "dim"),
        f" {event.position:>8} ",
        (fit(one_line(event.stream), STREAM_CELLS), "cyan"),
        " ",
        (fit(event.type, TYPE_CELLS), _STYLES.get(event.type.partition(".")[0], "dim")),
        f" {_said(event)}",
    )


_STYLES = {"message": "bold", "contact": "bold", "conversation": "bold", "webhook": ""}


def _said(event: RecordedEvent) -> str:
    try:
        decoded = decode_recorded(event)
    except (EventUnknown, CattrsError, ValueError, TypeError, KeyError):
        # Of a newer release: the tail shows what is there, it does not judge.
        return one_line((event.data or b"")[:200].decode(errors="replace"))
    return "(erased)" if decoded is None else summary(decoded)
