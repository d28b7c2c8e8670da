"""What became of delivery, device by device: how far each has acknowledged, and what was parked."""

from __future__ import annotations

from attrs import frozen

from eventstore.events import (
    ClientConnected,
    ClientDisconnected,
    DeliveryAcknowledged,
    DeliveryParked,
    DeliveryRetried,
    Event,
    QueueTrimmed,
    RecordedEvent,
)
from projections.projection import Microseconds, Projection, Query, Statement

_SCHEMA = """
CREATE TABLE deliveries (
    user TEXT NOT NULL, device TEXT NOT NULL, ack_floor INTEGER NOT NULL,
    acknowledged INTEGER NOT NULL, retried INTEGER NOT NULL, skipped INTEGER NOT NULL,
    first_at INTEGER NOT NULL, last_at INTEGER NOT NULL,
    PRIMARY KEY (user, device)
) WITHOUT ROWID;

CREATE TABLE deliveries_parked (
    user TEXT NOT NULL, device TEXT NOT NULL, position INTEGER NOT NULL,
    reason TEXT NOT NULL, parked_at INTEGER NOT NULL,
    PRIMARY KEY (user, device, position)
) WITHOUT ROWID;
"""

_DEVICE = """
INSERT INTO deliveries VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)
ON CONFLICT DO UPDATE SET ack_floor = max(ack_floor, excluded.ack_floor),
    acknowledged = acknowledged + excluded.acknowledged, retried = retried + excluded.retried,
    skipped = skipped + excluded.skipped, last_at = excluded.last_at
"""
# A device begins where its first session did: without this, a device that connected, was sent
# events and died before its first ack would start at the head next time, and miss them (G7).
_CONNECTED = """
INSERT INTO deliveries VALUES (?1, ?2, ?3, 0, 0, 0, ?4, ?4)
ON CONFLICT DO UPDATE SET last_at = excluded.last_at
"""
_PARKED = """
INSERT INTO deliveries_parked VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING
"""


def device_of(stream: str) -> tuple[str, str] | None:
    """User and device of a ``client:<user>/<device>`` stream; None for any other."""
    kind, _, name = stream.partition(":")
    user, slash, device = name.partition("/")
    return (user, device) if kind == "client" and slash else None


def _evolve(recorded: RecordedEvent, event: Event | None) -> Statement | None:
    if (device := device_of(recorded.stream)) is None:
        return None
    match event:
        case ClientConnected():
            start = _within(event.position, recorded)
            return Statement(_CONNECTED, (*device, start, recorded.recorded_at))
        case ClientDisconnected():
            return _counted(device, recorded)
        case DeliveryAcknowledged():
            until, count = _within(event.until, recorded), _within(event.count, recorded)
            return _counted(device, recorded, floor=until, acknowledged=count)
        case DeliveryRetried():
            return _counted(device, recorded, retried=1)
        case QueueTrimmed():
            return _counted(device, recorded, skipped=_within(event.count, recorded))
        case DeliveryParked():
            position = _within(event.position, recorded)
            return Statement(_PARKED, (*device, position, event.reason, recorded.recorded_at))
    return None


def _counted(
    device: tuple[str, str],
    recorded: RecordedEvent,
    *,
    floor: int = 0,
    acknowledged: int = 0,
    retried: int = 0,
    skipped: int = 0,
) -> Statement:
    counts = (floor, acknowledged, retried, skipped)
    return Statement(_DEVICE, (*device, *counts, recorded.recorded_at))


def _within(value: int, recorded: RecordedEvent) -> int:
    """No event speaks of positions beyond its own, nor of more events than there were before it."""
    return max(0, min(value, recorded.position))


DELIVERIES = Projection(
    name="deliveries",
    version=1,
    types=frozenset(
        cls.type
        for cls in (
            ClientConnected,
            ClientDisconnected,
            DeliveryAcknowledged,
            DeliveryRetried,
            DeliveryParked,
            QueueTrimmed,
        )
    ),
    schema=_SCHEMA,
    evolve=_evolve,
)

# --- queries -----------------------------------------------------------------------------------


@frozen
class Delivery:
    """One device: its ack floor, and how many events it acknowledged, was retried, skipped."""

    user: str
    device: str
    ack_floor: int
    acknowledged: int
    retried: int
    skipped: int
    first_at: Microseconds
    last_at: Microseconds
    parked: int


@frozen
class Parked:
    """One event put aside for a device."""

    user: str
    device: str
    position: int
    reason: str
    parked_at: Microseconds


_READS = ("deliveries",)


def ack_floor(user: str, device: str) -> Query[int]:
    """The position up to which a device has acknowledged; no row for one never seen.

    A device that has acknowledged nothing yet stands where its first session began.
    """
    sql = "SELECT ack_floor FROM deliveries WHERE user = :user AND device = :device"
    return Query(sql, {"user": user, "device": device}, int, _READS)


def list_deliveries() -> Query[Delivery]:
    """Every device, in order of user and device."""
    sql = """SELECT deliveries.*, (
            SELECT count(*) FROM deliveries_parked AS parked
            WHERE parked.user = deliveries.user AND parked.device = deliveries.device)
        FROM deliveries ORDER BY user, device"""
    return Query(sql, {}, Delivery, _READS)


def list_parked(user: str | None = None, *, limit: int = 1_000) -> Query[Parked]:
    """What waits aside, the newest first; of one user or of all."""
    sql = """SELECT * FROM deliveries_parked WHERE :user IS NULL OR user = :user
        ORDER BY position DESC, user, device LIMIT :limit"""
    return Query(sql, {"user": user, "limit": limit}, Parked, _READS)
