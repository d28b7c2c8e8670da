"""Asking a projections file: answers with their cursor, whole tables, digests.

Whatever may be long comes from SQLite as JSON, many rows in one step, for the reason given in
:mod:`projections.projection`: rows one by one are slow beside a busy event loop. These functions
block; the projector calls them in its threads.
"""
# ruff: noqa: S608 - SQL is put together from constants of these files; values are always bound

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import orjson

from eventstore.cursor import Cursor
from projections.projection import Answer, Query

T = TypeVar("T")

PAGE_ROWS = 1_000
_WIDTHS: dict[str, int] = {}
"""By the SQL of a question: how many columns its answer has. There are some dozens of them."""


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that can change nothing, nor checkpoint: there is one that does (DESIGN 4)."""
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
    )
    for pragma in ("query_only=ON", "trusted_schema=OFF", "cell_size_check=ON"):
        db.execute(f"PRAGMA {pragma}")
    return db


def fetch(db: sqlite3.Connection, query: Query[T]) -> Answer[T]:
    """The rows and the cursor at which they stand: one statement, so one read transaction (G10)."""
    if (width := _WIDTHS.get(query.sql)) is None:
        width = _WIDTHS[query.sql] = _width(db, query)
    columns = ", ".join(f"c{number}" for number in range(width))
    [(epoch, position, hash8, rows)] = db.execute(
        f"WITH answer ({columns}) AS ({query.sql})"
        f" SELECT epoch, position, hash8,"
        f" (SELECT json_group_array(json_array({columns})) FROM answer)"
        " FROM checkpoint WHERE name = :reads",
        {**query.parameters, "reads": query.reads[0]},
    )
    return Answer([query.row(*row) for row in orjson.loads(rows)], Cursor(epoch, position, hash8))


def _width(db: sqlite3.Connection, query: Query[T]) -> int:
    with closing(db.execute(f"SELECT * FROM ({query.sql}) LIMIT 0", query.parameters)) as empty:
        return len(empty.description)


def digests(db: sqlite3.Connection, names: Sequence[str]) -> dict[str, str]:
    """The canonical digests of several projections, all at one position."""
    with _snapshot(db):
        return {name: digest(db, name) for name in names}


@contextmanager
def _snapshot(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN")
    try:
        yield
    finally:
        db.execute("ROLLBACK")


def tables(db: sqlite3.Connection, name: str) -> list[str]:
    """The tables of a projection, in order of name."""
    return [
        table
        for (table,) in db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
            " AND (name = ?1 OR name GLOB ?1 || '_*') ORDER BY name",
            (name,),
        )
    ]


def digest(db: sqlite3.Connection, name: str) -> str:
    """SHA-256 over all rows of a projection's tables, in the order of their columns' values.

    The same rows give the same digest in whatever order they were written: nothing goes in but the
    tables' names and the rows, as JSON.
    """
    hashed = sha256()
    for table in tables(db, name):
        hashed.update(f"{table}\n".encode())
        for rows in pages(db, table):
            hashed.update(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return hashed.hexdigest()


def pages(db: sqlite3.Connection, table: str) -> Iterator[list[list[Any]]]:
    """All rows of a table, ordered by their columns, some at a time (DESIGN 8: few steps)."""
    with closing(db.execute(f"SELECT * FROM {table} LIMIT 0")) as empty:
        columns = ", ".join(name for name, *_ in empty.description)
    rows = db.execute(
        f"SELECT json_group_array(json(row)) FROM (SELECT json_array({columns}) AS row,"
        f" row_number() OVER (ORDER BY {columns}) AS number FROM {table})"
        f" GROUP BY (number - 1) / {PAGE_ROWS}"
    )
    for (page,) in rows:
        yield orjson.loads(page)
