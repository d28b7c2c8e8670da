"""The one connection that writes to the log and checkpoints it.

A group is two hops to the connection's thread (aiosqlite costs 40-110 µs for each): look keys up,
then write and commit, in one statement. Any exception in here means that the outcome is unknown;
the log then opens a new writer and looks at what is there.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import aiosqlite
import orjson

from eventstore.apply import Applied, Known
from eventstore.compaction import BEATS
from eventstore.connection import APPLICATION_ID, FORMAT, Row, fetch, open_writer
from eventstore.draft import KEY_BYTES
from eventstore.folder import FolderUnfit

# A group goes in by one statement with few parameters, and so does a lookup. The sqlite3 module
# gives the GIL away at every step, and takes up to 5 ms to have it back from a busy event loop:
# executemany of 1,000 rows, 4 ms by itself, took 1,700 ms beside one, this takes 14 ms.
#
# Outside of BEGIN and COMMIT a statement is a transaction, all or none of it: COMMIT, and the sync
# of the WAL, are over when it returns.
_APPEND = """
INSERT INTO appended SELECT
    row.value ->> 0, row.value ->> 1, row.value ->> 2, row.value ->> 3, row.value ->> 4,
    row.value ->> 5, substr(?2, row.value ->> 6, row.value ->> 7),
    substr(?3, row.key * 96 + 1, 32), substr(?3, row.key * 96 + 33, 16),
    row.value ->> 8, row.value ->> 9, substr(?3, row.key * 96 + 49, 32),
    iif(row.value ->> 10, substr(?3, row.key * 96 + 81, 16), NULL)
FROM json_each(?1) AS row
"""
_ERASE = """
UPDATE events SET data = NULL, salt = NULL WHERE position IN (SELECT value FROM json_each(?))
"""
_COMPACT = f"""
UPDATE events SET data = NULL, salt = NULL WHERE position > ? AND position <= ?
    AND type IN ({", ".join(repr(name) for name in sorted(BEATS))}) AND data IS NOT NULL
"""  # noqa: S608 - names of our own types
_LOOKUP = """
WITH RECURSIVE piece(at) AS (
    SELECT 1 UNION ALL SELECT at + 16 FROM piece WHERE at + 16 < length(?1)
)
SELECT keys.digest, events.position, events.hash, events.data_hash, events.salt
FROM piece
CROSS JOIN keys ON keys.digest = substr(?1, piece.at, 16)
CROSS JOIN events ON events.position = keys.position
"""

CHECKPOINT_PAGES = 4096
"""Checkpoint when about this many pages (16 MiB) wait in the WAL."""
WAL_BYTES_MAX = 64 * 1024 * 1024
_NO_KEY = bytes(KEY_BYTES)
_PAGE_BYTES = 4096
_GROUP_PAGES = 6
_EVENTS_A_PAGE = 10


class Writer:
    """Writes whole groups, durably, and keeps the WAL short."""

    def __init__(self, connection: aiosqlite.Connection, path: Path) -> None:
        self._connection = connection
        self._wal = path.with_name(path.name + "-wal")
        self._wal_pages = 0
        self.purged = True
        """Whether nothing that was erased is left in the WAL."""

    @classmethod
    async def open(cls, path: Path, factory: type[sqlite3.Connection]) -> Writer:
        """Open the log's file; an empty one becomes a log. Raises FolderUnfit, sqlite3.Error."""
        connection = await open_writer(path, factory)
        try:
            await _prepare(connection, path)
        except BaseException:
            await connection.close()
            raise
        return cls(connection, path)

    async def fetch(self, sql: str, parameters: Sequence[Any]) -> list[Row]:
        """Ask the writing connection itself: after a doubt, what counts is what it sees."""
        return await fetch(self._connection, sql, parameters)

    async def known(self, keys: Sequence[bytes]) -> dict[bytes, Known]:
        """Those of the keys that are in the log, with the event first stored under each."""
        if not keys:
            return {}
        rows = await self.fetch(_LOOKUP, (b"".join(keys),))
        return {digest: Known(*first) for digest, *first in rows}

    async def commit(self, applied: Applied) -> None:
        """Write a group; when this returns, it is durable."""
        if not applied.rows:
            return
        if applied.erased or applied.compacted:
            await self._commit_and_erase(applied)
        else:
            await self._connection.execute_fetchall(_APPEND, _packed(applied))
        self._wal_pages += _pages(applied)

    async def _commit_and_erase(self, applied: Applied) -> None:
        """As ever, and erase what the group says is erased, in one transaction."""
        await self._connection.execute_fetchall("BEGIN IMMEDIATE")
        await self._connection.execute_fetchall(_APPEND, _packed(applied))
        if applied.erased:
            self.purged = False
            positions = orjson.dumps(applied.erased).decode()
            await self._connection.execute_fetchall(_ERASE, (positions,))
        for after, until in applied.compacted:  # these are nobody's words: the WAL may keep them
            await self._connection.execute_fetchall(_COMPACT, (after, until))
            self._wal_pages += (until - after) // _EVENTS_A_PAGE
        await self._connection.execute_fetchall("COMMIT")

    async def checkpoint_if_due(self, *, idle: bool) -> None:
        """Move the WAL's pages into the database when there are many; between groups only.

        After an erasure at once, and all of them: the WAL has the pages as they were before.
        """
        if not self.purged:
            self.purged = await self.checkpoint("TRUNCATE")
        if self._wal_pages < CHECKPOINT_PAGES:
            return
        done = await self.checkpoint("PASSIVE")
        if done and idle and self._wal.stat().st_size > WAL_BYTES_MAX:
            await self.checkpoint("TRUNCATE")

    async def checkpoint(self, mode: str) -> bool:
        """Checkpoint; tell whether the whole WAL is in the database now (a reader may hold it)."""
        [(busy, logged, moved)] = await self._connection.execute_fetchall(
            f"PRAGMA wal_checkpoint({mode})"
        )
        done = not busy and logged == moved
        # What a reader held back is tried again after a quarter more.
        self._wal_pages = 0 if done else CHECKPOINT_PAGES * 3 // 4
        return done

    async def settle(self) -> None:
        """Move the whole WAL into the database and start it anew; raise if a reader holds it.

        After a failed sync the kernel may have marked pages clean that never reached the disk, and
        a later sync of the same file then succeeds. So what is in the WAL is written once more,
        elsewhere, and synced there, before anything is acknowledged again.
        """
        if not await self.checkpoint("TRUNCATE"):
            raise sqlite3.OperationalError("a reader holds the WAL")

    async def close(self) -> None:
        """Close the connection; the last one of the file moves the WAL into it."""
        await self._connection.close()


def _packed(applied: Applied) -> tuple[str, bytes, bytes]:
    """Envelopes as JSON, with where their data begins; all data; all hashes, salts and keys."""
    keys = {position: key for key, position in applied.keys}
    envelopes: list[tuple[object, ...]] = []
    data: list[bytes] = []
    digests: list[bytes] = []
    start = 1
    for row in applied.rows:
        size, key = len(row[6]), keys.get(row[0])
        envelopes.append((*row[:6], start, size, row[9], row[10], key is not None))
        data.append(row[6])
        digests += (row[7], row[8], row[11], key or _NO_KEY)
        start += size
    return orjson.dumps(envelopes).decode(), b"".join(data), b"".join(digests)


def _pages(applied: Applied) -> int:
    """About how many pages a commit put into the WAL, rather more than less.

    SQLite does not tell without a checkpoint, and the file does not shrink after one. Keys are
    random: each lands on a page of its own once their tree has more pages than the group has keys.
    """
    size = 300 * len(applied.rows) + sum([len(row[6]) for row in applied.rows])
    key_pages = min(len(applied.keys), applied.head.position // 100 + 1)
    return _GROUP_PAGES + size // _PAGE_BYTES + key_pages


async def _prepare(connection: aiosqlite.Connection, path: Path) -> None:
    """Make the tables in an empty file; refuse a file that is not a log of this format."""
    [(application,)] = await connection.execute_fetchall("PRAGMA application_id")
    [(format_,)] = await connection.execute_fetchall("PRAGMA user_version")
    [(tables,)] = await connection.execute_fetchall("SELECT count(*) FROM sqlite_schema")
    if (application, format_, tables) == (0, 0, 0):
        await connection.executescript(_schema())
        await connection.execute(
            "INSERT INTO meta VALUES ('epoch', ?), ('format', ?)", (new_epoch(), str(FORMAT))
        )
        await connection.commit()
    elif application != APPLICATION_ID:
        raise FolderUnfit(f"{path} is not a Malote log")
    elif format_ != FORMAT:
        raise FolderUnfit(f"{path} has format {format_}; this release reads format {FORMAT}")
    else:
        await _renew_trigger(connection)


def _schema() -> str:
    return resources.files("eventstore").joinpath("schema.sql").read_text("utf-8")


async def _renew_trigger(connection: aiosqlite.Connection) -> None:
    """Give the log of an older release this release's rule of what may change."""
    name = "events_unchanged"
    begin = (schema := _schema()).index(f"CREATE TRIGGER {name}")
    wanted = schema[begin : schema.index("END;", begin) + 3]
    [(found,)] = await connection.execute_fetchall(
        "SELECT ifnull(max(sql), '') FROM sqlite_schema WHERE name = ?", (name,)
    )
    if found != wanted:
        await connection.executescript(f"BEGIN; DROP TRIGGER IF EXISTS {name}; {wanted}; COMMIT;")


def new_epoch() -> str:
    """A log's name, drawn anew when it is made and when a backup is restored."""
    return secrets.token_hex(16)
