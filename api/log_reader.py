"""The log's file as the command line reads it: by a connection that can change nothing.

It needs neither the folder's lock nor the server's help.
"""

# ruff: noqa: S608 - SQL is put together from constants of our own files; values are always bound

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from eventstore.apply import Head
from eventstore.events import RecordedEvent
from eventstore.folder import log_path

PAGE_EVENTS = 500

_COLUMNS = """position, recorded_at, stream, conversation, type, version, data,
    correlation_id, causation_id, hash"""
_EPOCH = "SELECT value FROM meta WHERE name = 'epoch'"
_HEAD = "SELECT position, recorded_at, hash FROM events WHERE position <= ?1 ORDER BY position DESC"
_KEYED = "SELECT position FROM keys WHERE digest = ?1"
_LINKS = f"SELECT {_COLUMNS}, data_hash, salt FROM events WHERE position > ?1 ORDER BY position"


class LogReader:
    """A log file opened for reading only; close it."""

    def __init__(self, folder: Path) -> None:
        """Raises ``sqlite3.OperationalError`` where there is no log to read."""
        if not log_path(folder).exists():
            raise sqlite3.OperationalError("there is none yet; MALOTE_DATA names its folder")
        uri = f"{log_path(folder).resolve().as_uri()}?mode=ro"
        self._connection = sqlite3.connect(uri, uri=True, isolation_level=None)
        try:
            self._connection.execute("PRAGMA query_only = ON")
            ((self.epoch,),) = self._connection.execute(_EPOCH).fetchall()
        except (sqlite3.Error, ValueError):
            self._connection.close()
            raise

    def after(self, position: int) -> Iterator[RecordedEvent]:
        """The events after a position, up to a page of them, in one read transaction."""
        yield from self.where("position > ?1", position, PAGE_EVENTS)

    def where(self, condition: str, value: str | int, limit: int) -> Iterator[RecordedEvent]:
        """The first events of which a condition in SQL holds; ``?1`` in it is ``value``."""
        sql = f"SELECT {_COLUMNS} FROM events WHERE {condition} ORDER BY position LIMIT ?2"
        for row in self._connection.execute(sql, (value, limit)):
            yield RecordedEvent(*row)

    def keyed(self, key: bytes) -> int | None:
        """The position of the event that was stored under an idempotency key."""
        row = self._connection.execute(_KEYED, (key,)).fetchone()
        return None if row is None else int(row[0])

    def head(self, until: int = 2**63 - 1) -> Head:
        """The newest event up to a position."""
        row = self._connection.execute(_HEAD, (until,)).fetchone()
        return Head(*row) if row else Head()

    def position_at(self, time_us: int) -> int:
        """The last position recorded at or before a time (µs), 0 if none: a binary search."""
        low, high = 0, self.head().position
        while low < high:
            middle = (low + high + 1) // 2
            soon = self.head(middle).recorded_at <= time_us
            low, high = (middle, high) if soon else (low, middle - 1)
        return low

    def links(self, position: int) -> Iterator[tuple[RecordedEvent, bytes, bytes | None]]:
        """Each event after a position with its data's hash and salt, as the chain is checked by."""
        for *event, data_hash, salt in self._connection.execute(_LINKS, (position,)):
            yield RecordedEvent(*event), data_hash, salt

    def close(self) -> None:
        """Let the file go."""
        self._connection.close()
