"""The tables refuse what a bug, or a person with a shell, might do to them."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from eventstore.draft import Draft, idempotency_key
from eventstore.events import HeartbeatMissed, MessageRevoked
from eventstore.log import EventLog
from eventstore.reader import _VISIBLE

COLUMNS = (
    "position", "recorded_at", "stream", "conversation", "type", "version",
    "data_hash", "correlation_id", "causation_id", "hash",
)  # fmt: skip
OTHERS = (
    "recorded_at, stream, conversation, type, version, data, data_hash, salt, correlation_id,"
    "causation_id, hash"
)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A log of three events, two of them keyed, open to anybody's SQL."""

    async def made() -> None:
        log = await EventLog.open(tmp_path)
        keys = [idempotency_key("a", "m", name) for name in "ab"]
        drafts = [Draft("inbox:a", MessageRevoked("m"), "c_1", key, "r") for key in keys]
        await log.append([*drafts, Draft("client:x/y", HeartbeatMissed("s", 1), cause=0)])
        await log.close()

    asyncio.run(made())
    with closing(sqlite3.connect(tmp_path / "log.db", isolation_level=None)) as connection:
        yield connection


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM events",
        "DELETE FROM events WHERE position = 3",
        "DELETE FROM keys",
        "UPDATE keys SET position = 2",
        "INSERT OR REPLACE INTO keys SELECT digest, 3 FROM keys LIMIT 1",
        "INSERT OR REPLACE INTO events SELECT * FROM events WHERE position = 2",
        f"INSERT INTO events SELECT position + 4, {OTHERS} FROM events LIMIT 1",  # noqa: S608
        f"INSERT INTO events SELECT NULL, {OTHERS} FROM events LIMIT 1",  # noqa: S608
        f"INSERT INTO appended SELECT position + 4, {OTHERS}, NULL FROM events LIMIT 1",  # noqa: S608
        # The event would be in order: with its key refused, it is not there either.
        f"INSERT INTO appended SELECT 4, {OTHERS}, digest FROM events JOIN keys USING (position)",  # noqa: S608
        "UPDATE events SET data = NULL",
        "UPDATE events SET salt = NULL",
        "UPDATE events SET data = x'00', salt = x'00'",
        "UPDATE events SET position = 9, data = NULL, salt = NULL WHERE position = 3",
    ],
)
def test_history_cannot_be_changed(connection: sqlite3.Connection, statement: str) -> None:
    """No delete, no replace, no gap, no half redaction, no other content."""
    before = list(connection.iterdump())
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute(statement)
    assert list(connection.iterdump()) == before


@pytest.mark.parametrize("column", COLUMNS[1:])
def test_a_redaction_changes_nothing_else(connection: sqlite3.Connection, column: str) -> None:
    """With data and salt to NULL, every other column still has to stay as it is."""
    [[kind]] = connection.execute(f"SELECT typeof({column}) FROM events WHERE position = 3")  # noqa: S608
    other = {"integer": "999", "blob": "x'00'", "text": "'other'", "null": "'other'"}[kind]
    with pytest.raises(sqlite3.IntegrityError, match="never change"):
        connection.execute(
            f"UPDATE events SET data = NULL, salt = NULL, {column} = {other} WHERE position = 3"  # noqa: S608
        )


def test_a_redaction_is_allowed(connection: sqlite3.Connection) -> None:
    """Both to NULL, once and for all: of what holds words, of heartbeats, and of no other."""
    connection.execute(
        "INSERT INTO events SELECT 4, recorded_at, 'system', NULL, 'server.started', version, data,"
        " data_hash, salt, NULL, NULL, hash FROM events WHERE position = 3"
    )
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute("UPDATE events SET data = NULL, salt = NULL WHERE position = 4")
    connection.execute("UPDATE events SET data = NULL, salt = NULL WHERE position = 3")
    connection.execute("UPDATE events SET data = NULL, salt = NULL WHERE position = 1")
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute("UPDATE events SET data = x'7b7d', salt = x'00' WHERE position = 1")
    assert connection.execute(
        "SELECT position FROM events WHERE data IS NULL AND salt IS NULL"
    ).fetchall() == [(1,), (3,)]


def test_the_index_of_visible_events_is_used(connection: sqlite3.Connection) -> None:
    """The query repeats the index's WHERE, or every resume would wade through the heartbeats."""
    plan = connection.execute(
        f"EXPLAIN QUERY PLAN SELECT position FROM events WHERE {_VISIBLE}"  # noqa: S608
        " AND stream = ? AND position > ? ORDER BY position LIMIT ?",
        ("inbox:a", 0, 10),
    ).fetchall()
    assert [row[3] for row in plan] == [
        "SEARCH events USING COVERING INDEX events_visible (stream=? AND position>?)"
    ]
