"""``malote replay``: the history again, at the speed at which it happened, or faster."""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import click

from api.commands.exits import CannotStart, data_folder
from api.commands.tail import Shown, human_line, json_line
from api.log_reader import LogReader
from api.routes.query import time_us
from eventstore.events import RecordedEvent


class Moment(click.ParamType[int]):
    """A time as RFC 3339; µs since the Unix epoch."""

    name = "time"

    def convert(
        self, value: str | int, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Read it; anything else is a usage error."""
        if isinstance(value, int):
            return value
        try:
            return time_us(value)
        except ValueError as wrong:
            self.fail(str(wrong), param, ctx)


@click.command()
@click.option("--after", default=0, show_default=True, help="Begin after this position.")
@click.option("--since", type=Moment(), help="Begin at this time, such as 2026-11-22T10:00:00Z.")
@click.option("--until", type=int, help="End with this position.")
@click.option(
    "--speed", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True
)
@click.option("--instant", is_flag=True, help="Without any pause.")
@click.option("--max-pause", type=click.FloatRange(min=0), help="Seconds of silence at most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def replay(
    after: int,
    since: int | None,
    until: int | None,
    speed: float,
    instant: bool,
    max_pause: float | None,
    as_json: bool,
) -> None:
    """Show the events of the log as they happened, with the pauses between them.

    Nothing is done again: it is the history that moves, not the world.
    """
    folder = data_folder()
    pauses = Pauses(speed, max_pause, time.sleep)
    try:
        with closing(LogReader(folder)) as reader:
            if since is not None:
                after = max(after, reader.position_at(since - 1))
            events = _events(reader, after, until)
            shown = json_line if as_json else human_line()
            _play(events, reader.epoch, shown, None if instant else pauses)
    except sqlite3.OperationalError as error:
        raise CannotStart(f"cannot read a log in {Path(folder)}: {error}") from None
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Pauses:
    """Waits between two events as long as there was between them, divided by the speed."""

    def __init__(
        self, speed: float, most_s: float | None, sleep: Callable[[float], object]
    ) -> None:
        self._speed = speed
        self._most_s = most_s
        self._sleep = sleep
        self._last_us: int | None = None

    def before(self, recorded_at: int) -> None:
        """Wait until it is time for the event recorded then (µs)."""
        if self._last_us is not None:
            pause_s = (recorded_at - self._last_us) / 1_000_000 / self._speed
            self._sleep(pause_s if self._most_s is None else min(pause_s, self._most_s))
        self._last_us = recorded_at


def _events(reader: LogReader, after: int, until: int | None) -> Iterator[RecordedEvent]:
    while page := list(reader.after(after)):
        for event in page:
            if until is not None and event.position > until:
                return
            yield event
        after = page[-1].position


def _play(events: Iterator[RecordedEvent], epoch: str, shown: Shown, pauses: Pauses | None) -> None:
    for event in events:
        if pauses is not None:
            pauses.before(event.recorded_at)
        sys.stdout.write(shown(event, epoch) + "\n")
        if pauses is not None:
            sys.stdout.flush()
    sys.stdout.flush()
