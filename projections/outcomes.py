"""Where in the log it says what became of an event for a device, so that a trace is a few seeks.

Pointers only: the events themselves say the rest. An ack is one narrow row here, of about 40 bytes;
what an event's life consists of is then found from the rows of a device, however long the log is.
"""
# ruff: noqa: S608 - SQL is put together from constants of this file; values are always bound

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

import orjson
from attrs import field, frozen

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
from projections.projection import Projection, Query, Statement, Values


class Kind(IntEnum):
    """What a row points at: where a session began or ended, a range, a retry."""

    OPENED = 1
    CLOSED = 2
    RANGE = 3
    RETRIED = 4


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
        (new.user, new.device, {Kind.RANGE:d}, new.position, new.until);""",
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
        case DeliveryAcknowledged() | QueueTrimmed():
            return _noted(recorded, whose, Kind.RANGE, within(event.until, recorded))
        case DeliveryRetried():
            return _noted(recorded, whose, Kind.RETRIED)
        case DeviceExpired():
            until = within(event.until, recorded)
            return Statement("expired", {**_noted(recorded, whose, Kind.RANGE, until).values})
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
    version=1,
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

# --- queries -----------------------------------------------------------------------------------


def _positions(text: str) -> list[int]:
    found: list[int] = orjson.loads(text)
    return found


@frozen
class Pointers:
    """Where the log says what became of one event for one device, in no order."""

    user: str
    device: str
    positions: list[int] = field(converter=_positions)


_OF_DEVICE = "o.user = spans.user AND o.device = spans.device"
_EACH = f"""SELECT * FROM (SELECT position FROM outcomes AS o
        WHERE {_OF_DEVICE} AND kind = {{kind:d}} AND {{where}} ORDER BY position LIMIT :most)"""
_SESSION = "position >= since AND position <= last"

# `since` is the last session that began before the event, `settled` the first range that covers it.
# What comes after that concerns only what was put aside: `last` is where it ends.
_POINTERS = f"""
WITH page AS MATERIALIZED (
    SELECT user, device FROM deliveries WHERE (user, device) > (:after_user, :after_device)
    ORDER BY user, device LIMIT :limit
),
found AS MATERIALIZED (
    SELECT user, device, ifnull((SELECT position FROM outcomes AS o
            WHERE o.user = page.user AND o.device = page.device AND kind = {Kind.OPENED:d}
            AND position < :at ORDER BY position DESC LIMIT 1), 0) AS since,
        (SELECT position FROM outcomes AS o
            WHERE o.user = page.user AND o.device = page.device AND kind = {Kind.RANGE:d}
            AND position > :at AND until >= :at ORDER BY position LIMIT 1) AS settled,
        EXISTS (SELECT 1 FROM outcomes_named AS named WHERE named = :at
            AND named.user = page.user AND named.device = page.device) AS aside
    FROM page
),
spans AS MATERIALIZED (
    SELECT *, iif(aside OR settled IS NULL, 9223372036854775807, settled) AS last FROM found
)
SELECT user, device, (SELECT json_group_array(position) || '' FROM (
    SELECT settled AS position WHERE settled IS NOT NULL
    UNION {_EACH.format(kind=Kind.OPENED, where=_SESSION)}
    UNION {_EACH.format(kind=Kind.CLOSED, where=_SESSION)}
    UNION {_EACH.format(kind=Kind.RETRIED, where="position > :at AND position <= last")}
    UNION SELECT * FROM (SELECT position FROM outcomes_named AS o
        WHERE named = :at AND {_OF_DEVICE} ORDER BY position LIMIT :most)
    UNION SELECT * FROM (SELECT position FROM outcomes_system AS o
        WHERE o.user = spans.user ORDER BY position DESC LIMIT :most)
    UNION SELECT * FROM (SELECT position FROM outcomes_system AS o
        WHERE o.user = '' AND {_SESSION} ORDER BY position LIMIT :most)
)) FROM spans ORDER BY user, device
"""


def list_pointers(
    position: int, *, after: Device = ("", ""), limit: int = 200, most: int = 100
) -> Query[Pointers]:
    """For a page of devices, in order of user and device, what concerns the event at a position.

    Of each kind ``most`` at most: who has that many sessions or retries over one event is shown the
    first. ``after`` is the last device of the page before.
    """
    values: Values = {"at": position, "limit": limit, "most": most}
    last = {"after_user": after[0], "after_device": after[1]}
    return Query(_POINTERS, {**values, **last}, Pointers, (OUTCOMES.name, "deliveries"))


_LATER = """
SELECT position FROM outcomes_named WHERE named = :at AND user = '' AND device = ''
UNION SELECT * FROM (SELECT position FROM messages_status
    WHERE inbox = :inbox AND message_id = :message LIMIT :most)
UNION SELECT * FROM (SELECT position FROM messages_edit
    WHERE inbox = :inbox AND message_id = :message LIMIT :most)
UNION SELECT * FROM (SELECT position FROM messages_revocation
    WHERE inbox = :inbox AND message_id = :message LIMIT :most)
UNION SELECT * FROM (SELECT position FROM messages
    WHERE inbox = :inbox AND reacts_to = :message LIMIT :most)
ORDER BY position LIMIT :most
"""


def list_later(position: int, inbox: str, message_id: str | None, *, most: int = 500) -> Query[int]:
    """Where it was said later what became of a message itself, in order, the first ``most``.

    Statuses, edits, revocations, reactions; erasures, and repeats with another content. Without its
    ``message_id``, which an erasure takes with it, only the last two.
    """
    values: Values = {"at": position, "inbox": inbox, "message": message_id, "most": most}
    return Query(_LATER, values, int, (OUTCOMES.name, "messages"))
