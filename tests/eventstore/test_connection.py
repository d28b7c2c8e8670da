"""Both kinds of connection are as safe as they are said to be."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import aiosqlite
import pytest

from eventstore.connection import fetch, open_reader, open_writer

GUARDS = {"trusted_schema": 0, "cell_size_check": 1}


async def _pragmas(
    connection: aiosqlite.Connection, names: Mapping[str, object]
) -> dict[str, object]:
    return {name: (await fetch(connection, f"PRAGMA {name}", ()))[0][0] for name in names}


def test_the_pragmas_hold(tmp_path: Path) -> None:
    """FULL sync, no checkpoint but our own, no writing reader (security row 33)."""
    (tmp_path / "log.db").touch()

    async def scenario() -> None:
        writer = await open_writer(tmp_path / "log.db", sqlite3.Connection)
        reader = await open_reader(tmp_path / "log.db")
        try:
            wanted = GUARDS | {"synchronous": 2, "wal_autocheckpoint": 0, "journal_mode": "wal"}
            assert await _pragmas(writer, wanted) == wanted
            assert await _pragmas(reader, GUARDS | {"query_only": 1}) == GUARDS | {"query_only": 1}
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                await fetch(reader, "CREATE TABLE t (x)", ())
            with pytest.raises(sqlite3.OperationalError, match="not authorized"):
                await fetch(writer, "SELECT load_extension('x')", ())
        finally:
            await reader.close()
            await writer.close()

    asyncio.run(scenario())
