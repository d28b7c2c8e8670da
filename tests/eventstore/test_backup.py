"""A backup is a verified prefix with everything acknowledged before; restoring makes a new log."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest

from eventstore.backup import BackupBroken, restore
from eventstore.cursor import Cursor
from eventstore.draft import Draft, idempotency_key
from eventstore.events import ConversationRead, RecordedEvent
from eventstore.folder import FolderLocked
from eventstore.log import EventLog

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


def _draft(name: str) -> Draft:
    key = idempotency_key("a", "read", name)
    return Draft("inbox:a", ConversationRead(1, name), "c_1", key)


async def _made(folder: Path, count: int) -> Cursor:
    log = await EventLog.open(folder)
    await log.append([_draft(str(n)) for n in range(count)])
    cursor = log.cursor
    await log.close()
    return cursor


async def _contents(folder: Path) -> list[RecordedEvent]:
    log = await EventLog.open(folder)
    assert log.writable
    events = await log.read(0, 100_000)
    await log.close()
    return events


def test_a_backup_under_load_restores_to_a_prefix_with_all_acknowledged_before(
    tmp_path: Path,
) -> None:
    """G19: taken while eight senders write."""

    async def scenario(logs: AsyncExitStack) -> None:
        log = await _open(logs, tmp_path / "log")
        stopping = False

        async def sender(part: int) -> None:
            n = 0
            while not stopping:
                await log.append([_draft(f"{part}.{n}.{i}") for i in range(5)])
                n += 1

        senders = [asyncio.create_task(sender(part)) for part in range(8)]
        heads = []
        for copy in range(3):
            await log.append([_draft(f"before {copy}")])
            before = log.head.position
            heads.append(await log.backup(tmp_path / f"copy{copy}.db"))
            assert heads[-1].position >= before
        stopping = True
        await asyncio.gather(*senders)
        whole = await log.read(0, 100_000)
        await log.close()
        assert heads[-1].position < len(whole)
        for copy, head in enumerate(heads):
            assert await restore(tmp_path / f"copy{copy}.db", tmp_path / f"new{copy}") == head
            assert await _contents(tmp_path / f"new{copy}") == whole[: head.position]

    _run(scenario)


def test_a_backup_is_one_file_and_never_overwrites(tmp_path: Path) -> None:
    """No WAL beside it, no half-written file under its name, no mistake with an old one."""

    async def scenario(logs: AsyncExitStack) -> None:
        log = await _open(logs, tmp_path / "log")
        await log.append([_draft("a")])
        await log.backup(tmp_path / "copy.db")
        with pytest.raises(FileExistsError):
            await log.backup(tmp_path / "copy.db")
        await log.close()
        assert {path.name for path in tmp_path.iterdir()} == {"log", "copy.db"}  # noqa: ASYNC240  a test

    _run(scenario)


def test_a_restored_log_is_another_log(tmp_path: Path) -> None:
    """G9: a new epoch, so that no cursor of the old one seems to fit; projections are gone."""

    async def scenario(logs: AsyncExitStack) -> None:
        folder, copy = tmp_path / "log", tmp_path / "copy.db"
        old = await _made(folder, 3)
        shutil.copy(folder / "log.db", copy)
        newer = await _made(folder, 9)
        (folder / "projections.db").write_text("derived")
        (folder / "keyring.json").write_text("kept")
        head = await restore(copy, folder)
        log = await _open(logs, folder)
        assert log.head == head
        assert (log.cursor.position, log.cursor.hash8) == (old.position, old.hash8)
        assert log.epoch not in (old.epoch, newer.epoch)
        assert (await log.append([_draft("0")]))[0].duplicate
        await log.close()
        assert not (folder / "projections.db").exists()
        assert (folder / "keyring.json").exists()

    _run(scenario)


def test_the_log_that_was_replaced_is_kept_whole(tmp_path: Path) -> None:
    """Also what only its WAL held, as after a kill -9."""

    async def scenario(logs: AsyncExitStack) -> None:
        copy = tmp_path / "copy.db"
        await _made(tmp_path / "other", 2)
        shutil.copy(tmp_path / "other" / "log.db", copy)
        log = await _open(logs, tmp_path / "log")
        await log.append([_draft("only in the WAL")])
        (tmp_path / "killed").mkdir()
        for name in ("log.db", "log.db-wal"):
            (tmp_path / "killed" / name).hardlink_to(tmp_path / "log" / name)
        await restore(copy, tmp_path / "killed")
        [kept] = tmp_path.joinpath("killed").glob("log.db.replaced-*[0-9a-f]")
        with closing(sqlite3.connect(kept)) as connection:
            assert connection.execute("SELECT count(*) FROM events").fetchone() == (1,)
        assert len(await _contents(tmp_path / "killed")) == 2
        await log.close()

    _run(scenario)


def test_a_folder_in_use_is_not_restored_into(tmp_path: Path) -> None:
    """One process owns a data folder; the restore is another one."""

    async def scenario(logs: AsyncExitStack) -> None:
        await _made(tmp_path / "other", 2)
        log = await _open(logs, tmp_path / "log")
        with pytest.raises(FolderLocked):
            await restore(tmp_path / "other" / "log.db", tmp_path / "log")
        await log.close()

    _run(scenario)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE events SET data = x'7b7d' WHERE position = 2",
        "DELETE FROM events WHERE position = 2",
        "UPDATE events SET stream = 'inbox:b' WHERE position = 1",
        "PRAGMA application_id = 7",
    ],
)
def test_a_damaged_backup_is_refused_and_the_log_stays(tmp_path: Path, damage: str) -> None:
    """The whole copy is verified before anything is replaced."""

    async def scenario(logs: AsyncExitStack) -> None:
        cursor, copy = await _made(tmp_path / "log", 3), tmp_path / "copy.db"
        shutil.copy(tmp_path / "log" / "log.db", copy)
        with closing(sqlite3.connect(copy)) as connection:
            connection.execute("DROP TRIGGER events_unchanged")
            connection.execute("DROP TRIGGER events_stay")
            connection.execute(damage)
            connection.commit()
        with pytest.raises(BackupBroken):
            await restore(copy, tmp_path / "log")
        log = await _open(logs, tmp_path / "log")
        assert log.cursor == cursor
        await log.close()
        assert not list((tmp_path / "log").glob("*restoring*"))

    _run(scenario)


def test_what_is_no_backup_is_refused(tmp_path: Path) -> None:
    """Any other file, an empty one, or none at all."""
    (tmp_path / "text").write_text("hello" * 1000)
    (tmp_path / "empty").write_text("")
    for name in ("text", "empty", "missing"):
        with pytest.raises(BackupBroken):
            asyncio.run(restore(tmp_path / name, tmp_path / "log"))
    assert not (tmp_path / "missing").exists()
