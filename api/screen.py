"""What a user's devices had of the inbox at a moment, as they themselves had acknowledged it.

A device acknowledges what its application has handled, up to a position: its ack floor. So what it
showed is the inbox as of its floor, less what was never sent to it (skipped) or put aside; and what
came after that was outstanding. ``docs/auditors.md`` says what that proves and what it does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

from attrs import frozen

from api.records import Records
from api.trace import events_at
from eventstore.cursor import Cursor
from eventstore.events import (
    ClientConnected,
    ClientDisconnected,
    DeliveryAcknowledged,
    DeviceExpired,
    Event,
    QueueTrimmed,
    RecordedEvent,
)
from projections.connections import ABNORMAL
from projections.conversations import Conversation, get_conversation, list_conversations
from projections.deliveries import Device, within
from projections.messages import Message, list_messages
from projections.pointers import DeviceAt, devices_at, list_pointers_of
from projections.projection import Microseconds
from projections.trace import DeviceTrace, Outcome, said_in, trace_devices

OUTSTANDING_MAX = 1_000
LISTED_MAX = 100

How: TypeAlias = Outcome | Literal["loaded"]


@frozen
class Link:
    """A device's last session then. ``ended`` is None while it was connected."""

    session: str
    since: Microseconds
    position: int
    ended: Microseconds | None
    code: int | None
    reason: str | None


@frozen
class Settled:
    """A range of positions that a device acknowledged, or that it was never sent, and why."""

    position: int
    time: Microseconds
    after: int
    until: int
    count: int
    reason: str | None


@frozen
class Waiting:
    """An event that the device had not acknowledged, and what had become of it by then."""

    position: int
    time: Microseconds
    type: str
    inbox: str | None
    conversation: str | None
    outcome: How


@frozen
class Outstanding:
    """What lay beyond the ack floor: how many events (1,000 at most), and the first of them."""

    count: int
    events: list[Waiting]


@frozen
class Shown:
    """A message below the ack floor, as of that floor, and how the device came to have it.

    ``acknowledged`` by ``session`` at ``position``, or put aside, skipped, withdrawn there; or
    ``loaded`` with the conversations, because it is older than the device or than its access.
    """

    message: Message
    how: How
    position: int | None
    time: Microseconds | None


@frozen
class DeviceScreen:
    """One device at a moment. ``connected`` is whether it was, ``link`` its last session.

    ``ack_floor`` is the position as of which ``conversations`` and ``messages`` are, ``floor_time``
    when that was recorded. ``inboxes`` are those its last session was given; None of a release that
    did not say, of which nothing is shown. ``messages`` is None where no conversation was asked
    for.
    """

    device: str
    connected: bool
    link: Link
    inboxes: list[str] | None
    ack_floor: int
    floor_time: Microseconds | None
    last_ack: Settled | None
    last_skip: Settled | None
    outstanding: Outstanding
    conversations: list[Conversation]
    messages: list[Shown] | None


@frozen
class Screen:
    """What a user's devices showed at a position. ``next`` is where the next page of them begins.

    ``cursor`` is how far the log was known when it was asked.
    """

    user: str
    position: int
    time: Microseconds | None
    devices: list[DeviceScreen]
    next: str | None
    cursor: Cursor


@frozen
class View:
    """What of it is wanted: the newest conversations, or the newest messages of one."""

    inboxes: frozenset[str]
    conversation: str | None = None
    limit: int = 50
    before: int | None = None


async def screen_of(
    records: Records,
    user: str,
    position: int,
    view: View,
    *,
    device: str | None = None,
    after: str | None = None,
    devices: int,
) -> Screen:
    """A page of a user's devices, or one of them, at a position of the log.

    Raises LogUnavailable, ProjectionsBehind.
    """
    await records.projector.wait_for(position)
    asked = devices_at(user, position, device=device, after=after, limit=devices)
    answer = await records.projector.fetch(asked)
    here = [row for row in answer.rows if row.began is not None]
    found = [await _device(records, user, row, position, view) for row in here]
    at = await records.log.recorded_at(position)
    return Screen(
        user,
        position,
        None if at is None else Microseconds(at),
        [each for each in found if each is not None],
        answer.rows[-1].device if len(answer.rows) == devices else None,
        answer.cursor,
    )


async def _device(
    records: Records, user: str, row: DeviceAt, position: int, view: View
) -> DeviceScreen | None:
    events = {event.position: event for event in await events_at(records.log, row.positions)}
    opened = _said(events, row.opened)
    if not isinstance(opened, ClientConnected):
        return None
    acked, skipped = _settled(events, row.acked), _settled(events, row.skipped)
    floor = max([_start(events, row.began), *(each.until for each in (acked, skipped) if each)])
    link = _link(events, row, opened)
    given = None if opened.inboxes is None else frozenset(opened.inboxes) & view.inboxes
    whose, seen = (user, row.device), given or frozenset()
    at = await records.log.recorded_at(floor)
    return DeviceScreen(
        device=row.device,
        connected=link.ended is None,
        link=link,
        inboxes=None if given is None else sorted(given),
        ack_floor=floor,
        floor_time=None if at is None else Microseconds(at),
        last_ack=acked,
        last_skip=skipped,
        outstanding=await _outstanding(records, whose, seen, floor, position),
        conversations=await _conversations(records, seen, floor, view),
        messages=await _messages(records, whose, seen, floor, position, view),
    )


def _said(events: Mapping[int, RecordedEvent], position: int | None) -> Event | None:
    recorded = None if position is None else events.get(position)
    return None if recorded is None else said_in(recorded)


def _start(events: Mapping[int, RecordedEvent], began: int | None) -> int:
    """Where the device began: with what it loaded then."""
    event = _said(events, began)
    if began is None or not isinstance(event, ClientConnected):
        return 0
    return within(event.position, events[began])


def _settled(events: Mapping[int, RecordedEvent], position: int | None) -> Settled | None:
    event = _said(events, position)
    if position is None or not isinstance(
        event, DeliveryAcknowledged | QueueTrimmed | DeviceExpired
    ):
        return None
    recorded = events[position]
    match event:
        case QueueTrimmed():
            reason: str | None = event.reason
        case DeviceExpired():
            reason = "expired"
        case _:
            reason = None
    until, time = within(event.until, recorded), Microseconds(recorded.recorded_at)
    return Settled(position, time, event.after, until, event.count, reason)


def _link(events: Mapping[int, RecordedEvent], row: DeviceAt, opened: ClientConnected) -> Link:
    assert row.opened is not None
    since = Microseconds(events[row.opened].recorded_at)
    end = min((at for at in (row.closed, row.restarted) if at is not None), default=None)
    if end is None:
        return Link(opened.session, since, row.opened, None, None, None)
    ended, event = Microseconds(events[end].recorded_at), _said(events, end)
    if isinstance(event, ClientDisconnected):
        return Link(opened.session, since, row.opened, ended, event.code, event.reason)
    return Link(opened.session, since, row.opened, ended, ABNORMAL, "server_restarted")


async def _conversations(
    records: Records, inboxes: frozenset[str], floor: int, view: View
) -> list[Conversation]:
    if view.conversation is None:
        asked = list_conversations(inboxes, limit=view.limit, before=view.before)
    else:
        asked = get_conversation(inboxes, view.conversation)
    return (await records.projector.fetch_as_of(floor, asked)).rows


async def _messages(
    records: Records,
    device: Device,
    inboxes: frozenset[str],
    floor: int,
    position: int,
    view: View,
) -> list[Shown] | None:
    if view.conversation is None:
        return None
    asked = list_messages(inboxes, view.conversation, limit=view.limit, before=view.before)
    rows = (await records.projector.fetch_as_of(floor, asked)).rows
    ways = await _ways(records, device, [row.position for row in rows], position)
    return [
        Shown(row, "loaded", None, None)
        if (way := ways.get(row.position)) is None
        else Shown(row, way.outcome, way.position, way.time)
        for row in rows
    ]


async def _outstanding(
    records: Records, device: Device, inboxes: frozenset[str], floor: int, position: int
) -> Outstanding:
    log = records.log
    count = await log.count_visible(floor, inboxes, most=OUTSTANDING_MAX, until=position)
    first = await log.read_visible(floor, LISTED_MAX, inboxes) if count else []
    positions = [event.position for event in first if event.position <= position]
    ways = await _ways(records, device, positions, position)
    return Outstanding(
        count,
        [
            Waiting(
                event.position,
                Microseconds(event.recorded_at),
                event.type,
                event.inbox,
                event.conversation,
                "loaded" if (way := ways.get(event.position)) is None else way.outcome,
            )
            for event in await events_at(log, positions)
        ],
    )


async def _ways(
    records: Records, device: Device, positions: Sequence[int], head: int
) -> dict[int, DeviceTrace]:
    """What had become, up to ``head``, of those of these events that the device was addressed."""
    asked = list_pointers_of(device, positions, head=head)
    rows = (await records.projector.fetch(asked)).rows
    wanted = {at for row in rows for at in row.positions}.union(positions)
    events = {event.position: event for event in await events_at(records.log, wanted)}
    found = {}
    for row in rows:
        history = [events[at] for at in sorted(row.positions) if at in events]
        for way in trace_devices(events[row.at], history):
            found[row.at] = way
    return found
