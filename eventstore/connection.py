"""Opening the log's SQLite file: one connection that writes, a few that only read.

Before SQLite 3.51.3, two connections that checkpoint can corrupt a WAL database between them, and
Debian 12 ships 3.40.1. So exactly one writes and checkpoints; the readers cannot do either.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import aiosqlite

from eventstore.folder import FolderUnfit
from eventstore.recheck import ChainBroken

APPLICATION_ID = 0x4D61_6C6F
FORMAT = 1
BUSY_TIMEOUT_S = 0.25
"""How long the writer waits for readers when it truncates the WAL; everybody waits with it."""

_UNREADABLE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
GUARDS = ("PRAGMA trusted_schema=OFF", "PRAGMA cell_size_check=ON")


Row: TypeAlias = tuple[Any, ...]
Fetch: TypeAlias = Callable[[str, Sequence[Any]], Awaitable[list[Row]]]
"""All rows of one query: what a reader, or the writer after a doubt, is asked with."""


def is_corrupt(error: BaseException) -> bool:
    """Whether the file itself is damaged or another one, not that an operation failed."""
    if isinstance(error, sqlite3.DatabaseError):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in _UNREADABLE
    return isinstance(error, ChainBroken)


async def open_writer(path: Path, factory: type[sqlite3.Connection]) -> aiosqlite.Connection:
    """The writing connection of an existing file; raises :class:`FolderUnfit` where WAL is not."""
    connection = await _open(
        path, "rw", factory=factory, isolation_level=None, timeout=BUSY_TIMEOUT_S
    )
    async with _closed_on_error(connection):
        [(mode,)] = await connection.execute_fetchall("PRAGMA journal_mode=WAL")
        if mode != "wal":
            raise FolderUnfit(f"{path}: this file system does not take SQLite's WAL (it is {mode})")
        # NORMAL, which does not sync the WAL at a commit, lost acknowledged events in 448 of 1,000
        # simulated power cuts, FULL in none of 6,000. Checkpoints are ours, between groups.
        # What is erased is overwritten in its page, not only unlinked.
        await _pragmas(
            connection,
            "PRAGMA synchronous=FULL",
            "PRAGMA wal_autocheckpoint=0",
            "PRAGMA secure_delete=ON",
        )
    return connection


async def open_reader(path: Path) -> aiosqlite.Connection:
    """A connection that cannot change anything."""
    connection = await _open(path, "ro", isolation_level=None)
    async with _closed_on_error(connection):
        await _pragmas(connection, "PRAGMA query_only=ON")
    return connection


def uri(path: Path, mode: str) -> str:
    """How SQLite is asked to open an existing file, to write (``rw``) or only to read (``ro``)."""
    return f"{path.absolute().as_uri()}?mode={mode}"


async def _open(path: Path, mode: str, **options: Any) -> aiosqlite.Connection:
    connection = await aiosqlite.connect(uri(path, mode), uri=True, **options)
    async with _closed_on_error(connection):
        await _pragmas(connection, *GUARDS)
    return connection


async def _pragmas(connection: aiosqlite.Connection, *pragmas: str) -> None:
    for pragma in pragmas:
        await connection.execute_fetchall(pragma)


@asynccontextmanager
async def _closed_on_error(connection: aiosqlite.Connection) -> AsyncIterator[None]:
    """What is not closed hangs the process at its exit: aiosqlite's thread is not a daemon."""
    try:
        yield
    except BaseException:
        await connection.close()
        raise


async def fetch(connection: aiosqlite.Connection, sql: str, parameters: Sequence[Any]) -> list[Row]:
    """All rows of one query, as tuples."""
    return [tuple(row) for row in await connection.execute_fetchall(sql, parameters)]


class Readers:
    """A small fixed pool of reading connections."""

    def __init__(self, connections: Sequence[aiosqlite.Connection]) -> None:
        self._connections = connections
        self._idle: asyncio.LifoQueue[aiosqlite.Connection] = asyncio.LifoQueue()
        for connection in connections:
            self._idle.put_nowait(connection)

    @classmethod
    async def open(cls, path: Path, count: int) -> Readers:
        """Open ``count`` readers of an existing file."""
        async with AsyncExitStack() as opened:
            connections = []
            for _ in range(count):
                connections.append(await open_reader(path))
                opened.push_async_callback(connections[-1].close)
            opened.pop_all()
        return cls(connections)

    async def fetch(self, sql: str, parameters: Sequence[Any]) -> list[Row]:
        """Ask one reader, in one hop to its thread. Keep it a page."""
        connection = await self._idle.get()
        try:
            return await fetch(connection, sql, parameters)
        finally:
            self._idle.put_nowait(connection)

    async def close(self) -> None:
        """Close them all; what is being read is read to its end first."""
        for connection in self._connections:
            await connection.close()
