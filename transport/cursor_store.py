"""Where the application keeps its cursor, so that an event and its effect are one transaction.

A client that stores the cursor elsewhere than the effect sees an event again, or never, whenever it
dies between the two. :class:`SqliteCursorStore` therefore writes into the application's own
transaction (G8); any other database does the same with ``MemoryCursorStore(cursor_from_there)``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol

from eventstore.cursor import Cursor

_TABLE = "CREATE TABLE IF NOT EXISTS malote_cursor (name TEXT PRIMARY KEY, cursor TEXT NOT NULL)"
_LOAD = "SELECT cursor FROM malote_cursor WHERE name = ?"
_SAVE = "INSERT OR REPLACE INTO malote_cursor (name, cursor) VALUES (?, ?)"


class CursorStore(Protocol):
    """What the client needs of a store. Plain functions, called in the application's task."""

    def load(self) -> Cursor | None:
        """The cursor that would survive a crash now; None where nothing was stored yet."""

    @property
    def in_transaction(self) -> bool:
        """Whether the application is amid a transaction: its newest effects may yet be undone."""

    def save(self, cursor: Cursor) -> None:
        """Write the cursor as part of whatever transaction the application is in; no commit."""

    def settle(self, cursor: Cursor) -> Cursor | None:
        """The application is done up to ``cursor``: see to it, and say what is durable.

        Called between two events. A transaction that is still open is left alone: it belongs to the
        application, and until its commit the answer is the cursor before it.
        """


class MemoryCursorStore:
    """Remembers while the process lives; after a restart the server's ack floor decides.

    Give it a ``cursor`` where the application keeps its own record of ``event.cursor``.
    """

    def __init__(self, cursor: Cursor | None = None) -> None:
        self._cursor = cursor

    def load(self) -> Cursor | None:
        """The last cursor saved in this process."""
        return self._cursor

    @property
    def in_transaction(self) -> bool:
        """Never: memory has none."""
        return False

    def save(self, cursor: Cursor) -> None:
        """Remember this cursor."""
        self._cursor = cursor

    def settle(self, cursor: Cursor) -> Cursor | None:
        """Remember this cursor; memory is as durable as this store gets."""
        self._cursor = cursor
        return cursor


class SqliteCursorStore:
    """The cursor in a table ``malote_cursor`` of the application's database, one row a name.

    Make it outside a transaction. Raises :class:`ValueError` inside one, and for a connection with
    ``autocommit=False``, which is never outside one, so that a commit could not be told.
    """

    def __init__(self, connection: sqlite3.Connection, name: str = "inbox") -> None:
        if connection.in_transaction:
            raise ValueError(
                "a cursor store is made outside a transaction, on a connection that has an outside"
            )
        connection.execute(_TABLE)
        self._connection = connection
        self._name = name
        self._durable: Cursor | None = None

    def load(self) -> Cursor | None:
        """The cursor last committed."""
        if not self._connection.in_transaction:
            row = self._connection.execute(_LOAD, (self._name,)).fetchone()
            self._durable = None if row is None else Cursor.parse(row[0])
        return self._durable

    @property
    def in_transaction(self) -> bool:
        """Whether the connection has an open transaction."""
        return self._connection.in_transaction

    def save(self, cursor: Cursor) -> None:
        """Write the cursor; it counts when the application's transaction commits."""
        self._connection.execute(_SAVE, (self._name, str(cursor)))

    def settle(self, cursor: Cursor) -> Cursor | None:
        """Save for an application that did not (it passed the event over), and say what counts."""
        if not self._connection.in_transaction and self.load() != cursor:
            with self._connection:
                self.save(cursor)
        return self.load()


@contextmanager
def cursor_file(path: Path, name: str = "inbox") -> Iterator[SqliteCursorStore]:
    """A store in a file of its own, for a program whose effects lie elsewhere: at least once.

    A power cut may take the newest cursors with it, never their order; events then come again.
    """
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        yield SqliteCursorStore(connection, name)
