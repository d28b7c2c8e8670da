"""The SQLite side of projections: one file, its checkpoints, folding, digests and questions.

Everything here blocks; :mod:`projections.projector` calls it in threads of its own, a whole page
of events at a time. The standard library's module and not aiosqlite, because a page is then one
hop to a thread and back, decoding and evolving included, however many statements it becomes.

The file is always safe to delete: WAL with ``synchronous=NORMAL`` never corrupts it, a power cut
may take the newest commits, and the fold goes on from the checkpoint that was committed with the
rows it speaks of.
"""
# ruff: noqa: S608 - SQL is put together from constants of these files; values are always bound

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from attrs import frozen

from eventstore.chain import GENESIS
from eventstore.cursor import Cursor
from eventstore.events import RecordedEvent
from projections.fold import VOCABULARY, Folded, fold
from projections.projection import Answer, Projection, Query, json_list
from projections.reading import digests, fetch, tables

logger = logging.getLogger(__name__)

T = TypeVar("T")

MEMORY = Path(":memory:")

STATEMENTS_MAX = 1_000
"""Kept prepared: an INSERT of each length for each step."""

_CHECKPOINT = """
CREATE TABLE IF NOT EXISTS checkpoint (
    name TEXT PRIMARY KEY, version INTEGER NOT NULL, epoch TEXT NOT NULL,
    position INTEGER NOT NULL, hash8 TEXT NOT NULL,
    skipped INTEGER NOT NULL, vocabulary TEXT NOT NULL
) WITHOUT ROWID
"""
_START_HASH8 = GENESIS[:4].hex()
_UNREADABLE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def is_corrupt(error: sqlite3.Error) -> bool:
    """Whether the file itself is damaged; it is then deleted and folded again."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _UNREADABLE


def discard(path: Path) -> None:
    """Delete a store, its WAL first: a new file must never meet an old WAL."""
    for suffix in ("-wal", "-shm", ""):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


class StoreDamaged(sqlite3.DatabaseError):
    """The quick check found the file damaged."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


@frozen
class Lot:
    """What to fold next: which projections, from where, and how far (None: as far as there is)."""

    names: tuple[str, ...]
    after: int
    until: int | None


class Store:
    """The rows of some projections, written by one thread at a time.

    ``cursors`` is how far each is folded; ``skipped`` how many events could not be read.
    """

    cursors: Mapping[str, Cursor]
    skipped: int

    def __init__(self, path: Path, projections: Sequence[Projection], epoch: str) -> None:
        """Open or create; what is missing, or of another version or log, starts at position 0.

        Raises sqlite3.DatabaseError for a damaged file (:func:`is_corrupt`).
        """
        self._projections = {projection.name: projection for projection in projections}
        self._epoch = epoch
        self._path = path
        if path != MEMORY:
            path.touch(mode=0o600)
            path.chmod(0o600)
        self._db = sqlite3.connect(
            path,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=STATEMENTS_MAX,
        )
        try:
            self._prepare()
        except BaseException:
            self._db.close()
            raise

    def _prepare(self) -> None:
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "trusted_schema=OFF",
            "cell_size_check=ON",
            "secure_delete=ON",  # a redacted body must not linger in a free page
            "temp_store=MEMORY",
            "wal_autocheckpoint=4000",  # 16 MiB: a hot page is copied back once, not at each 4 MiB
        ):
            self._db.execute(f"PRAGMA {pragma}")
        for (verdict,) in self._db.execute("PRAGMA quick_check(1)"):
            if verdict != "ok":
                raise StoreDamaged(verdict)
        with self._transaction():
            self._db.execute(_CHECKPOINT)
            for name in self._unfit():
                self._start_over(name)
        self._load()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # a full disk may have rolled back by itself
                self._db.execute("ROLLBACK")
            raise

    # --- which projections are here, and how far ---

    def _unfit(self) -> list[str]:
        """The projections whose rows are not this release's, over this log."""
        rows = {
            name: (version, epoch, skipped == 0 or vocabulary == VOCABULARY)
            for name, version, epoch, skipped, vocabulary in self._db.execute(
                "SELECT name, version, epoch, skipped, vocabulary FROM checkpoint"
            )
        }
        wanted = {
            name: (projection.version, self._epoch, True)
            for name, projection in self._projections.items()
        }
        return sorted(
            name for name in rows.keys() | wanted.keys() if rows.get(name) != wanted.get(name)
        )

    def _start_over(self, name: str) -> None:
        """Drop everything a projection of this name left, and begin anew if there still is one."""
        objects = self._db.execute(
            "SELECT type, name FROM sqlite_master WHERE type IN ('view', 'table')"
            " AND (name = ?1 OR name GLOB ?1 || '_*') ORDER BY type DESC, name",
            (name,),
        ).fetchall()
        for kind, found in objects:
            self._db.execute(f'DROP {kind} "{found}"')
        self._db.execute("DELETE FROM checkpoint WHERE name = ?", (name,))
        if (projection := self._projections.get(name)) is not None:
            for statement in statements_of(projection.schema):
                self._db.execute(statement)
            self._db.execute(
                "INSERT INTO checkpoint VALUES (?, ?, ?, 0, ?, 0, ?)",
                (name, projection.version, self._epoch, _START_HASH8, VOCABULARY),
            )

    def start_over(self, names: Sequence[str]) -> None:
        """Forget all rows of these projections; their next fold is from position 0."""
        with self._transaction():
            for name in names:
                self._start_over(name)
        self._load()

    def _load(self) -> None:
        rows = self._db.execute("SELECT name, skipped, epoch, position, hash8 FROM checkpoint")
        found = {name: (skipped, Cursor(*cursor)) for name, skipped, *cursor in rows}
        self.cursors = {name: cursor for name, (_, cursor) in found.items()}
        self.skipped = max(skipped for skipped, _ in found.values())

    @property
    def position(self) -> int:
        """The position up to which all projections are folded."""
        return min(cursor.position for cursor in self.cursors.values())

    @property
    def next_lot(self) -> Lot:
        """Those furthest behind, up to where the others are: they come together and stay so."""
        positions = sorted({cursor.position for cursor in self.cursors.values()})
        after, until = positions[0], positions[1] if len(positions) > 1 else None
        names = tuple(name for name in self._projections if self.cursors[name].position == after)
        return Lot(names, after, until)

    # --- folding ---

    def fold(self, page: Sequence[RecordedEvent], names: Sequence[str]) -> Folded:
        """Fold the page that follows these projections' cursor: rows and cursor, all or nothing."""
        for name in names:
            assert page[0].position == self.cursors[name].position + 1, "pages follow each other"
        folded = fold(page, [self._projections[name] for name in names])
        last, skipped = page[-1], len(folded.skipped)
        cursor = Cursor.at(self._epoch, last.position, last.hash)
        with self._transaction():
            for name, statements in folded.statements.items():
                for sql, values in self._projections[name].inserts(statements):
                    self._db.execute(sql, values)
            self._db.execute(
                "UPDATE checkpoint SET position = ?, hash8 = ?, skipped = skipped + ?,"
                " vocabulary = ? WHERE name IN (SELECT value FROM json_each(?))",
                (cursor.position, cursor.hash8, skipped, VOCABULARY, json_list(frozenset(names))),
            )
        self._load()
        return folded

    def adopt(self, source: Store) -> None:
        """Take over the rows and checkpoints of another store's file, all at once.

        Into an empty table of the same SQL, SQLite copies page by page what it does not have to
        look into, in one step.
        """
        self._db.execute("ATTACH ? AS source", (str(source._path),))
        try:
            with self._transaction():
                for name, cursor in source.cursors.items():
                    for table in tables(self._db, name):  # of this release: it was opened by it
                        self._db.execute(f"DELETE FROM main.{table}")
                        self._db.execute(f"INSERT INTO main.{table} SELECT * FROM source.{table}")
                    self._db.execute(
                        "UPDATE main.checkpoint SET position = ?, hash8 = ?, skipped = ?,"
                        " vocabulary = ? WHERE name = ?",
                        (cursor.position, cursor.hash8, source.skipped, VOCABULARY, name),
                    )
        finally:
            self._db.execute("DETACH source")
        self._load()

    def purge(self) -> bool:
        """Empty the WAL, which has pages from before an erasure; False if somebody reads."""
        [(busy, _, _)] = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return not busy

    # --- reading ---

    def fetch(self, query: Query[T]) -> Answer[T]:
        """The rows and the cursor at which they stand, from one read transaction (G10)."""
        return fetch(self._db, query)

    def digests(self) -> dict[str, str]:
        """The canonical digest of each projection."""
        return digests(self._db, tuple(self._projections))

    def close(self) -> None:
        """Close the file; the last to close it checkpoints the WAL."""
        self._db.close()


def open_store(path: Path, projections: Sequence[Projection], epoch: str) -> Store:
    """Open or create; a damaged file is deleted and begun anew."""
    try:
        return Store(path, projections, epoch)
    except sqlite3.DatabaseError as error:
        if not is_corrupt(error):
            raise
        logger.warning("%s is damaged (%s): it is folded anew", path, error)
        discard(path)
        return Store(path, projections, epoch)


def statements_of(script: str) -> Iterator[str]:
    """The statements of a script: ``executescript`` would commit the transaction around it."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    assert not statement.strip(), f"an unfinished statement: {statement}"
