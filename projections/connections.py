"""Who is connected, since when, how well; and who was.

A session is open from ``client.connected`` until ``client.disconnected``, or until a server with
another boot id took the log: a process that was killed recorded no disconnects, and nobody is
online for ever.
"""

# ruff: noqa: S608 - SQL is put together from constants of these files; values are always bound

from __future__ import annotations

from attrs import frozen

from eventstore.events import (
    ClientConnected,
    ClientDisconnected,
    Event,
    HeartbeatAnswered,
    HeartbeatMissed,
    RecordedEvent,
    ServerStarted,
    ServerStopped,
)
from projections.deliveries import device_of
from projections.projection import POSITION_MAX, Microseconds, Projection, Query, Statement

ABNORMAL = 1006
"""The WebSocket close code of a connection that ended without one."""

_SCHEMA = """
CREATE TABLE connections (
    session TEXT NOT NULL, user TEXT NOT NULL, device TEXT NOT NULL, boot TEXT NOT NULL,
    address TEXT, outcome TEXT NOT NULL, position INTEGER NOT NULL, opened_at INTEGER NOT NULL,
    heard_at INTEGER NOT NULL, rtt_ms REAL, missed INTEGER NOT NULL,
    closed_at INTEGER, code INTEGER, reason TEXT,
    PRIMARY KEY (session, user, device)
) WITHOUT ROWID;
CREATE INDEX connections_open ON connections (user, device) WHERE closed_at IS NULL;
CREATE INDEX connections_newest ON connections (position);
"""

_CONNECTED = """
INSERT INTO connections VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, NULL, 0, NULL, NULL, NULL)
ON CONFLICT DO NOTHING
"""
_OPEN_SESSION = "WHERE session = ?1 AND user = ?2 AND device = ?3 AND closed_at IS NULL"
_DISCONNECTED = f"UPDATE connections SET closed_at = ?4, code = ?5, reason = ?6 {_OPEN_SESSION}"
_ANSWERED = f"UPDATE connections SET heard_at = ?4, rtt_ms = ?5, missed = 0 {_OPEN_SESSION}"
_MISSED = f"UPDATE connections SET missed = ?4 {_OPEN_SESSION}"
_CLOSE = f"UPDATE connections SET closed_at = ?1, code = {ABNORMAL}, reason = ?2"
_STARTED = f"{_CLOSE} WHERE closed_at IS NULL AND boot <> ?3"
_STOPPED = f"{_CLOSE} WHERE closed_at IS NULL AND boot = ?3"


def _evolve(recorded: RecordedEvent, event: Event | None) -> Statement | None:
    now = recorded.recorded_at
    match event:
        case ServerStarted():
            return Statement(_STARTED, (now, "server_restarted", event.boot))
        case ServerStopped():
            return Statement(_STOPPED, (now, "server_stopped", event.boot))
    if (device := device_of(recorded.stream)) is None:
        return None
    match event:
        case ClientConnected():
            opened = (event.boot, event.address, event.outcome, recorded.position, now)
            return Statement(_CONNECTED, (event.session, *device, *opened))
        case ClientDisconnected():
            return Statement(_DISCONNECTED, (event.session, *device, now, event.code, event.reason))
        case HeartbeatAnswered():
            return Statement(_ANSWERED, (event.session, *device, now, event.rtt_ms))
        case HeartbeatMissed():
            missed = min(event.missed, recorded.position)
            return Statement(_MISSED, (event.session, *device, missed))
    return None


CONNECTIONS = Projection(
    name="connections",
    version=1,
    types=frozenset(
        cls.type
        for cls in (
            ClientConnected,
            ClientDisconnected,
            HeartbeatAnswered,
            HeartbeatMissed,
            ServerStarted,
            ServerStopped,
        )
    ),
    schema=_SCHEMA,
    evolve=_evolve,
)

# --- queries -----------------------------------------------------------------------------------


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
    rtt_ms: float | None
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


def list_connections(
    *, limit: int = 1_000, before: int | None = None, closed: bool = False
) -> Query[Connection]:
    """The open sessions, newest first, or with ``closed`` also the past ones.

    ``before`` is the last one's ``position``.
    """
    sql = f"""SELECT * FROM connections
        WHERE position < :before {"" if closed else "AND closed_at IS NULL"}
        ORDER BY position DESC LIMIT :limit"""
    beyond = POSITION_MAX if before is None else before
    return Query(sql, {"before": beyond, "limit": limit}, Connection, _READS)


def presence() -> Query[Presence]:
    """Every user who is online, in order of name."""
    sql = """SELECT user, count(DISTINCT device), min(opened_at) FROM connections
        WHERE closed_at IS NULL GROUP BY user ORDER BY user"""
    return Query(sql, {}, Presence, _READS)
