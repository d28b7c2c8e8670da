"""What became of delivery, device by device: how far each has acknowledged, and what was parked.

A parked event stays in the list until its device has handled it after all: from the request for it
(``requested`` is where in the log that is) until the acknowledgement it is under way.

Each change leaves a version, by the time of its event, from which the rows of any earlier position
are made again. A version of a parked event without a session says that it is parked no more.
"""

# ruff: noqa: S608 - SQL is put together from constants of these files; values are always bound

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import orjson
from attrs import evolve, field, frozen

from eventstore.events import (
    ClientConnected,
    ClientDisconnected,
    DeliveryAcknowledged,
    DeliveryParked,
    DeliveryReplayAcknowledged,
    DeliveryReplayRequested,
    DeliveryRetried,
    DeviceExpired,
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
    expired_at INTEGER, closed_until INTEGER NOT NULL,
    PRIMARY KEY (user, device)
) WITHOUT ROWID;

CREATE TABLE deliveries_parked (
    user TEXT NOT NULL, device TEXT NOT NULL, position INTEGER NOT NULL,
    session TEXT NOT NULL, reason TEXT NOT NULL, parked_at INTEGER NOT NULL,
    requested INTEGER, requested_at INTEGER,
    PRIMARY KEY (user, device, position)
) WITHOUT ROWID;

CREATE TABLE deliveries_version (
    first_at INTEGER NOT NULL, -- of which device: no two were first seen at once
    at INTEGER NOT NULL, ack_floor INTEGER NOT NULL, told INTEGER NOT NULL,
    acknowledged INTEGER NOT NULL, retried INTEGER NOT NULL, skipped INTEGER NOT NULL,
    last_at INTEGER, -- NULL where it is the same as at
    expired_at INTEGER, closed_until INTEGER NOT NULL,
    PRIMARY KEY (first_at, at)
) WITHOUT ROWID;

CREATE TABLE deliveries_parked_version (
    user TEXT NOT NULL, device TEXT NOT NULL, position INTEGER NOT NULL, at INTEGER NOT NULL,
    session TEXT, reason TEXT, parked_at INTEGER, requested INTEGER, requested_at INTEGER,
    PRIMARY KEY (user, device, position, at)
) WITHOUT ROWID;
"""

_NAMED = """user = new.user AND device = new.device
        AND position IN (SELECT value FROM json_each(new.positions))"""

_KEEP = """
    INSERT OR REPLACE INTO deliveries_version
    SELECT first_at, new.recorded_at, ack_floor, told, acknowledged, retried, skipped,
        nullif(last_at, new.recorded_at), expired_at, closed_until
    FROM deliveries WHERE user = new.user AND device = new.device;"""
_KEEP_PARKED = """
    INSERT OR REPLACE INTO deliveries_parked_version
    SELECT user, device, position, new.recorded_at, {0}
    FROM deliveries_parked WHERE user = new.user AND device = new.device AND {1};"""
_WHOLE = "session, reason, parked_at, requested, requested_at"

_STEPS = {
    # A device begins where its first session did: without this, a device that connected, was sent
    # events and died before its first ack would start at the head next time, and miss them (G7).
    "connected": f"""
    INSERT INTO deliveries
    VALUES (new.user, new.device, new.floor, new.floor, 0, 0, 0, new.recorded_at, new.recorded_at,
        NULL, 0)
    ON CONFLICT DO UPDATE SET last_at = excluded.last_at, expired_at = NULL; {_KEEP}""",
    "counted": f"""
    INSERT INTO deliveries VALUES (new.user, new.device, ifnull(new.floor, 0),
        ifnull(new.told, 0), ifnull(new.acknowledged, 0), ifnull(new.retried, 0),
        ifnull(new.skipped, 0), new.recorded_at, new.recorded_at, NULL, 0)
    ON CONFLICT DO UPDATE SET ack_floor = max(ack_floor, excluded.ack_floor),
        told = max(told, excluded.told), acknowledged = acknowledged + excluded.acknowledged,
        retried = retried + excluded.retried, skipped = skipped + excluded.skipped,
        last_at = excluded.last_at; {_KEEP}""",
    "parked": f"""
    INSERT INTO deliveries_parked
    VALUES (new.user, new.device, new.parked, new.session, new.reason, new.recorded_at, NULL, NULL)
    ON CONFLICT DO UPDATE SET session = excluded.session, reason = excluded.reason,
        parked_at = excluded.parked_at, requested = NULL, requested_at = NULL
    WHERE requested IS NOT NULL;
    {_KEEP_PARKED.format(_WHOLE, "position = new.parked AND parked_at = new.recorded_at")}""",
    "requested": f"""
    UPDATE deliveries_parked SET requested = new.request, requested_at = new.recorded_at
    WHERE requested IS NULL AND {_NAMED};
    {_KEEP_PARKED.format(_WHOLE, "requested_at = new.recorded_at")}""",
    "replayed": f"""
    UPDATE deliveries SET last_at = new.recorded_at, acknowledged = acknowledged + (
        SELECT count(*) FROM deliveries_parked WHERE requested IS NOT NULL AND {_NAMED})
    WHERE user = new.user AND device = new.device;
    {_KEEP_PARKED.format("NULL, NULL, NULL, NULL, NULL", f"requested IS NOT NULL AND {_NAMED}")}
    DELETE FROM deliveries_parked WHERE requested IS NOT NULL AND {_NAMED}; {_KEEP}""",
    # As with what was trimmed, `told` stays: the device is yet to hear of it.
    "expired": f"""
    UPDATE deliveries SET ack_floor = max(ack_floor, new.floor), skipped = skipped + new.skipped,
        expired_at = new.recorded_at, closed_until = max(closed_until, new.floor)
    WHERE user = new.user AND device = new.device;
    {_KEEP_PARKED.format("session, reason, parked_at, NULL, NULL", "requested IS NOT NULL")}
    UPDATE deliveries_parked SET requested = NULL, requested_at = NULL
    WHERE user = new.user AND device = new.device; {_KEEP}""",
}


Device: TypeAlias = tuple[str, str]
"""User, and the name of one of their devices."""


def device_of(stream: str) -> Device | None:
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
            why: Values = {"session": event.session, "reason": event.reason}
            return Statement("parked", {**of, "parked": parked, **why})
        case DeliveryReplayRequested():
            positions = _earlier(event.positions, recorded)
            asked: Values = {"request": recorded.position, "positions": positions}
            return Statement("requested", {**of, **asked})
        case DeliveryReplayAcknowledged():
            return Statement("replayed", {**of, "positions": _earlier(event.positions, recorded)})
        case DeviceExpired():
            floor, count = within(event.until, recorded), within(event.count, recorded)
            return Statement("expired", {**of, "floor": floor, "skipped": count})
    return None


def within(value: int, recorded: RecordedEvent) -> int:
    """No event speaks of positions beyond its own, nor of more events than there were before it."""
    return max(0, min(value, recorded.position))


def _earlier(positions: Iterable[int], recorded: RecordedEvent) -> str:
    """Those before the event that names them, as JSON."""
    return orjson.dumps([at for at in positions if 0 < at < recorded.position]).decode()


DELIVERIES = Projection(
    name="deliveries",
    version=5,
    types=frozenset(
        cls.type
        for cls in (
            ClientConnected,
            ClientDisconnected,
            DeliveryAcknowledged,
            DeliveryRetried,
            DeliveryParked,
            DeliveryReplayRequested,
            DeliveryReplayAcknowledged,
            DeviceExpired,
            QueueTrimmed,
        )
    ),
    tables=_TABLES,
    steps=_STEPS,
    evolve=_evolve,
)

# --- queries -----------------------------------------------------------------------------------


@frozen
class Delivery:
    """One device: its ack floor, and how many events it acknowledged, was retried, skipped.

    ``told`` is the ack floor without what was skipped since the last ack. ``expired_at`` is when
    it was closed because it had not been seen for so long, None unless it is; at ``closed_until``
    that was, the last time. ``parked`` counts what is put aside, ``replaying`` included.
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
    expired_at: Microseconds | None
    closed_until: int
    parked: int
    replaying: int


@frozen
class Parked:
    """One event put aside for a device, by which session and why.

    ``requested`` is where in the log its delivery was asked for again, None where it was not; it
    is under way then, until the device has acknowledged it.
    """

    user: str
    device: str
    position: int
    session: str
    reason: str
    parked_at: Microseconds
    requested: int | None
    requested_at: Microseconds | None


_READS = ("deliveries",)

# Table expressions that stand in for the tables, as of a time.
_PAST = """
WITH deliveries AS (
    SELECT user, device, v.ack_floor, v.told, v.acknowledged, v.retried, v.skipped, d.first_at,
        ifnull(v.last_at, v.at) AS last_at, v.expired_at, v.closed_until
    FROM main.deliveries AS d CROSS JOIN deliveries_version AS v
        ON v.first_at = d.first_at AND v.at = (
            SELECT at FROM deliveries_version
            WHERE first_at = d.first_at AND at <= :as_of_us ORDER BY at DESC LIMIT 1)
), deliveries_parked AS (
    SELECT user, device, position, session, reason, parked_at, requested, requested_at
    FROM (SELECT *, max(at) FROM deliveries_parked_version WHERE at <= :as_of_us
        GROUP BY user, device, position)
    WHERE session IS NOT NULL
)
"""


def _positions(values: Iterable[int]) -> frozenset[int]:
    return frozenset(values)


def _requests(values: Mapping[int, int] | Iterable[tuple[int, int]]) -> Mapping[int, int]:
    return dict(values)


@frozen
class Standing:
    """How far a device is.

    Up to ``ack_floor`` everything is settled: acknowledged, skipped or parked. Where it has no
    cursor it goes on at ``told``: that something was skipped it may not have heard. ``parked`` is
    what was put aside beyond the floor, ``replays`` what is to be delivered again and where that
    was requested. Up to ``closed_until`` nothing waits: the device had expired.
    """

    ack_floor: int
    told: int
    parked: frozenset[int] = field(converter=_positions)
    closed_until: int = 0
    replays: Mapping[int, int] = field(converter=_requests, factory=dict)


def standings(devices: Collection[Device]) -> Query[tuple[Device, Standing]]:
    """How far these devices are; no row for one never seen.

    A device that has acknowledged nothing yet stands where its first session began.
    """
    sql = """SELECT user, device, ack_floor, told, (
            SELECT json_group_array(position) FROM deliveries_parked AS parked
            WHERE parked.user = known.user AND parked.device = known.device
            AND position > ack_floor),
        closed_until, (
            SELECT json_group_array(json_array(position, requested))
            FROM deliveries_parked AS parked
            WHERE parked.user = known.user AND parked.device = known.device
            AND requested IS NOT NULL)
        FROM json_each(:devices) AS asked CROSS JOIN deliveries AS known
        ON user = asked.value ->> 0 AND device = asked.value ->> 1"""
    named = orjson.dumps(list(devices)).decode()
    return Query(sql, {"devices": named}, _standing, _READS)


def _standing(user: str, device: str, *columns: Any) -> tuple[Device, Standing]:
    return (user, device), Standing(*columns)


def further(known: Standing | None, page: Sequence[RecordedEvent]) -> Standing | None:
    """How far the device is after a page of its own stream, from how far it was before.

    What the steps do to its row, without the row: so that nobody has to wait for the fold.
    """
    for step, values in fold(page, (DELIVERIES,)).statements[DELIVERIES.name]:
        known = _stepped(known, step, values)
    if known is None:
        return None
    return evolve(known, parked={at for at in known.parked if at > known.ack_floor})


def _stepped(known: Standing | None, step: str, values: Values) -> Standing | None:
    floor = _number(values, "floor")
    if step == "connected":
        return known or Standing(floor, floor, ())
    if step == "counted":
        before = known or Standing(0, 0, ())
        told = max(before.told, _number(values, "told"))
        return evolve(before, ack_floor=max(before.ack_floor, floor), told=told)
    if known is None:
        return None
    if step == "expired":
        closed = max(known.closed_until, floor)
        floor = max(known.ack_floor, floor)
        return evolve(known, ack_floor=floor, closed_until=closed, replays={})
    return evolve(known, **_set_aside(known, step, values))


def _set_aside(known: Standing, step: str, values: Values) -> dict[str, Any]:
    """What became of parked events. Whether one is parked that is asked for, only rows know."""
    if step == "parked":
        at = _number(values, "parked")
        return {"parked": known.parked | {at}, "replays": _without(known.replays, {at})}
    positions = orjson.loads(str(values["positions"]))
    if step == "replayed":
        return {"replays": _without(known.replays, positions)}
    return {"replays": {**dict.fromkeys(positions, _number(values, "request")), **known.replays}}


def _without(replays: Mapping[int, int], positions: Collection[int]) -> Mapping[int, int]:
    return {at: request for at, request in replays.items() if at not in positions}


def _number(values: Values, column: str) -> int:
    value = values.get(column)
    return value if isinstance(value, int) else 0


def list_deliveries(
    user: str | None = None,
    device: Device | None = None,
    *,
    after: Device = ("", ""),
    limit: int = 1_000,
) -> Query[Delivery]:
    """Devices, in order of user and device: all, one user's, or one.

    ``after`` is the last one of the page before.
    """
    sql = f"""SELECT deliveries.*, count(position), count(requested)
        FROM deliveries LEFT JOIN deliveries_parked USING (user, device)
        WHERE (user, device) > (:after_user, :after_device) AND (:of IS NULL OR user = :of)
            {"" if device is None else "AND user = :user AND device = :device"}
        GROUP BY user, device ORDER BY user, device LIMIT :limit"""
    one, name = device or (None, None)
    values: Values = {"of": user, "user": one, "device": name, "limit": limit}
    last = {"after_user": after[0], "after_device": after[1]}
    return Query(sql, {**values, **last}, Delivery, _READS, _PAST + sql)


def list_parked(
    devices: Collection[Device] | None = None,
    *,
    positions: Collection[int] | None = None,
    limit: int = 1_000,
    waiting: bool = False,
) -> Query[Parked]:
    """What is put aside, the newest first: for all, or for these devices; of all positions, or few.

    With ``waiting`` only what nobody asked for again, and the oldest first.
    """
    whose = "SELECT value ->> 0, value ->> 1 FROM json_each(:devices)"
    order = "position, user, device" if waiting else "position DESC, user, device"
    sql = f"""SELECT * FROM deliveries_parked
        WHERE {"1" if devices is None else f"(user, device) IN ({whose})"}
        {"" if positions is None else "AND position IN (SELECT value FROM json_each(:positions))"}
        {"AND requested IS NULL" if waiting else ""}
        ORDER BY {order} LIMIT :limit"""
    named = orjson.dumps(list(devices or ())).decode()
    few = orjson.dumps(list(positions or ())).decode()
    return Query(
        sql, {"devices": named, "positions": few, "limit": limit}, Parked, _READS, _PAST + sql
    )


@frozen
class Unseen:
    """A device that is not connected, when it was last seen, and how far it is."""

    user: str
    device: str
    last_seen_at: Microseconds
    ack_floor: int


def list_unseen(before_us: int, device: Device | None = None, *, limit: int = 100) -> Query[Unseen]:
    """Devices last seen before a time (µs since the Unix epoch) and not expired, the oldest first.

    Seen is who connected, disconnected, or had something recorded; and who is connected.
    """
    one = "" if device is None else "AND d.user = :user AND d.device = :device"
    sql = f"""SELECT d.user, d.device, max(d.last_at, ifnull(max(c.closed_at), 0)), d.ack_floor
        FROM deliveries AS d LEFT JOIN connections AS c USING (user, device)
        WHERE d.expired_at IS NULL AND d.last_at < :before {one}
        GROUP BY d.user, d.device
        HAVING count(c.session) = count(c.closed_at) AND ifnull(max(c.closed_at), 0) < :before
        ORDER BY d.last_at, d.user, d.device LIMIT :limit"""
    user, name = device or (None, None)
    values: Values = {"before": before_us, "user": user, "device": name, "limit": limit}
    return Query(sql, values, Unseen, (*_READS, "connections"))
