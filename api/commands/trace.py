"""``malote trace``: one webhook, found again in log lines, in the history, and in what came of it.

It works beside a running server or without one.
"""

# ruff: noqa: S608 - SQL is put together from constants of our own files; values are always bound

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import TypeAlias

import click
import orjson
from attrs import frozen
from rich.console import Console
from rich.text import Text

from api.commands.exits import CannotStart, Failed, data_folder
from api.commands.tail import columns
from api.log_reader import LogReader
from api.terminal import one_line
from eventstore.codec import decode_recorded, encode_recorded
from eventstore.draft import idempotency_key
from eventstore.events import InboxCreated, RecordedEvent
from projections.projection import to_json
from projections.trace import HISTORY_TYPES, DeviceTrace, Step, trace_devices

EVENTS_MAX = 2_000
TRACED_MAX = 50
LINE_CHARS_MAX = 400

# No index over these: each would cost a quarter of the append rate, and this is asked rarely.
_OF_REQUEST = "correlation_id = ?1"
_OF_TYPE = "type = ?1"
_AT = "position = ?1"
_SAYS = "CAST(data AS TEXT) ->> '{}'"
_HISTORY = f"""type IN ({", ".join(repr(name) for name in sorted(HISTORY_TYPES))})
    OR position > ?1 AND (
        type IN ('delivery.acknowledged', 'queue.trimmed')
            AND {_SAYS.format("after")} < ?1 AND {_SAYS.format("until")} >= ?1
        OR type = 'delivery.retried' AND {_SAYS.format("after")} < ?1
        OR type = 'delivery.parked' AND {_SAYS.format("position")} = ?1
        OR type GLOB 'delivery.replay*' AND EXISTS (
            SELECT 1 FROM json_each(CAST(data AS TEXT), '$.positions') WHERE value = ?1))"""


Ways: TypeAlias = list[tuple[RecordedEvent, DeviceTrace]]
"""Events, each with its way to one device that it was addressed to."""


@frozen
class LeftOut:
    """What there is and is not shown.

    ``events`` is whether the request recorded more of them, ``not_traced`` of how many messages and
    the like it is not told what became of them.
    """

    events: bool
    not_traced: int

    @classmethod
    def of(cls, events: Sequence[RecordedEvent]) -> LeftOut:
        """Of those that were found, one more than are shown where there are more."""
        seen = sum(event.for_members for event in events[:EVENTS_MAX])
        return cls(len(events) > EVENTS_MAX, max(0, seen - TRACED_MAX))

    @property
    def words(self) -> Iterator[str]:
        """It, for a person."""
        if self.events:
            yield f"the request recorded more than these {EVENTS_MAX:,} events"
        if self.not_traced:
            yield f"what became of {self.not_traced:,} more is not shown: ask for their positions"


@click.command()
@click.argument("ident", metavar="ID")
@click.option(
    "--log",
    "lines",
    type=click.File("r", errors="replace"),
    help="The server's log lines, a file or - for standard input, to look in too.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def trace(ident: str, lines: Iterable[str] | None, as_json: bool) -> None:
    """Find what became of ID: a request id, a provider's message id, or a position.

    Shows the log lines that name it, the events its request recorded, and for each of them, up to
    50, what became of it for each device it was addressed to; and says what is left out. Exit: 0
    found, 1 not found.
    """
    folder = data_folder()
    try:
        with closing(LogReader(folder)) as reader:
            events = _events(reader, ident)
            left_out = LeftOut.of(events)
            events = events[:EVENTS_MAX]
            ways = list(_ways(reader, events))
            epoch = reader.epoch
    except sqlite3.OperationalError as error:
        raise CannotStart(f"cannot read a log in {folder}: {error}") from None
    names = {ident, *(event.correlation_id for event in events if event.correlation_id)}
    found = [*_lines_that_name(names, lines or ())]
    if not events and not found:
        raise Failed(f"nothing is known of {one_line(ident)}")
    (_print_json if as_json else _print)(found, events, ways, left_out, epoch)


def _events(reader: LogReader, ident: str) -> list[RecordedEvent]:
    """All that the request recorded whose id this is, or which recorded this message."""
    if found := list(reader.where(_OF_REQUEST, ident, EVENTS_MAX + 1)):
        return found
    at = int(ident) if ident.isdecimal() and len(ident) < 19 else _of_message(reader, ident)
    first = [] if at is None else list(reader.where(_AT, at, 1))
    if not first or first[0].correlation_id is None:
        return first
    return list(reader.where(_OF_REQUEST, first[0].correlation_id, EVENTS_MAX + 1))


def _of_message(reader: LogReader, message_id: str) -> int | None:
    """By the idempotency keys, which know it also when the message was erased."""
    for created in reader.where(_OF_TYPE, InboxCreated.type, EVENTS_MAX):
        event = decode_recorded(created)
        assert isinstance(event, InboxCreated)
        key = idempotency_key(event.inbox, "message", message_id)
        if (position := reader.keyed(key)) is not None:
            return position
    return None


def _ways(
    reader: LogReader, events: Sequence[RecordedEvent]
) -> Iterator[tuple[RecordedEvent, DeviceTrace]]:
    seen = [event for event in events if event.for_members]
    for event in seen[:TRACED_MAX]:
        for device in trace_devices(event, reader.where(_HISTORY, event.position, sys.maxsize)):
            yield event, device


def _lines_that_name(names: set[str], lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        if any(name in line for name in names):
            yield line.rstrip("\n")


def _print(
    lines: Sequence[str],
    events: Sequence[RecordedEvent],
    ways: Ways,
    left_out: LeftOut,
    _: str,
) -> None:
    console = Console(highlight=False, soft_wrap=True, markup=False)
    for title, texts in (
        ("log lines", [Text(one_line(line)[:LINE_CHARS_MAX]) for line in lines]),
        ("events", [Text.assemble(columns(event), _envelope(event)) for event in events]),
        ("what became of it", [_became(event, way) for event, way in ways]),
    ):
        console.print(Text(title, "bold"))
        for text in texts or [Text("none", "dim")]:
            console.print(Text.assemble("  ", text))
    for words in left_out.words:
        console.print(Text(words, "dim"))


def _envelope(event: RecordedEvent) -> Text:
    cause = "" if event.causation_id is None else f" · caused by {event.causation_id}"
    return Text(f"  [{event.correlation_id or '-'}{cause}]", "dim")


def _became(event: RecordedEvent, way: DeviceTrace) -> Text:
    words = f"{event.position} {_OUTCOMES[way.outcome]} {one_line(f'{way.user}/{way.device}')}"
    if way.took_us is not None:
        words += f" after {way.took_us / 1000:,.1f} ms, at position {way.position}"
    between = [
        _stepped(step) for step in way.steps if step.position not in (event.position, way.position)
    ]
    return Text.assemble(words, ("".join(f" · {step}" for step in between), "dim"))


_OUTCOMES = {
    "outstanding": "not acknowledged yet by",
    "acknowledged": "acknowledged by",
    "parked": "put aside for",
    "skipped": "skipped for",
    "withdrawn": "withdrawn from",
}


def _stepped(step: Step) -> str:
    why = step.reason or step.by
    return f"{step.step.replace('_', ' ')} at {step.position}" + (
        f" ({one_line(why)})" if why else ""
    )


def _print_json(
    lines: Sequence[str],
    events: Sequence[RecordedEvent],
    ways: Ways,
    left_out: LeftOut,
    epoch: str,
) -> None:
    for line in lines:
        click.echo(orjson.dumps({"found": "log line", "line": line}))
    for event in events:
        envelope = {
            "found": "event",
            "stream": event.stream,
            "correlation_id": event.correlation_id,
            "causation_id": event.causation_id,
        }
        click.echo(orjson.dumps(envelope)[:-1] + b"," + encode_recorded(event, epoch)[1:])
    for event, way in ways:
        click.echo(orjson.dumps({"found": "device", "event": event.position, **to_json(way)}))
    if any(left_out.words):
        click.echo(orjson.dumps({"found": "left out", **to_json(left_out)}))
