"""What happened, counted by the minute and, for each inbox, by the hour; so yesterday can be asked.

The live figures of a process are at ``/metrics`` and end with it. These are derived from the log
like everything else: the same counts on any machine, for as long as there is a history. A minute in
which nothing happened has no row. Times are UTC.
"""
# ruff: noqa: S608 - SQL is put together from constants of this file; values are always bound

from __future__ import annotations

from collections import Counter

import orjson
from attrs import frozen

from eventstore.compaction import MINUTE_US, round_trip_us, samples
from eventstore.events import (
    ClientConnected,
    ClientDisconnected,
    DeliveryAcknowledged,
    DeliveryParked,
    DeliveryRetried,
    Event,
    HeartbeatAnswered,
    HeartbeatMissed,
    HeartbeatsCompacted,
    MessageReceived,
    MessageStatusChanged,
    QueueTrimmed,
    RecordedEvent,
    RequestsRefused,
    ServerStarted,
    SyncServed,
    WebhookDuplicated,
    WebhookUnparsed,
)
from projections.projection import Microseconds, Projection, Query, Statement, Values

HOUR_US = 60 * MINUTE_US
REFUSED_MAX = 10**9
SUM_MAX = 2**62

COUNTS = (
    *("messages", "statuses", "unparsed", "duplicated", "acknowledged", "retried", "parked"),
    *("skipped", "resumed", "fresh", "reset", "disconnected", "pongs", "rtt_us", "missed"),
    *("synced", "starts", "refused"),
)
"""What a minute counts; each is a column, and a step that adds to it."""

_TABLES = f"""
CREATE TABLE metrics (
    minute INTEGER PRIMARY KEY, {", ".join(f"{name} INTEGER NOT NULL DEFAULT 0" for name in COUNTS)}
);
CREATE TABLE metrics_inboxes (
    inbox TEXT NOT NULL, hour INTEGER NOT NULL, messages INTEGER NOT NULL,
    newest_at INTEGER NOT NULL, PRIMARY KEY (inbox, hour)
) WITHOUT ROWID;
"""

_ADD = """
    INSERT INTO metrics (minute, {0}) VALUES (new.minute, new.by)
    ON CONFLICT DO UPDATE SET {0} = {0} + excluded.{0};"""

_STEPS = {name: _ADD.format(name) for name in COUNTS} | {
    "messages": _ADD.format("messages")
    + """
    INSERT INTO metrics_inboxes VALUES (new.inbox, new.hour, 1, new.recorded_at)
    ON CONFLICT DO UPDATE SET messages = messages + 1, newest_at = excluded.newest_at;""",
    "pongs": """
    INSERT INTO metrics (minute, pongs, rtt_us) VALUES (new.minute, 1, new.rtt_us)
    ON CONFLICT DO UPDATE SET pongs = pongs + 1, rtt_us = rtt_us + excluded.rtt_us;""",
}
del _STEPS["rtt_us"]  # it comes with its pong
# Of a whole minute, the same whether its heartbeats still had their content when they were folded.
_STEPS["compacted"] = """
    UPDATE metrics SET rtt_us = (
        SELECT value FROM json_each(new.sums) WHERE key = CAST(minute AS TEXT))
    WHERE minute IN (SELECT CAST(key AS INTEGER) FROM json_each(new.sums));"""


def _evolve(recorded: RecordedEvent, event: Event | None) -> Statement | None:
    at: Values = {"minute": recorded.recorded_at // MINUTE_US, "by": 1}
    if recorded.type == MessageReceived.type:  # also one whose content was erased
        hour = recorded.recorded_at // HOUR_US
        of = {"inbox": recorded.inbox, "hour": hour, "recorded_at": recorded.recorded_at}
        return Statement("messages", {**at, **of}) if recorded.inbox is not None else None
    match event:
        case ClientConnected():
            return Statement(event.outcome, at)
        case HeartbeatAnswered():
            return Statement("pongs", {**at, "rtt_us": round_trip_us(event)})
        case None if recorded.type == HeartbeatAnswered.type:  # compacted: see below
            return Statement("pongs", {**at, "rtt_us": 0})
        case HeartbeatsCompacted():
            return Statement("compacted", {"sums": _round_trips(event)})
        case DeliveryAcknowledged():
            return _counted("acknowledged", event.count, at, recorded)
        case QueueTrimmed():
            return _counted("skipped", event.count, at, recorded)
        case SyncServed():
            return _counted("synced", event.count, at, recorded)
        case RequestsRefused():
            total = sum(min(max(0, count), REFUSED_MAX) for count in event.counts.values())
            return Statement("refused", {**at, "by": min(total, REFUSED_MAX)})
    column = _COUNTED_BY_TYPE.get(recorded.type)
    return None if column is None else Statement(column, at)


def _round_trips(event: HeartbeatsCompacted) -> str:
    """The sum of all round trips of each minute, as JSON."""
    sums: Counter[int] = Counter()
    for _, (minute, n, mean, _) in samples(event):
        sums[minute] += n * mean
    return orjson.dumps({str(at): min(total, SUM_MAX) for at, total in sums.items()}).decode()


def _counted(column: str, count: int, at: Values, recorded: RecordedEvent) -> Statement:
    # No event speaks of more events than there were before it.
    return Statement(column, {**at, "by": max(0, min(count, recorded.position))})


_COUNTED_BY_TYPE = {
    MessageStatusChanged.type: "statuses",
    WebhookUnparsed.type: "unparsed",
    WebhookDuplicated.type: "duplicated",
    DeliveryRetried.type: "retried",
    DeliveryParked.type: "parked",
    ClientDisconnected.type: "disconnected",
    HeartbeatMissed.type: "missed",
    ServerStarted.type: "starts",
}

METRICS = Projection(
    name="metrics",
    version=3,
    types=frozenset(_COUNTED_BY_TYPE)
    | {
        cls.type
        for cls in (
            MessageReceived,
            ClientConnected,
            HeartbeatAnswered,
            HeartbeatsCompacted,
            DeliveryAcknowledged,
            QueueTrimmed,
            SyncServed,
            RequestsRefused,
        )
    },
    tables=_TABLES,
    steps=_STEPS,
    evolve=_evolve,
)

# --- queries -----------------------------------------------------------------------------------


@frozen
class Minute:
    """What happened in the minute that began at ``time``.

    ``messages`` and ``statuses`` came from providers, ``unparsed`` and ``duplicated`` are webhooks;
    ``acknowledged``, ``retried``, ``parked`` and ``skipped`` are deliveries; ``resumed``, ``fresh``
    and ``reset`` sessions that began, ``disconnected`` those that ended; ``rtt_us`` is the sum over
    ``pongs``; ``synced`` events were given by ``/v1/sync``; ``starts`` of the server;
    ``refused`` requests and connections.
    """

    time: Microseconds
    messages: int
    statuses: int
    unparsed: int
    duplicated: int
    acknowledged: int
    retried: int
    parked: int
    skipped: int
    resumed: int
    fresh: int
    reset: int
    disconnected: int
    pongs: int
    rtt_us: int
    missed: int
    synced: int
    starts: int
    refused: int


@frozen
class InboxHour:
    """How many messages an inbox got in an hour (counted from the Unix epoch), the newest when."""

    inbox: str
    hour: int
    messages: int
    newest_at: Microseconds


_READS = ("metrics",)


def list_minutes(since_us: int, until_us: int, *, limit: int) -> Query[Minute]:
    """The minutes that began at or after a time and before another, in order; µs."""
    sql = f"""SELECT minute * {MINUTE_US}, {", ".join(COUNTS)} FROM metrics
        WHERE minute * {MINUTE_US} >= :since AND minute * {MINUTE_US} < :until
        ORDER BY minute LIMIT :limit"""
    given: Values = {"since": since_us, "until": until_us, "limit": limit}
    return Query(sql, given, Minute, _READS)


def list_inbox_hours(since_hour: int) -> Query[InboxHour]:
    """What each inbox got hour by hour since then, and its newest hour, however old."""
    sql = """SELECT * FROM metrics_inboxes AS each WHERE hour >= :since
            OR hour = (SELECT max(hour) FROM metrics_inboxes WHERE inbox = each.inbox)
        ORDER BY inbox, hour"""
    return Query(sql, {"since": since_hour}, InboxHour, _READS)
