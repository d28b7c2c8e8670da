"""Where in the log it says what became of an event for a device, so that a trace is a few seeks.

Pointers only: the events themselves say the rest. An ack is one narrow row here, of about 40 bytes;
what an event's life consists of is then found from the rows of a device, however long the log is.
"""
# ruff: noqa: S608 - SQL is put together from constants of this file; values are always bound

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

import orjson

from eventstore.events import (
    ClientConnected,
    ClientDisconnected,
    DeliveryAcknowledged,
    DeliveryParked,
    DeliveryReplayAcknowledged,
    DeliveryReplayed,
    DeliveryReplayRequested,
    DeliveryRetried,
    DeviceExpired,
    Event,
    MemberAdded,
    MemberRemoved,
    MessageRedacted,
    QueueTrimmed,
    RecordedEvent,
    ServerStarted,
    WebhookDuplicated,
)
from projections.deliveries import Device, device_of, within
from projections.projection import Projection, Statement, Values


class Kind(IntEnum):
    """What a row points at: where a session began or ended, a range, a retry."""

    OPENED = 1
    CLOSED = 2
    ACKED = 3
    SKIPPED = 4
    RETRIED = 5


# outcomes_named: what names events one by one (parked, erased, ...); without a device as ''.
# outcomes_system: what concerns all devices of a user, and under '' those of everybody.
_TABLES = """
CREATE TABLE outcomes (
    user TEXT NOT NULL, device TEXT NOT NULL, kind INTEGER NOT NULL, position INTEGER NOT NULL,
    until INTEGER NOT NULL, PRIMARY KEY (user, device, kind, position)
) WITHOUT ROWID;
CREATE TABLE outcomes_named (
    named INTEGER NOT NULL, user TEXT NOT NULL, device TEXT NOT NULL, position INTEGER NOT NULL,
    PRIMARY KEY (named, user, device, position)
) WITHOUT ROWID;
CREATE TABLE outcomes_system (
    user TEXT NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (user, position)
) WITHOUT ROWID;
"""

_STEPS = {
    "noted": """
    INSERT INTO outcomes VALUES (new.user, new.device, new.kind, new.position, new.until);""",
    "expired": f"""
    INSERT INTO outcomes
    VALUES (new.user, new.device, {Kind.CLOSED:d}, new.position, 0),
        (new.user, new.device, {Kind.SKIPPED:d}, new.position, new.until);""",
    "named": """
    INSERT INTO outcomes_named
    SELECT value, new.user, new.device, new.position FROM json_each(new.named)
    WHERE true ON CONFLICT DO NOTHING;""",
    "system": """
    INSERT INTO outcomes_system VALUES (new.user, new.position);""",
}


def _evolve(recorded: RecordedEvent, event: Event | None) -> Statement | None:
    position = recorded.position
    match event:
        case MessageRedacted():
            return _named(recorded, ("", ""), event.positions)
        case WebhookDuplicated():
            return _named(recorded, ("", ""), (event.original,))
        case ServerStarted():
            return Statement("system", {"user": "", "position": position})
        case MemberAdded() | MemberRemoved():
            return Statement("system", {"user": event.user, "position": position})
    whose = device_of(recorded.stream)
    return None if whose is None else _of_device(recorded, event, whose)


def _of_device(recorded: RecordedEvent, event: Event | None, whose: Device) -> Statement | None:
    match event:
        case ClientConnected():
            return _noted(recorded, whose, Kind.OPENED)
        case ClientDisconnected():
            return _noted(recorded, whose, Kind.CLOSED)
        case DeliveryAcknowledged():
            return _noted(recorded, whose, Kind.ACKED, within(event.until, recorded))
        case QueueTrimmed():
            return _noted(recorded, whose, Kind.SKIPPED, within(event.until, recorded))
        case DeliveryRetried():
            return _noted(recorded, whose, Kind.RETRIED)
        case DeviceExpired():
            until = within(event.until, recorded)
            return Statement("expired", _noted(recorded, whose, Kind.SKIPPED, until).values)
        case DeliveryParked():
            return _named(recorded, whose, (event.position,))
        case DeliveryReplayRequested() | DeliveryReplayed() | DeliveryReplayAcknowledged():
            return _named(recorded, whose, event.positions)
    return None


def _noted(recorded: RecordedEvent, whose: Device, kind: Kind, until: int = 0) -> Statement:
    of: Values = {"user": whose[0], "device": whose[1], "position": recorded.position}
    return Statement("noted", {**of, "kind": int(kind), "until": until})


def _named(recorded: RecordedEvent, whose: Device, positions: Iterable[int]) -> Statement:
    earlier = [position for position in positions if 0 < position < recorded.position]
    of: Values = {"user": whose[0], "device": whose[1], "position": recorded.position}
    return Statement("named", {**of, "named": orjson.dumps(earlier).decode()})


OUTCOMES = Projection(
    name="outcomes",
    version=2,
    types=frozenset(
        cls.type
        for cls in (
            ClientConnected,
            ClientDisconnected,
            DeliveryAcknowledged,
            DeliveryParked,
            DeliveryReplayAcknowledged,
            DeliveryReplayed,
            DeliveryReplayRequested,
            DeliveryRetried,
            DeviceExpired,
            MemberAdded,
            MemberRemoved,
            MessageRedacted,
            QueueTrimmed,
            ServerStarted,
            WebhookDuplicated,
        )
    ),
    tables=_TABLES,
    steps=_STEPS,
    evolve=_evolve,
)
