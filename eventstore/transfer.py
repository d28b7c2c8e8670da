"""Exports of the log, taken while it is written, and the log that is made of one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from importlib import resources
from pathlib import Path

from eventstore.apply import Head
from eventstore.backup import put_in_place
from eventstore.connection import FORMAT, GUARDS, uri
from eventstore.events import RecordedEvent
from eventstore.folder import FolderLock, log_path, make_private, prepare
from eventstore.interchange import FORMATS, HistoryRow, LineMalformed, read_ndjson
from eventstore.recheck import ChainBroken, follow
from eventstore.writer import new_epoch

PAGE_EVENTS = 500

# Keys are found by their digest, so that those of a page would mean a walk through all of them.
_KEYS = (
    "CREATE TEMP TABLE key_at (position INTEGER PRIMARY KEY, digest BLOB)",
    "INSERT OR IGNORE INTO key_at SELECT position, digest FROM keys",
)
_PAGE = """
SELECT events.position, recorded_at, stream, conversation, type, version, data, correlation_id,
       causation_id, hash, data_hash, salt, digest
FROM events LEFT JOIN key_at USING (position)
WHERE events.position > ? AND events.position <= ? ORDER BY events.position LIMIT ?"""
_INSERT = f"INSERT INTO appended VALUES ({', '.join('?' * 13)})"  # noqa: S608  question marks


class ImportRefused(Exception):
    """Nothing was imported, for the reason in the message."""


def export(path: Path, form: str, after: int = 0, until: int | None = None) -> Iterator[bytes]:
    """The log's events with ``after`` < position <= ``until`` (default: all there are), as lines.

    ``form`` is one of FORMATS. Read in short transactions, so that a long export holds up nobody.
    Raises sqlite3.Error.
    """
    line = FORMATS[form]
    with closing(sqlite3.connect(uri(path, "ro"), uri=True, isolation_level=None)) as connection:
        for pragma in (*GUARDS, "PRAGMA temp_store=MEMORY"):
            connection.execute(pragma)
        connection.execute("BEGIN")
        [[epoch]] = connection.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchall()
        [[head]] = connection.execute("SELECT ifnull(max(position), 0) FROM events").fetchall()
        for statement in _KEYS if form == "ndjson" else _KEYS[:1]:
            connection.execute(statement)
        connection.execute("COMMIT")
        until = head if until is None else min(until, head)
        while rows := connection.execute(_PAGE, (after, until, PAGE_EVENTS)).fetchall():
            for *fields, commitment, salt, key in rows:
                row = HistoryRow(RecordedEvent(*fields), commitment, salt, key)
                yield line(row, epoch) + b"\n"
            after = rows[-1][0]


def import_log(lines: Iterable[bytes], folder: Path) -> Head:
    """Make the folder's log of an NDJSON export, under a new epoch; give its head.

    Positions, times, hashes, salts and keys are those of the export; every line and link is checked
    before anything is put in place. Raises ImportRefused, FolderLocked, FolderUnfit, OSError.
    """
    prepare(folder)
    lock = FolderLock(folder)
    try:
        path = log_path(folder)
        if path.exists():
            raise ImportRefused(f"{folder} has a log already; an import begins a new one")
        partial = path.with_name(path.name + ".importing")
        try:
            epoch = new_epoch()
            head = _fill(partial, lines, epoch)
            put_in_place(partial, path, epoch)
        finally:
            for suffix in ("", "-journal"):
                partial.with_name(partial.name + suffix).unlink(missing_ok=True)
        return head
    finally:
        lock.release()


def _fill(partial: Path, lines: Iterable[bytes], epoch: str) -> Head:
    partial.unlink(missing_ok=True)
    make_private(partial)
    schema = resources.files("eventstore").joinpath("schema.sql").read_text("utf-8")
    head = Head()
    with closing(sqlite3.connect(partial, isolation_level=None)) as connection:
        connection.executescript(schema)
        connection.execute("INSERT INTO meta VALUES ('epoch', ?), ('format', ?)", (epoch, FORMAT))
        for number, line in enumerate(lines, 1):
            try:
                row = read_ndjson(line)
                head = follow(head, [(row.event, row.data_hash, row.salt)])
                connection.execute(_INSERT, _values(row))
            except (LineMalformed, ChainBroken, sqlite3.Error, OverflowError) as error:
                raise ImportRefused(f"line {number}: {error}") from error
        connection.execute("COMMIT")
    return head


def _values(row: HistoryRow) -> tuple[object, ...]:
    event = row.event
    return (
        event.position, event.recorded_at, event.stream, event.conversation, event.type,
        event.version, event.data, row.data_hash, row.salt, event.correlation_id,
        event.causation_id, event.hash, row.key,
    )  # fmt: skip
