"""The data folder belongs to one process and to its owner's eyes."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest

from eventstore.draft import Draft
from eventstore.events import ConversationRead
from eventstore.folder import FolderLock, FolderLocked, FolderUnfit
from eventstore.log import EventLog, LogHalted

Scenario = Callable[[AsyncExitStack], Awaitable[None]]


def _run(scenario: Scenario) -> None:
    """Run it, and close its logs whatever happens: an open one would hang the tests."""

    async def closing_all() -> None:
        async with AsyncExitStack() as logs:
            await scenario(logs)

    asyncio.run(closing_all())


async def _open(logs: AsyncExitStack, folder: Path) -> EventLog:
    log = await EventLog.open(folder)
    logs.push_async_callback(log.close)
    return log


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_folder_and_files_are_for_their_owner_only(tmp_path: Path) -> None:
    """Security row 34: 0700 and 0600, also with a generous umask and a folder that was open."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)

    async def scenario(logs: AsyncExitStack) -> None:
        log = await _open(logs, folder)
        await log.append([Draft("system", ConversationRead(1, "a"))])
        await log.backup(folder / "backup.db")
        names = sorted(folder.iterdir())
        assert {path.name for path in names} == {
            "log.db", "log.db-wal", "log.db-shm", "lock", "backup.db", "log.mark",
        }  # fmt: skip
        assert {_mode(path) for path in names} == {0o600}
        await log.close()

    before = os.umask(0)
    try:
        _run(scenario)
    finally:
        os.umask(before)
    assert _mode(folder) == 0o700


def test_a_second_owner_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    """The message names the process; the lock is free again after close."""

    async def scenario(logs: AsyncExitStack) -> None:
        log = await _open(logs, tmp_path)
        with pytest.raises(FolderLocked, match=rf"process {os.getpid()}\b"):
            await _open(logs, tmp_path)
        await log.close()
        await _open(logs, tmp_path)

    _run(scenario)


def test_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    """After a kill -9 nobody has to remove a file by hand."""
    code = (
        "import os, sys; from pathlib import Path; from eventstore.folder import FolderLock\n"
        "FolderLock(Path(sys.argv[1])); print('locked', flush=True); os.kill(os.getpid(), 9)"
    )
    child = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (child.returncode, child.stdout) == (-9, "locked\n"), child.stderr
    FolderLock(tmp_path).release()


def test_a_file_that_is_no_database_halts_and_leaves_nothing_open(tmp_path: Path) -> None:
    """A failed start must not hang the process: aiosqlite's threads are not daemons."""
    (tmp_path / "log.db").write_bytes(b"not a database at all" * 500)

    async def scenario(logs: AsyncExitStack) -> None:
        with pytest.raises(LogHalted):
            await _open(logs, tmp_path)

    before = set(threading.enumerate())
    _run(scenario)
    left = set(threading.enumerate()) - before
    for thread in left:
        thread.join(5)  # it was told to stop, and may be at its last instruction
    assert not any(thread.is_alive() for thread in left)
    FolderLock(tmp_path).release()


@pytest.mark.parametrize(
    "statement",
    ["CREATE TABLE other (x)", "PRAGMA application_id = 7", "PRAGMA user_version = 9"],
)
def test_another_programs_database_is_left_alone(tmp_path: Path, statement: str) -> None:
    """A file that is not ours, or of a format we do not know, is refused and not touched."""
    with closing(sqlite3.connect(tmp_path / "log.db")) as connection:
        connection.execute(statement)
        connection.commit()

    async def scenario(logs: AsyncExitStack) -> None:
        with pytest.raises(FolderUnfit):
            await _open(logs, tmp_path)

    _run(scenario)


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    """A file in the way, for one."""
    (tmp_path / "file").write_text("")

    async def scenario(logs: AsyncExitStack) -> None:
        with pytest.raises(FolderUnfit, match="data folder"):
            await _open(logs, tmp_path / "file" / "data")

    _run(scenario)


def test_a_file_system_without_wal_is_refused(tmp_path: Path) -> None:
    """SQLite answers with the mode it kept; network shares and odd file systems keep ``delete``."""

    class Connection(sqlite3.Connection):
        def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:
            if "journal_mode" in sql:
                sql = "SELECT 'delete'"
            return super().execute(sql, *parameters)  # type: ignore[arg-type]  # as given

    async def scenario() -> None:
        with pytest.raises(FolderUnfit, match="WAL"):
            await EventLog.open(tmp_path, connection_factory=Connection)

    asyncio.run(scenario())


def test_a_symlink_for_the_log_is_not_followed(tmp_path: Path) -> None:
    """Nobody gets another file tightened, or written to, through a planted link."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "lock").symlink_to(tmp_path / "victim")

    async def scenario(logs: AsyncExitStack) -> None:
        with pytest.raises(FolderUnfit):
            await _open(logs, tmp_path / "data")

    _run(scenario)
    assert not (tmp_path / "victim").exists()
