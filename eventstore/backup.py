"""Copies of the log: taken while it is written, and put back in place of it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from eventstore.apply import Head
from eventstore.connection import APPLICATION_ID, FORMAT, GUARDS, uri
from eventstore.events import RecordedEvent
from eventstore.folder import FolderLock, log_path, make_private, prepare, sync_folder
from eventstore.mark import HighWaterMark
from eventstore.reader import EVENT_COLUMNS
from eventstore.recheck import ChainBroken, follow
from eventstore.writer import new_epoch

_MARKS = ("application_id", "user_version")


class BackupBroken(Exception):
    """The file to restore from is not a whole, verified log."""


async def backup(path: Path, target: Path) -> Head:
    """Copy the log at ``path`` to a new file, mode 0600, and give the head of the copy.

    It has everything committed before the call, and stays a single file, without a WAL beside it.
    Raises FileExistsError, OSError, sqlite3.Error.
    """
    return await asyncio.to_thread(_backup, path, target)


async def restore(backup: Path, folder: Path) -> Head:
    """Put a backup in place of the folder's log, under a new epoch; give its head.

    The whole copy is verified first. The log that was there is kept beside it as
    ``log.db.replaced-<epoch>``; the projections, which can be folded again, are deleted. Raises
    FolderLocked, FolderUnfit, BackupBroken, OSError.
    """
    return await asyncio.to_thread(_restore, backup, folder)


def _backup(path: Path, target: Path) -> Head:
    if target.exists():
        raise FileExistsError(f"{target} exists; a backup never overwrites")
    partial = target.with_name(target.name + ".partial")
    _copy(path, partial)
    with _reading(partial) as connection:
        head = _newest(connection)
    partial.rename(target)
    sync_folder(target.parent)
    return head


def _restore(backup: Path, folder: Path) -> Head:
    prepare(folder)
    lock = FolderLock(folder)
    try:
        path = log_path(folder)
        partial = path.with_name(path.name + ".restoring")
        try:
            _copy(backup, partial)
            head = _verified(partial)
            epoch = new_epoch()
            _rename_epoch(partial, epoch)
            _sync(partial)
            put_in_place(partial, path, epoch)
        except (sqlite3.Error, ChainBroken) as error:
            raise BackupBroken(f"{backup}: {error}") from error
        finally:
            partial.unlink(missing_ok=True)
        return head
    finally:
        lock.release()


def _copy(source: Path, target: Path) -> None:
    """One snapshot of a log that may be written meanwhile.

    VACUUM INTO takes no lock that a writer waits for, and leaves out the free pages in which erased
    content may linger. It does not work under query_only; ``mode=ro`` protects the source.
    """
    target.unlink(missing_ok=True)
    make_private(target)
    with _reading(source) as connection:
        connection.execute("VACUUM INTO ?", (str(target),))
    _sync(target)


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    opened = sqlite3.connect(uri(path, "ro"), uri=True, isolation_level=None)
    with closing(opened) as connection:
        for pragma in GUARDS:
            connection.execute(pragma)
        yield connection


def _verified(path: Path) -> Head:
    """Check the file's structure and the whole chain; give its head."""
    with _reading(path) as connection:
        marks = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in _MARKS]
        if marks != [APPLICATION_ID, FORMAT]:
            raise BackupBroken(f"{path} is not a log of format {FORMAT}")
        [[answer]] = connection.execute("PRAGMA integrity_check(1)")
        if answer != "ok":
            raise BackupBroken(f"{path}: {answer}")
        rows = connection.execute(
            f"SELECT {EVENT_COLUMNS}, data_hash, salt FROM events ORDER BY position"  # noqa: S608  constants
        )
        return follow(Head(), ((RecordedEvent(*row[:-2]), row[-2], row[-1]) for row in rows))


def _newest(connection: sqlite3.Connection) -> Head:
    row = connection.execute(
        "SELECT position, recorded_at, hash FROM events ORDER BY position DESC LIMIT 1"
    ).fetchone()
    return Head(*row) if row else Head()


def _rename_epoch(path: Path, epoch: str) -> None:
    """A restored log is another log: cursors of the one before must not seem to fit (G9)."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE meta SET value = ? WHERE name = 'epoch'", (epoch,))


def put_in_place(partial: Path, path: Path, epoch: str) -> None:
    """Make a finished file the folder's log; the one there is kept, what is derived is deleted.

    Raises OSError.
    """
    for suffix in ("", "-wal"):
        old = path.with_name(path.name + suffix)
        if old.exists():
            old.with_name(f"{path.name}.replaced-{epoch}{suffix}").hardlink_to(old)
    HighWaterMark(path.parent).forget()
    # A WAL of the old log beside the new file would be played into it: it goes first.
    for name in ("-wal", "-shm"):
        path.with_name(path.name + name).unlink(missing_ok=True)
    partial.replace(path)
    for name in ("", "-wal", "-shm"):
        path.with_name("projections.db" + name).unlink(missing_ok=True)
    sync_folder(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
