"""Answers and digests say what the rows say, and nothing about how they came there."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from projections.reading import PAGE_ROWS, digest, pages

Row = tuple[int | None, str]


def table(rows: Iterable[Row], name: str = "t") -> sqlite3.Connection:
    """A table that keeps the order in which its rows were written."""
    db = sqlite3.connect(":memory:")
    db.execute(f"CREATE TABLE {name} (number INTEGER, text TEXT)")
    db.executemany(f"INSERT INTO {name} VALUES (?, ?)", rows)  # noqa: S608 - a test's name
    return db


def digest_of(rows: Iterable[Row], name: str = "t") -> str:
    """The digest of such a table."""
    db = table(rows, name)
    try:
        return digest(db, name)
    finally:
        db.close()


ROWS: list[Row] = [(number % 7, f"{number}") for number in range(2 * PAGE_ROWS + 3)]


def test_the_order_in_which_rows_were_written_is_not_in_the_digest() -> None:
    """Nor their rowids: only what a query can see."""
    assert digest_of(ROWS) == digest_of(reversed(ROWS))


def test_every_difference_in_a_value_is_in_the_digest() -> None:
    """A number is not its text, NULL is not nothing, and values do not run into each other."""
    tables = [[(1, "a")], [(1, "b")], [(2, "a")], [(None, "a")], [(1, "")], [], [(1, "a")] * 2]
    different = [*tables, [(1, "1,a")], [(1, 'a"')], [(1, "a"), (1, "b")], [(1, 'a"],[1,"b')]]
    assert len({digest_of(rows) for rows in different}) == len(different)
    assert digest_of([(1, "a")]) != digest_of([(1, "a")], "other")


def test_pages_hold_all_rows_once_and_no_page_more_than_it_may() -> None:
    """Whatever the number of rows."""
    db = table(ROWS)
    found = list(pages(db, "t"))
    db.close()
    assert [len(page) for page in found] == [PAGE_ROWS, PAGE_ROWS, 3]
    assert [tuple(row) for page in found for row in page] == sorted(ROWS)
