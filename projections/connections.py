"""Who is connected, since when, how well; and who was.

A session is open from ``client.connected`` until ``client.disconnected``, or until a server with
another boot id took the log: a process that was killed recorded no disconnects, and nobody is
online for ever. Times rise with positions, so who was online then is in the same rows; how well,
in those of their heartbeats. What was compacted of these is one a minute, at its beginning, with
the mean of its round trips.
"""
# ruff: noqa: S608 - SQL is put together from constants of these files; values are always bound

from __future__ import annotations

from typing import assert_never

import orjson
from attrs import field, frozen

from eventstore.compaction import MINUTE_US, samples
from eventstore.events import (
    ClientConnected,
    ClientDisconnected,
    Event,
    HeartbeatAnswered,
    HeartbeatMissed,
    HeartbeatsCompacted,
    RecordedEvent,
    ServerStarted,
    ServerStopped,
)
from projections.deliveries import device_of, within
from projections.projection import (
    POSITION_MAX,
    Microseconds,
    Projection,
    Query,
    Statement,
    Values,
)

ABNORMAL = 1006
RESTART = 1012
"""WebSocket close codes: of a connection that ended without one, and of a server that went."""

GRACE_S = 15.0
"""How long a user whose last connection ended is still shown as present."""

_TABLES = """
CREATE TABLE connections (
    session TEXT NOT NULL, user TEXT NOT NULL, device TEXT NOT NULL, boot TEXT NOT NULL,
    address TEXT, outcome TEXT NOT NULL, position INTEGER NOT NULL, opened_at INTEGER NOT NULL,
    heard_at INTEGER NOT NULL, rtt_us INTEGER, missed INTEGER NOT NULL,
    closed_at INTEGER, code INTEGER, reason TEXT,
    PRIMARY KEY (session, user, device)
) WITHOUT ROWID;
CREATE INDEX connections_newest ON connections (position);
CREATE INDEX connections_closed ON connections (closed_at, opened_at, user, device);
CREATE TABLE connections_beat (
    opened INTEGER NOT NULL, -- the connection's position
    at INTEGER NOT NULL, rtt_us INTEGER, missed INTEGER NOT NULL, PRIMARY KEY (opened, at)
) WITHOUT ROWID;
CREATE TABLE connections_compacted (until INTEGER PRIMARY KEY);
"""

_OPEN_SESSION = """
    WHERE session = new.session AND user = new.user AND device = new.device AND closed_at IS NULL"""
_CLOSE = "UPDATE connections SET closed_at = new.recorded_at, code = new.code, reason = new.reason"

_LAST = "FROM connections_beat WHERE opened = connections.position"
# A list of lists as rows, without ->>, which no trigger may use; and the connection of each.
_CELLS = ("of", "who", "what", "minute", "n", "mean", "misses")
_PIVOT = ", ".join(
    f"max(iif(cell.key = {at}, cell.value, NULL)) AS {name}" for at, name in enumerate(_CELLS)
)
_SAMPLES = f"""
    FROM (
        SELECT {_PIVOT}
        FROM json_each(new.samples) AS sample, json_each(sample.value) AS cell GROUP BY sample.key
    ) CROSS JOIN connections ON session = of AND user = who AND device = what"""

_STEPS = {
    "connected": """
    INSERT INTO connections VALUES (new.session, new.user, new.device, new.boot, new.address,
        new.outcome, new.position, new.recorded_at, new.recorded_at, NULL, 0, NULL, NULL, NULL)
    ON CONFLICT DO NOTHING;""",
    "disconnected": f"{_CLOSE} {_OPEN_SESSION};",
    "answered": f"""
    INSERT INTO connections_beat SELECT position, new.recorded_at, new.rtt_us, 0
    FROM connections {_OPEN_SESSION};
    UPDATE connections SET heard_at = new.recorded_at, rtt_us = new.rtt_us, missed = 0
    {_OPEN_SESSION};""",
    "missed": f"""
    INSERT INTO connections_beat SELECT position, new.recorded_at, NULL, new.missed
    FROM connections {_OPEN_SESSION};
    UPDATE connections SET missed = new.missed {_OPEN_SESSION};""",
    # Whether these heartbeats still had their content when they were folded or not, their minutes
    # look the same from here on, and so does the connection.
    "compacted": f"""
    INSERT OR REPLACE INTO connections_compacted VALUES (new.until);
    DELETE FROM connections_beat WHERE (opened, at / {MINUTE_US}) IN (
        SELECT position, minute {_SAMPLES});
    INSERT OR REPLACE INTO connections_beat
    SELECT position, max(minute * {MINUTE_US}, opened_at), iif(n > 0, mean, NULL), misses
    {_SAMPLES};
    UPDATE connections SET
        heard_at = ifnull((SELECT at {_LAST} AND rtt_us IS NOT NULL ORDER BY at DESC LIMIT 1),
            opened_at),
        rtt_us = (SELECT rtt_us {_LAST} AND rtt_us IS NOT NULL ORDER BY at DESC LIMIT 1),
        missed = ifnull((SELECT missed {_LAST} ORDER BY at DESC LIMIT 1), 0)
    WHERE (session, user, device) IN (SELECT session, user, device {_SAMPLES});""",
    "started": f"{_CLOSE} WHERE closed_at IS NULL AND boot <> new.boot;",
    "stopped": f"{_CLOSE} WHERE closed_at IS NULL AND boot = new.boot;",
}


def _evolve(recorded: RecordedEvent, event: Event | None) -> Statement | None:
    now: Values = {"recorded_at": recorded.recorded_at}
    match event:
        case ServerStarted():
            return Statement("started", {**now, **_end(ABNORMAL, "server_restarted", event.boot)})
        case ServerStopped():
            return Statement("stopped", {**now, **_end(RESTART, "server_stopped", event.boot)})
        case HeartbeatsCompacted():
            return Statement(
                "compacted", {"until": within(event.until, recorded), "samples": _rows(event)}
            )
        case ClientConnected() | ClientDisconnected() | HeartbeatAnswered() | HeartbeatMissed():
            if (whose := device_of(recorded.stream)) is None:
                return None
            user, device = whose
            of = {**now, "session": event.session, "user": user, "device": device}
            return _session(recorded, event, of)
    return None


def _session(
    recorded: RecordedEvent,
    event: ClientConnected | ClientDisconnected | HeartbeatAnswered | HeartbeatMissed,
    of: Values,
) -> Statement:
    match event:
        case ClientConnected():
            opened = {"boot": event.boot, "address": event.address, "outcome": event.outcome}
            return Statement("connected", {**of, "position": recorded.position, **opened})
        case ClientDisconnected():
            return Statement("disconnected", {**of, "code": event.code, "reason": event.reason})
        case HeartbeatAnswered():
            return Statement("answered", {**of, "rtt_us": round(event.rtt_ms * 1000)})
        case HeartbeatMissed():
            return Statement("missed", {**of, "missed": event.missed})
    assert_never(event)


def _rows(event: HeartbeatsCompacted) -> str:
    """A JSON list of each minute's values, in the order of ``_CELLS``."""
    rows = [(beats.session, beats.user, beats.device, *sample) for beats, sample in samples(event)]
    return orjson.dumps(rows).decode().replace("\\u0000", "\ufffd")  # as in all values


def _end(code: int, reason: str, boot: str) -> Values:
    return {"code": code, "reason": reason, "boot": boot}


CONNECTIONS = Projection(
    name="connections",
    version=5,
    types=frozenset(
        cls.type
        for cls in (
            ClientConnected,
            ClientDisconnected,
            HeartbeatAnswered,
            HeartbeatMissed,
            HeartbeatsCompacted,
            ServerStarted,
            ServerStopped,
        )
    ),
    tables=_TABLES,
    steps=_STEPS,
    evolve=_evolve,
)

# --- queries -----------------------------------------------------------------------------------


def _milliseconds(microseconds: int | None) -> float | None:
    return None if microseconds is None else microseconds / 1000


@frozen
class Connection:
    """One session. ``closed_at``, ``code`` and ``reason`` are None while it is open.

    ``position`` is where its ``client.connected`` is in the log; ``heard_at`` the last answered
    ping, or the start; ``missed`` the pings in a row since then that were not.
    """

    session: str
    user: str
    device: str
    boot: str
    address: str | None
    outcome: str
    position: int
    opened_at: Microseconds
    heard_at: Microseconds
    rtt_ms: float | None = field(converter=_milliseconds)
    missed: int
    closed_at: Microseconds | None
    code: int | None
    reason: str | None


@frozen
class Presence:
    """A user who is online: on how many devices; ``since`` is when the oldest session began."""

    user: str
    devices: int
    since: Microseconds


_READS = ("connections",)

_BEAT = "FROM connections_beat WHERE opened = position AND at <= :as_of_us"
_PAST = f"""
SELECT session, user, device, boot, address, outcome, position, opened_at,
    ifnull((SELECT at {_BEAT} AND rtt_us IS NOT NULL ORDER BY at DESC LIMIT 1), opened_at),
    (SELECT rtt_us {_BEAT} AND rtt_us IS NOT NULL ORDER BY at DESC LIMIT 1),
    ifnull((SELECT missed {_BEAT} ORDER BY at DESC LIMIT 1), 0),
    iif(closed_at <= :as_of_us, closed_at, NULL), iif(closed_at <= :as_of_us, code, NULL),
    iif(closed_at <= :as_of_us, reason, NULL)
FROM connections
WHERE position <= :as_of"""


def list_connections(
    *, limit: int = 1_000, before: int | None = None, closed: bool = False
) -> Query[Connection]:
    """The open sessions, newest first, or with ``closed`` also the past ones.

    ``before`` is the last one's ``position``.
    """
    sql = f"""SELECT * FROM connections
        WHERE position < :before {"" if closed else "AND closed_at IS NULL"}
        ORDER BY position DESC LIMIT :limit"""
    past = f"""{_PAST} AND position < :before
        {"" if closed else "AND (closed_at IS NULL OR closed_at > :as_of_us)"}
        ORDER BY position DESC LIMIT :limit"""
    beyond = POSITION_MAX if before is None else before
    return Query(sql, {"before": beyond, "limit": limit}, Connection, _READS, past)


def compacted_until() -> Query[int]:
    """The position up to which heartbeats are compacted; no row for none."""
    sql = "SELECT until FROM connections_compacted ORDER BY until DESC LIMIT 1"
    return Query(sql, {}, int, _READS)


def presence(now_us: int, *, grace_s: float = GRACE_S) -> Query[Presence]:
    """Every user who is online, over all devices, in order of name.

    Who was lost less than ``grace_s`` before ``now_us`` still is: a reload, a tunnel or a restart
    of the server must not flicker in everybody's window. ``now_us`` is µs since the Unix epoch.
    """
    since = now_us - round(grace_s * 1_000_000)
    return Query(_present(), {"since": since}, Presence, _READS, _present("opened_at <= :as_of_us"))


def _present(at: str = "true") -> str:
    return f"""SELECT user, count(DISTINCT device), min(opened_at) FROM connections
        WHERE {at} AND (closed_at IS NULL OR closed_at > :since) GROUP BY user ORDER BY user"""
