"""The high-water mark: a log that lost its end is not gone on with, and no sound one is stopped."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from eventstore.backup import restore
from eventstore.draft import Draft
from eventstore.events import ServerStarted
from eventstore.log import EventLog, LogHalted
from eventstore.mark import FILE_NAME, HighWaterMark, Mark
from eventstore.verify import Anchor, verify

FRAME_BYTES = 24 + 4096
MARK = Mark("e1", 7, b"h" * 32)


def started(number: int) -> Draft:
    """Some event."""
    return Draft("system", ServerStarted(f"b{number}", "1"))


def run(folder: Path, scenario: Callable[[EventLog], Awaitable[None]]) -> None:
    """A scenario on the log of a folder."""

    async def opened() -> None:
        log = await EventLog.open(folder)
        try:
            await scenario(log)
        finally:
            await log.close()

    asyncio.run(opened())


def killed(folder: Path, target: Path, events: int = 20) -> Anchor:
    """A folder as kill -9 leaves it, its newest events in the WAL; and the newest receipt."""
    found: list[Anchor] = []

    async def scenario(log: EventLog) -> None:
        for number in range(events):
            [receipt] = await log.append([started(number)])
        while (mark := HighWaterMark(folder).read()) is None or mark.position < events:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        found.append(Anchor(receipt.position, receipt.hash.hex(), "receipt"))
        for name in ("log.db", "log.db-wal", FILE_NAME):
            shutil.copy(folder / name, target / name)

    target.mkdir()
    run(folder, scenario)
    return found[0]


def flip(file: Path, at: int) -> None:
    """Flip one bit, in place."""
    with file.open("r+b") as opened:
        opened.seek(at)
        byte = opened.read(1)[0]
        opened.seek(at)
        opened.write(bytes([byte ^ 1]))


def test_a_killed_server_opens_where_its_mark_is(tmp_path: Path) -> None:
    """No false alarm: the WAL has all that the mark knows of."""
    killed(tmp_path / "live", tmp_path / "killed")

    async def scenario(log: EventLog) -> None:
        assert log.head.position == 20
        assert log.writable

    run(tmp_path / "killed", scenario)


@pytest.mark.parametrize("back", [1, 5, 12])
def test_a_flipped_bit_in_the_wal_of_a_killed_server_stops_ingest(
    tmp_path: Path, back: int
) -> None:
    """SQLite drops what follows the bit in silence. A receipt shows it; the mark halts the log."""
    receipt = killed(tmp_path / "live", tmp_path / "killed")
    wal = tmp_path / "killed" / "log.db-wal"
    frames = (wal.stat().st_size - 32) // FRAME_BYTES
    flip(wal, 32 + (frames - back) * FRAME_BYTES + 24 + 100)
    damaged = wal.read_bytes()
    assert verify(tmp_path / "killed").fault is None, "the chain by itself cannot show it"
    fault = verify(tmp_path / "killed", [receipt]).fault
    assert fault is not None
    assert fault.kind == "truncated"

    async def scenario(log: EventLog) -> None:
        assert log.head.position < 20
        assert not log.writable
        with pytest.raises(LogHalted, match="was at 20 before"):
            await log.append([started(99)])
        assert len(await log.read(0, 100)) == log.head.position

    for _ in range(2):  # a second start is no wiser
        run(tmp_path / "killed", scenario)
    [kept] = (tmp_path / "killed").glob("log.db-wal.halted-*")
    assert kept.read_bytes() == damaged


def test_another_event_at_the_mark_stops_ingest(tmp_path: Path) -> None:
    """As long as before, and not what was there."""

    async def scenario(log: EventLog) -> None:
        await log.append([started(1), started(2)])

    async def halted(log: EventLog) -> None:
        assert not log.writable

    run(tmp_path, scenario)
    mark = HighWaterMark(tmp_path).read()
    assert mark is not None
    HighWaterMark(tmp_path).write(Mark(mark.epoch, 2, b"x" * 32))
    run(tmp_path, halted)


def test_a_mark_that_lags_is_no_alarm(tmp_path: Path) -> None:
    """It is written once a second; the log may be far ahead when the power goes."""

    async def scenario(log: EventLog) -> None:
        await log.append([started(number) for number in range(5)])

    run(tmp_path, scenario)
    mark = HighWaterMark(tmp_path).read()
    assert mark is not None
    with closing(sqlite3.connect(tmp_path / "log.db")) as log:
        [[hash_]] = log.execute("SELECT hash FROM events WHERE position = 2").fetchall()
    HighWaterMark(tmp_path).write(Mark(mark.epoch, 2, hash_))

    async def still_writes(log: EventLog) -> None:
        await log.append([started(6)])

    run(tmp_path, still_writes)


def test_a_restored_backup_starts_a_mark_of_its_own(tmp_path: Path) -> None:
    """It is shorter on purpose, and under another epoch."""

    async def scenario(log: EventLog) -> None:
        await log.append([started(1)])
        await log.backup(tmp_path / "backup.db")
        await log.append([started(2)])

    run(tmp_path / "data", scenario)
    asyncio.run(restore(tmp_path / "backup.db", tmp_path / "data"))

    async def writes(log: EventLog) -> None:
        assert (log.head.position, log.writable) == (1, True)

    run(tmp_path / "data", writes)


def test_the_log_of_a_copied_backup_is_not_gone_on_with(tmp_path: Path) -> None:
    """Copied over by hand, with the same epoch: clients know more than it holds."""

    async def scenario(log: EventLog) -> None:
        await log.append([started(1)])
        await log.backup(tmp_path / "backup.db")
        await log.append([started(2)])

    run(tmp_path / "data", scenario)
    shutil.copy(tmp_path / "backup.db", tmp_path / "data" / "log.db")

    async def halted(log: EventLog) -> None:
        assert not log.writable

    run(tmp_path / "data", halted)


def test_a_mark_is_read_back_as_written_and_damaged_in_any_bit_says_nothing(
    tmp_path: Path,
) -> None:
    """A broken mark is not a broken log."""
    mark = HighWaterMark(tmp_path)
    assert mark.read() is None
    mark.write(MARK)
    assert mark.read() == MARK
    whole = (tmp_path / FILE_NAME).read_bytes()
    for at in range(len(whole) - 1):  # but for the line's end
        flip(tmp_path / FILE_NAME, at)
        assert mark.read() is None, at
        (tmp_path / FILE_NAME).write_bytes(whole)
    (tmp_path / FILE_NAME).write_bytes(b"")
    assert mark.read() is None
    mark.forget()
    assert not (tmp_path / FILE_NAME).exists()


def test_a_mark_of_another_log_says_nothing_of_this_one(tmp_path: Path) -> None:
    """Another epoch, another history."""
    tmp_path.joinpath("data").mkdir()
    HighWaterMark(tmp_path / "data").write(MARK)

    async def writes(log: EventLog) -> None:
        await log.append([started(1)])

    run(tmp_path / "data", writes)
