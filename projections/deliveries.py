"""What became of delivery, device by device: how far each has acknowledged, and what was parked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import evolve, field, frozen

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
from projections.fold import fold
from projections.projection import Microseconds, Projection, Query, Statement, Values

_TABLES = """
CREATE TABLE deliveries (
    user TEXT NOT NULL, device TEXT NOT NULL, ack_floor INTEGER NOT NULL,
    told INTEGER NOT NULL, acknowledged INTEGER NOT NULL, retried INTEGER NOT NULL,
    skipped INTEGER NOT NULL,
    first_at INTEGER NOT NULL, last_at INTEGER NOT NULL,
    PRIMARY KEY (user, device)
) WITHOUT ROWID;

CREATE TABLE deliveries_parked (
    user TEXT NOT NULL, device TEXT NOT NULL, position INTEGER NOT NULL,
    reason TEXT NOT NULL, parked_at INTEGER NOT NULL,
    PRIMARY KEY (user, device, position)
) WITHOUT ROWID;
"""

_COLUMNS = (
    *("user", "device", "recorded_at"),
    *("floor", "told", "acknowledged", "retried", "skipped", "parked", "reason"),
)

_STEPS = {
    # A device begins where its first session did: without this, a device that connected, was sent
    # events and died before its first ack would start at the head next time, and miss them (G7).
    "connected": """
    INSERT INTO deliveries
    VALUES (new.user, new.device, new.floor, new.floor, 0, 0, 0, new.recorded_at, new.recorded_at)
    ON CONFLICT DO UPDATE SET last_at = excluded.last_at;""",
    "counted": """
    INSERT INTO deliveries VALUES (new.user, new.device, ifnull(new.floor, 0),
        ifnull(new.told, 0), ifnull(new.acknowledged, 0), ifnull(new.retried, 0),
        ifnull(new.skipped, 0), new.recorded_at, new.recorded_at)
    ON CONFLICT DO UPDATE SET ack_floor = max(ack_floor, excluded.ack_floor),
        told = max(told, excluded.told), acknowledged = acknowledged + excluded.acknowledged,
        retried = retried + excluded.retried, skipped = skipped + excluded.skipped,
        last_at = excluded.last_at;""",
    "parked": """
    INSERT INTO deliveries_parked
    VALUES (new.user, new.device, new.parked, new.reason, new.recorded_at)
    ON CONFLICT DO NOTHING;""",
}


def device_of(stream: str) -> tuple[str, str] | None:
    """User and device of a ``client:<user>/<device>`` stream; None for any other."""
    kind, _, name = stream.partition(":")
    user, slash, device = name.partition("/")
    return (user, device) if kind == "client" and slash else None


def _evolve(recorded: RecordedEvent, event: Event | None) -> Statement | None:
    if (whose := device_of(recorded.stream)) is None:
        return None
    user, device = whose
    of: Values = {
        "user": user,
        "device": device,
        "recorded_at": recorded.recorded_at,
    }
    match event:
        case ClientConnected():
            return Statement("connected", {**of, "floor": within(event.position, recorded)})
        case ClientDisconnected():
            return Statement("counted", of)
        case DeliveryAcknowledged():
            floor, count = within(event.until, recorded), within(event.count, recorded)
            return Statement(
                "counted", {**of, "floor": floor, "told": floor, "acknowledged": count}
            )
        case DeliveryRetried():
            return Statement("counted", {**of, "retried": 1})
        case QueueTrimmed():
            # The floor moves, `told` does not: the frame that says so may not have arrived.
            floor, count = within(event.until, recorded), within(event.count, recorded)
            return Statement("counted", {**of, "floor": floor, "skipped": count})
        case DeliveryParked():
            parked = within(event.position, recorded)
            return Statement("parked", {**of, "parked": parked, "reason": event.reason})
    return None


def within(value: int, recorded: RecordedEvent) -> int:
    """No event speaks of positions beyond its own, nor of more events than there were before it."""
    return max(0, min(value, recorded.position))


DELIVERIES = Projection(
    name="deliveries",
    version=2,
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
    tables=_TABLES,
    columns=_COLUMNS,
    steps=_STEPS,
    evolve=_evolve,
)

# --- queries -----------------------------------------------------------------------------------


@frozen
class Delivery:
    """One device: its ack floor, and how many events it acknowledged, was retried, skipped.

    ``told`` is the ack floor without what was skipped since the last ack.
    """

    user: str
    device: str
    ack_floor: int
    told: int
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


def _positions(values: Iterable[int]) -> frozenset[int]:
    return frozenset(values)


@frozen
class Standing:
    """How far a device is.

    Up to ``ack_floor`` everything is settled: acknowledged, skipped or parked. Where it has no
    cursor it goes on at ``told``: that something was skipped it may not have heard. ``parked`` is
    what was put aside beyond the floor.
    """

    ack_floor: int
    told: int
    parked: frozenset[int] = field(converter=_positions)


def standing(user: str, device: str) -> Query[Standing]:
    """How far a device is; no row for one never seen.

    A device that has acknowledged nothing yet stands where its first session began.
    """
    sql = """SELECT ack_floor, told, (
            SELECT json_group_array(position) FROM deliveries_parked AS parked
            WHERE parked.user = :user AND parked.device = :device AND position > ack_floor)
        FROM deliveries WHERE user = :user AND device = :device"""
    return Query(sql, {"user": user, "device": device}, Standing, _READS)


def further(known: Standing | None, page: Sequence[RecordedEvent]) -> Standing | None:
    """How far the device is after a page of its own stream, from how far it was before.

    What the steps do to its row, without the row: so that nobody has to wait for the fold.
    """
    for step, values in fold(page, (DELIVERIES,)).statements[DELIVERIES.name]:
        floor = _number(values, "floor")
        if step == "connected":
            known = known or Standing(floor, floor, ())
        elif step == "counted":
            before = known or Standing(0, 0, ())
            told = max(before.told, _number(values, "told"))
            known = Standing(max(before.ack_floor, floor), told, before.parked)
        elif known is not None:
            known = evolve(known, parked=known.parked | {_number(values, "parked")})
    if known is None:
        return None
    return evolve(known, parked={at for at in known.parked if at > known.ack_floor})


def _number(values: Values, column: str) -> int:
    value = values.get(column)
    return value if isinstance(value, int) else 0


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
