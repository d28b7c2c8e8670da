"""``malote trace``: one webhook, found again in log lines, in the history, and in what came of it.

It works beside a running server or without one.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any

import click
import orjson
from rich.console import Console
from rich.text import Text

from api.commands.asking import CannotStart, Failed, data_folder
from api.commands.tail import columns
from api.log_reader import LogReader
from api.terminal import one_line
from eventstore.codec import decode_recorded, encode_recorded
from eventstore.events import DeliveryAcknowledged, DeliveryParked, RecordedEvent
from projections.access import ACCESS, Access, everything, snapshot
from projections.deliveries import device_of
from projections.store import MEMORY, Store

EVENTS_MAX = 2_000
LINE_CHARS_MAX = 400

# No index over these: each would cost a quarter of the append rate, and this is asked rarely.
_OF_REQUEST = "correlation_id = ?1"
_OF_MESSAGE = "type = 'message.received' AND CAST(data AS TEXT) ->> 'message_id' = ?1"
_AT = "position = ?1"
_ACCESS = f"type IN ({', '.join(repr(name) for name in sorted(ACCESS.types))}) AND position < ?1"
# Each device's first acknowledgement, or parking, of one position.
_COVERING = """position > ?1 AND (
    type = 'delivery.acknowledged' AND CAST(data AS TEXT) ->> 'after' < ?1
        AND CAST(data AS TEXT) ->> 'until' >= ?1
    OR type = 'delivery.parked' AND CAST(data AS TEXT) ->> 'position' = ?1)"""


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

    Shows the log lines that name it, every event its request recorded, and for each message when
    each device acknowledged it. Exit: 0 found, 1 not found.
    """
    folder = data_folder()
    try:
        with closing(LogReader(folder)) as reader:
            events = _events(reader, ident)
            outcomes = list(_outcomes(reader, [event for event in events if event.for_members]))
            epoch = reader.epoch
    except sqlite3.OperationalError as error:
        raise CannotStart(f"cannot read a log in {folder}: {error}") from None
    names = {ident, *(event.correlation_id for event in events if event.correlation_id)}
    found = [*_lines_that_name(names, lines or ())]
    if not events and not found:
        raise Failed(f"nothing is known of {one_line(ident)}")
    (_print_json if as_json else _print)(found, events, outcomes, epoch)


def _events(reader: LogReader, ident: str) -> list[RecordedEvent]:
    """All that the request recorded whose id this is, or which recorded this message."""
    found = reader.where(_OF_REQUEST, ident, EVENTS_MAX)
    if found:
        return found
    at = reader.where(_AT, int(ident), 1) if ident.isdecimal() and len(ident) < 19 else []
    first = at or reader.where(_OF_MESSAGE, ident, 1)
    if not first or first[0].correlation_id is None:
        return first
    return reader.where(_OF_REQUEST, first[0].correlation_id, EVENTS_MAX)


def _outcomes(
    reader: LogReader, messages: Sequence[RecordedEvent]
) -> Iterator[tuple[RecordedEvent, RecordedEvent]]:
    """Each message with each device's first word on it: acknowledged, or put aside."""
    if not messages:
        return
    access = _access_before(reader, messages[0].position)
    for message in messages:
        blind = {
            user
            for user, member in access.members.items()
            if member.role == "member" and message.inbox not in member.inboxes
        }
        heard: set[str] = set()
        for outcome in reader.where(_COVERING, message.position, EVENTS_MAX):
            whose = device_of(outcome.stream)
            # An ack range of somebody without access to the inbox passed the message by.
            if whose is not None and whose[0] not in blind and outcome.stream not in heard:
                heard.add(outcome.stream)
                yield message, outcome


def _access_before(reader: LogReader, position: int) -> Access:
    """Who could see what then; of users of your own backend the log does not know it."""
    store = Store(MEMORY, [ACCESS], reader.epoch)
    try:
        store.fold(reader.where(_ACCESS, position, sys.maxsize), [ACCESS.name])
        return snapshot(store.fetch(everything()).rows)
    finally:
        store.close()


def _lines_that_name(names: set[str], lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        if any(name in line for name in names):
            yield line.rstrip("\n")


def _print(
    lines: Sequence[str],
    events: Sequence[RecordedEvent],
    outcomes: Sequence[tuple[RecordedEvent, RecordedEvent]],
    _: str,
) -> None:
    console = Console(highlight=False, soft_wrap=True, markup=False)
    for title, texts in (
        ("log lines", [Text(one_line(line)[:LINE_CHARS_MAX]) for line in lines]),
        ("events", [Text.assemble(columns(event), _envelope(event)) for event in events]),
        ("what became of it", [_became(event, outcome) for event, outcome in outcomes]),
    ):
        console.print(Text(title, "bold"))
        for text in texts or [Text("none", "dim")]:
            console.print(Text.assemble("  ", text))


def _envelope(event: RecordedEvent) -> Text:
    cause = "" if event.causation_id is None else f" · caused by {event.causation_id}"
    return Text(f"  [{event.correlation_id or '-'}{cause}]", "dim")


def _became(event: RecordedEvent, outcome: RecordedEvent) -> Text:
    took_ms = (outcome.recorded_at - event.recorded_at) / 1000
    return Text(
        f"{event.position} {_what(outcome)} {one_line(outcome.stream.removeprefix('client:'))}"
        f" after {took_ms:,.1f} ms, at position {outcome.position}"
    )


def _what(outcome: RecordedEvent) -> str:
    match decode_recorded(outcome):
        case DeliveryAcknowledged():
            return "acknowledged by"
        case DeliveryParked():
            return "put aside for"
        case _:
            return outcome.type


def _print_json(
    lines: Sequence[str],
    events: Sequence[RecordedEvent],
    outcomes: Sequence[tuple[RecordedEvent, RecordedEvent]],
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
    for event, outcome in outcomes:
        click.echo(orjson.dumps(_outcome_row(event, outcome)))


def _outcome_row(event: RecordedEvent, outcome: RecordedEvent) -> dict[str, Any]:
    return {
        "found": outcome.type,
        "position": event.position,
        "device": outcome.stream.removeprefix("client:"),
        "at": outcome.position,
        "after_us": outcome.recorded_at - event.recorded_at,
    }
