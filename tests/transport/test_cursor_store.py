from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from eventstore.cursor import Cursor
from tests.transport.fake_server import cursor
from transport.cursor_store import MemoryCursorStore, SqliteCursorStore


@pytest.fixture(params=["", None], ids=["implicit transactions", "explicit transactions"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """The application's database, in both ways of using the sqlite3 module."""
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path, isolation_level=request.param)) as connection:
        connection.execute("CREATE TABLE effects (position INTEGER)")
        yield connection


def on_disk(database: sqlite3.Connection, name: str = "inbox") -> Cursor | None:
    """What another process would find after a crash now."""
    path = database.execute("PRAGMA database_list").fetchone()[2]
    with closing(sqlite3.connect(path)) as other:
        row = other.execute("SELECT cursor FROM malote_cursor WHERE name = ?", (name,)).fetchone()
    return None if row is None else Cursor.parse(row[0])


def begin(database: sqlite3.Connection) -> None:
    """Open a transaction, whichever way this connection does it, with an effect in it."""
    if database.isolation_level is None:
        database.execute("BEGIN")
    database.execute("INSERT INTO effects VALUES (1)")


def test_a_new_store_knows_no_cursor(database: sqlite3.Connection) -> None:
    """A device that was never here says so, and the server decides where it begins."""
    assert SqliteCursorStore(database).load() is None
    assert MemoryCursorStore().load() is None


def test_a_saved_cursor_commits_with_the_effect(database: sqlite3.Connection) -> None:
    """Nothing is on disk before the application's commit, both are after it."""
    store = SqliteCursorStore(database)
    begin(database)
    store.save(cursor(7))
    assert on_disk(database) is None
    database.commit()
    assert on_disk(database) == cursor(7)
    assert store.load() == cursor(7)


def test_a_cursor_saved_before_the_effect_still_waits_for_the_commit(
    database: sqlite3.Connection,
) -> None:
    """The order inside the transaction is the application's; `save` commits nothing by itself."""
    store = SqliteCursorStore(database)
    if database.isolation_level is None:
        database.execute("BEGIN")
    store.save(cursor(7))
    database.execute("INSERT INTO effects VALUES (7)")
    assert on_disk(database) is None
    database.rollback()
    assert database.execute("SELECT count(*) FROM effects").fetchone() == (0,)
    assert store.load() is None


def test_a_rolled_back_cursor_was_never_saved(database: sqlite3.Connection) -> None:
    """Effect and cursor go together in this direction too."""
    store = SqliteCursorStore(database)
    begin(database)
    store.save(cursor(7))
    database.rollback()
    assert store.load() is None


def test_load_tells_only_what_a_crash_would_leave(database: sqlite3.Connection) -> None:
    """An open transaction's cursor is not acknowledged: it may yet be rolled back."""
    store = SqliteCursorStore(database)
    store.settle(cursor(6))
    begin(database)
    store.save(cursor(7))
    assert store.load() == cursor(6)
    database.commit()
    assert store.load() == cursor(7)


def test_settle_saves_for_an_application_that_passed_the_event_over(
    database: sqlite3.Connection,
) -> None:
    """Events one skips need no transaction of one's own."""
    store = SqliteCursorStore(database)
    assert store.settle(cursor(7)) == cursor(7)
    assert on_disk(database) == cursor(7)


def test_settle_leaves_the_applications_open_transaction_alone(
    database: sqlite3.Connection,
) -> None:
    """A batch of many events in one transaction is acknowledged when it commits, not before."""
    store = SqliteCursorStore(database)
    store.settle(cursor(6))
    begin(database)
    store.save(cursor(7))
    assert store.settle(cursor(8)) == cursor(6)
    assert database.in_transaction
    database.rollback()
    assert store.settle(cursor(7)) == cursor(7)


def test_names_keep_cursors_apart(database: sqlite3.Connection) -> None:
    """One database may follow several servers."""
    first, second = SqliteCursorStore(database, "first"), SqliteCursorStore(database, "second")
    first.settle(cursor(1))
    second.settle(cursor(2))
    assert (first.load(), second.load()) == (cursor(1), cursor(2))


def test_a_store_is_not_made_inside_a_transaction(database: sqlite3.Connection) -> None:
    """It could not tell what is committed; it says so at once rather than acknowledge too much."""
    begin(database)
    with pytest.raises(ValueError, match="transaction"):
        SqliteCursorStore(database)


def test_memory_takes_a_cursor_that_the_application_kept_elsewhere() -> None:
    """Any database serves: the application stores `event.cursor` and gives it back here."""
    store = MemoryCursorStore(cursor(5))
    assert store.load() == cursor(5)
    assert store.settle(cursor(6)) == cursor(6)
    store.save(cursor(7))
    assert store.load() == cursor(7)
