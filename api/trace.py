"""The whole life of one event: the webhook that brought it, what was said of it, each device's way.

Everything is found by position: what one webhook recorded lies together in the log, and of what
came later the projections know where it is. So a trace costs the same in a log of any length.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Any, Literal, TypeAlias

import orjson
from attrs import evolve, frozen

from api.records import Records
from eventstore.cursor import Cursor
from eventstore.events import (
    ContactAliased,
    MessageEdited,
    MessageReceived,
    MessageRedacted,
    MessageRevoked,
    MessageStatusChanged,
    Reaction,
    RecordedEvent,
    WebhookDuplicated,
    WebhookReceived,
    WebhookUnparsed,
)
from eventstore.interchange import HistoryRow
from eventstore.log import EventLog
from projections.deliveries import Device
from projections.pointers import list_later, list_pointers
from projections.projection import Microseconds
from projections.trace import DeviceTrace, said_in, trace_devices

BESIDE_MAX = 500
LATER_MAX = 500
EACH_MAX = 100
"""Of one device, and each kind of event, the newest so many are looked at."""

READ_EVENTS = 1_000
_DERIVED = tuple(
    cls.type
    for cls in (
        MessageReceived,
        MessageEdited,
        MessageRevoked,
        MessageStatusChanged,
        ContactAliased,
        WebhookUnparsed,
        WebhookDuplicated,
    )
)
_FIRST: Device = ("", "")

Listed: TypeAlias = Literal["beside", "later"]


@frozen
class WebhookTrace:
    """The raw webhook, without its body, which ``/v1/audit/events`` has.

    ``delivery_id`` is the provider's id of the delivery, where it names one. ``body_sha256`` is of
    the bytes as they came. What was read from the body is None once that was erased; ``data_hash``
    and ``hash``, what the chain holds of it, stay.
    """

    position: int
    time: Microseconds
    inbox: str | None
    correlation_id: str | None
    provider: str | None
    delivery_id: str | None
    body_bytes: int | None
    body_sha256: str | None
    data_hash: str
    hash: str
    redacted: bool


@frozen
class EventTrace:
    """One event as the log has it; ``data`` is None where it was erased, or is a raw webhook's."""

    position: int
    time: Microseconds
    type: str
    inbox: str | None
    conversation: str | None
    correlation_id: str | None
    causation_id: int | None
    hash: str
    redacted: bool
    data: dict[str, Any] | None


@frozen
class Trace:
    """The life of one event of an inbox.

    ``beside`` is what the same webhook recorded beside it, ``later`` what was said of it since:
    statuses, edits, revocation, reactions, repeats with another content, erasure. ``devices`` are
    those that it was addressed to, of a page of all devices; ``next`` is where the next page
    begins, None at the end. ``truncated`` names the lists that are not whole: each has 500 events
    at most. ``cursor`` is how far the log was taken into account.
    """

    event: EventTrace
    webhook: WebhookTrace | None
    beside: list[EventTrace]
    later: list[EventTrace]
    devices: list[DeviceTrace]
    next: str | None
    truncated: list[Listed]
    cursor: Cursor


async def trace_of(
    records: Records, position: int, *, after: Device = _FIRST, limit: int
) -> Trace | None:
    """The trace of the event at a position, of ``limit`` devices after one; None if it is none.

    Only events of inboxes have one. Raises LogUnavailable, ProjectionsBehind.
    """
    log = records.log
    found = await _row(log, position)
    if found is None or found.event.inbox is None:
        return None
    traced = found.event
    raw = found if traced.type == WebhookReceived.type else await _row(log, traced.causation_id)
    if raw is not None and raw.event.type != WebhookReceived.type:
        raw = None
    beside = [] if raw is None else await _beside(log, raw.event, traced)
    later, cursor = await _later(records, traced, found.event.inbox)
    devices, following = await _devices(records, traced, after, limit)
    return Trace(
        event=_event(traced),
        webhook=None if raw is None else _webhook(raw),
        beside=[_event(event) for event in beside[:BESIDE_MAX]],
        later=[_event(event) for event in later[:LATER_MAX]],
        devices=devices,
        next=following,
        truncated=_truncated(beside=len(beside) > BESIDE_MAX, later=len(later) > LATER_MAX),
        cursor=cursor,
    )


async def _later(
    records: Records, traced: RecordedEvent, inbox: str
) -> tuple[list[RecordedEvent], Cursor]:
    """What was said of it later, one more than is shown where there is more, and as of when.

    After an erasure the record of it says where that is which names it by its id; and if there is
    anything, the id, so that what came since is found too.
    """

    async def ask(message_id: str | None) -> tuple[list[int], Cursor]:
        asked = list_later(traced.position, inbox, message_id, most=LATER_MAX + 1)
        answer = await records.projector.fetch(asked)
        return answer.rows, answer.cursor

    positions, cursor = await ask(_named_in(traced))
    later = await events_at(records.log, positions)
    named = [
        each
        for each in await events_at(records.log, _named_by_erasures(traced, later))
        if each.for_members and each.position != traced.position
    ]
    found = {each.position: each for each in (*later, *named)}
    if message_id := next(filter(None, map(_about, named)), None):
        positions, cursor = await ask(message_id)
        more = await events_at(records.log, set(positions) - found.keys())
        found |= {each.position: each for each in more}
    return [each for _, each in sorted(found.items())], cursor


def _named_by_erasures(traced: RecordedEvent, later: Iterable[RecordedEvent]) -> set[int]:
    """Where what was erased with a message is, and what was about it."""
    if traced.type != MessageReceived.type:
        return set()
    erasures = [event for event in map(said_in, later) if isinstance(event, MessageRedacted)]
    return {position for event in erasures for position in (*event.positions, *event.about)}


def _truncated(*, beside: bool, later: bool) -> list[Listed]:
    found: list[tuple[Listed, bool]] = [("beside", beside), ("later", later)]
    return [name for name, cut in found if cut]


async def _devices(
    records: Records, traced: RecordedEvent, after: Device, limit: int
) -> tuple[list[DeviceTrace], str | None]:
    """Those of a page that it was addressed to, and where the next page begins."""
    if not traced.for_members:
        return [], None
    asked = list_pointers(traced.position, after=after, limit=limit, most=EACH_MAX)
    rows = (await records.projector.fetch(asked)).rows
    history = await events_at(records.log, {at for row in rows for at in row.positions})
    following = f"{rows[-1].user}/{rows[-1].device}" if len(rows) == limit else None
    left_out = {(row.user, row.device): row.left_out for row in rows}
    devices = [
        evolve(each, left_out=left_out[each.user, each.device])
        for each in trace_devices(traced, history)
    ]
    return devices, following


async def _row(log: EventLog, position: int | None) -> HistoryRow | None:
    if position is None or position < 1:
        return None
    rows, _ = await log.history(position - 1, 1, position)
    return rows[0] if rows else None


async def _beside(log: EventLog, raw: RecordedEvent, traced: RecordedEvent) -> list[RecordedEvent]:
    """What the webhook recorded lies right behind it; what a newer parser found, beside that.

    More than ``BESIDE_MAX`` where there are more.
    """
    found: dict[int, RecordedEvent] = {}
    most = BESIDE_MAX + 2  # itself is one of them, and then there may be one too many
    for after in (raw.position, traced.position - most // 2):
        page = await log.read(
            max(after, raw.position),
            most,
            until=after + most,
            streams=[raw.stream],
            types=_DERIVED,
        )
        found |= {event.position: event for event in page if event.causation_id == raw.position}
    found.pop(traced.position, None)
    return [event for _, event in sorted(found.items())]


async def events_at(log: EventLog, positions: Iterable[int]) -> list[RecordedEvent]:
    """All of them, in order; a page of the log may be cut by its weight."""
    found: list[RecordedEvent] = []
    left = sorted(positions)
    while left and (page := await log.read_raw(left[:READ_EVENTS])):
        found += page
        left = [position for position in left if position > page[-1].position]
    return found


def _named_in(traced: RecordedEvent) -> str | None:
    """The provider's id of a message."""
    event = said_in(traced)
    return event.message_id if isinstance(event, MessageReceived) else None


def _about(recorded: RecordedEvent) -> str | None:
    """The provider's id of the message that a status, a revocation or a reaction is about."""
    match said_in(recorded):
        case MessageStatusChanged(message_id) | MessageRevoked(message_id):
            return message_id
        case MessageReceived(content=Reaction(message_id)):
            return message_id
    return None


def _event(event: RecordedEvent) -> EventTrace:
    shown = event.data is not None and event.for_members
    return EventTrace(
        event.position,
        Microseconds(event.recorded_at),
        event.type,
        event.inbox,
        event.conversation,
        event.correlation_id,
        event.causation_id,
        event.hash.hex(),
        event.data is None,
        orjson.loads(event.data) if shown and event.data is not None else None,
    )


def _webhook(row: HistoryRow) -> WebhookTrace:
    event = row.event
    said = said_in(event)
    raw = said if isinstance(said, WebhookReceived) else None
    return WebhookTrace(
        event.position,
        Microseconds(event.recorded_at),
        event.inbox,
        event.correlation_id,
        None if raw is None else raw.provider,
        None if raw is None else raw.headers.get("webhook-id"),
        None if raw is None else len(raw.body),
        None if raw is None else sha256(raw.body).hexdigest(),
        row.data_hash.hex(),
        event.hash.hex(),
        raw is None,
    )
