"""Fail-stop (G16): an error means unknown, no acknowledged event is lost, doubt stops writing."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing
from enum import Enum, auto
from pathlib import Path

import pytest
from attrs import evolve

from eventstore import chain, commit, writer
from eventstore.draft import Draft, Receipt, idempotency_key
from eventstore.events import ConversationRead, RecordedEvent
from eventstore.log import EventLog, Limits, LogHalted, LogUnavailable

SUPPORT = frozenset({"support"})
FROM_DISK = Limits(recent_events_max=0)


class Fault(Enum):
    """Where the disk fails."""

    LOOKUP = auto()
    INSERT = auto()
    HALFWAY = auto()
    BEFORE_COMMIT = auto()
    AFTER_COMMIT = auto()
    CHECKPOINT = auto()
    OPEN = auto()


# Gone with the connection, like the trouble itself.
_FAILS_AFTER_AN_EVENT = """
CREATE TEMP TRIGGER halfway AFTER INSERT ON events
BEGIN SELECT RAISE(ABORT, 'an event is written, its key is not'); END
"""


class Disk:
    """A disk that fails when told to: ``connection`` is the class of its connections."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.error: sqlite3.Error = sqlite3.OperationalError("disk I/O error")
        self.mischief: Callable[[sqlite3.Connection], None] | None = None
        disk = self

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:
                if "INSERT INTO appended" in sql:
                    return self.append(sql, *parameters)
                if "FROM piece" in sql:
                    disk.strike(Fault.LOOKUP)
                elif "wal_checkpoint(PASSIVE)" in sql:
                    disk.strike(Fault.CHECKPOINT)
                elif "journal_mode" in sql:
                    disk.strike(Fault.OPEN)
                return super().execute(sql, *parameters)  # type: ignore[arg-type]  # as given

            def append(self, sql: str, *parameters: object) -> sqlite3.Cursor:
                """The one statement that is a group's transaction."""
                disk.strike(Fault.INSERT)
                if disk.mischief is not None:
                    mischief, disk.mischief = disk.mischief, None
                    super().execute("BEGIN")
                    mischief(self)
                    super().execute("COMMIT")
                    raise disk.error
                if disk.is_next(Fault.HALFWAY):
                    disk.faults.pop(0)
                    super().execute(_FAILS_AFTER_AN_EVENT)
                elif disk.is_next(Fault.BEFORE_COMMIT):
                    super().execute("BEGIN")
                done = super().execute(sql, *parameters)  # type: ignore[arg-type]  # as given
                disk.strike(Fault.BEFORE_COMMIT)
                disk.strike(Fault.AFTER_COMMIT)
                return done

        self.connection = Connection

    def is_next(self, fault: Fault) -> bool:
        """Whether it is time for this one."""
        return bool(self.faults) and self.faults[0] is fault

    def strike(self, here: Fault) -> None:
        """Fail if it is time to."""
        if self.is_next(here):
            self.faults.pop(0)
            raise self.error


@asynccontextmanager
async def _opened(folder: Path, disk: Disk, limits: Limits = FROM_DISK) -> AsyncIterator[EventLog]:
    log = await EventLog.open(folder, connection_factory=disk.connection, limits=limits)
    try:
        yield log
    finally:
        await log.close()


def _draft(name: str) -> Draft:
    key = idempotency_key("support", "read", name)
    return Draft("inbox:support", ConversationRead(1, name), "c_1", key)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  the log tells nobody that it is well again
            await asyncio.sleep(0.005)


async def _insist(append: Callable[[], Awaitable[list[Receipt]]]) -> list[Receipt]:
    async with asyncio.timeout(20):
        while True:
            try:
                return await append()
            except LogUnavailable:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("fault", [f for f in Fault if f is not Fault.OPEN])
def test_one_failure_anywhere_loses_nothing_acknowledged(
    tmp_path: Path, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """G1, G3, G4: senders repeat what was not acknowledged; each event is there once, gapless."""
    monkeypatch.setattr(writer, "CHECKPOINT_PAGES", 1)
    disk, seed = Disk(), random.Random(7)

    async def scenario() -> None:
        async with _opened(tmp_path, disk) as log:
            announced: list[RecordedEvent] = []
            log.on_commit = announced.extend

            async def sender(part: int) -> list[Receipt]:
                receipts = []
                for n in range(15):
                    if seed.random() < 0.1:
                        disk.faults.append(fault)
                    receipts += await _insist(lambda n=n: log.append([_draft(f"{part}.{n}")]))  # type: ignore[misc]  # bound now
                return receipts

            answers = await asyncio.gather(*map(sender, range(6)))
            events = await log.read(0, 1000)
            assert events == announced
            assert [event.position for event in events] == list(range(1, 91))
            hashes = {event.position: event.hash for event in events}
            assert sorted(r.position for part in answers for r in part) == list(range(1, 91))
            assert all(hashes[r.position] == r.hash for part in answers for r in part)

    asyncio.run(scenario())
    with closing(sqlite3.connect(tmp_path / "log.db")) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (90,)


@pytest.mark.parametrize(
    ("fault", "stored"),
    [
        (Fault.INSERT, 0),
        (Fault.HALFWAY, 0),
        (Fault.BEFORE_COMMIT, 0),
        (Fault.AFTER_COMMIT, 1),
    ],
)
def test_the_unknown_outcome_is_looked_up(tmp_path: Path, fault: Fault, stored: int) -> None:
    """What turns up after a failed group is in the log: in head and tail, announced, and known."""
    disk = Disk()

    async def scenario() -> None:
        async with _opened(tmp_path, disk) as log:
            announced: list[RecordedEvent] = []
            log.on_commit = announced.extend
            disk.faults.append(fault)
            with pytest.raises(LogUnavailable):
                await log.append([_draft("a")])
            await _until(lambda: log.writable)
            assert log.head.position == len(announced) == stored
            tail = log.tail.read(0, 10, SUPPORT, 1 << 20)
            assert tail is not None
            assert len(tail) == stored
            [receipt] = await log.append([_draft("a")])
            assert (receipt.position, receipt.duplicate) == (1, stored == 1)
            assert len(announced) == 1

    asyncio.run(scenario())


def test_nothing_is_acknowledged_while_it_cannot_be_reopened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer tries again and again; meanwhile appends are refused and reading goes on."""
    monkeypatch.setattr(commit, "_REOPEN_PAUSE_S", 0.001)
    disk = Disk()

    async def scenario() -> None:
        async with _opened(tmp_path, disk) as log:
            await log.append([_draft("a")])
            disk.faults = [Fault.BEFORE_COMMIT, *[Fault.OPEN] * 5]
            with pytest.raises(LogUnavailable):
                await log.append([_draft("b")])
            assert not log.writable
            with pytest.raises(LogUnavailable):
                await log.append([_draft("c")])
            assert len(await log.read(0, 10)) == 1
            await _until(lambda: log.writable)
            assert disk.faults == []
            assert (await log.append([_draft("d")]))[0].position == 2

    asyncio.run(scenario())


def test_what_nobody_acknowledged_yet_is_not_shown(tmp_path: Path) -> None:
    """A row whose COMMIT failed may be on the disk; until it is looked up it is not in the log."""
    disk = Disk()

    async def scenario() -> None:
        async with _opened(tmp_path, disk, evolve(FROM_DISK, tail_events_max=1)) as log:
            await log.append([_draft("a"), _draft("b")])
            disk.faults = [Fault.AFTER_COMMIT, *[Fault.OPEN] * 10_000]
            with pytest.raises(LogUnavailable):
                await log.append([_draft("c")])
            page = await log.read_visible(0, 10, SUPPORT)
            assert [entry.position for entry in page] == [1, 2]
            assert await log.count_visible(0, SUPPORT, most=10) == 2
            assert len(await log.read(0, 10, until=3)) == 2
            assert await log.cursor_at(3) is None
            disk.faults.clear()
            await _until(lambda: log.writable)
            assert len(await log.read_visible(0, 10, SUPPORT)) == 3

    asyncio.run(scenario())


def test_a_wal_left_by_a_crash_is_written_once_more_before_anything_is_taken(
    tmp_path: Path,
) -> None:
    """The process may have died of a failed sync: what it left is not trusted to be on the disk."""

    async def scenario() -> None:
        crashed = tmp_path / "crashed"
        crashed.mkdir()
        async with _opened(tmp_path / "log", Disk()) as log:
            await log.append([_draft("a")])
            for name in ("log.db", "log.db-wal"):
                (crashed / name).hardlink_to(tmp_path / "log" / name)
        async with _opened(crashed, Disk()) as log:
            assert log.head.position == 1
            assert (crashed / "log.db-wal").stat().st_size == 0

    asyncio.run(scenario())


def test_closing_gives_up_on_a_dead_disk(tmp_path: Path) -> None:
    """G19: a log that cannot be reopened can be closed, at once."""
    disk = Disk()

    async def scenario() -> None:
        async with asyncio.timeout(5):
            async with _opened(tmp_path, disk) as log:
                disk.faults = [Fault.BEFORE_COMMIT, *[Fault.OPEN] * 10_000]
                with pytest.raises(LogUnavailable):
                    await log.append([_draft("a")])

    asyncio.run(scenario())


def test_it_resumes_only_once_the_wal_is_in_the_database(tmp_path: Path) -> None:
    """A failed sync may leave pages that never reach the disk: all are written once more first."""
    disk = Disk()

    async def scenario() -> None:
        async with _opened(tmp_path, disk) as log:
            await log.append([_draft("a")])
            with closing(sqlite3.connect(tmp_path / "log.db")) as reader:
                reader.execute("BEGIN")
                reader.execute("SELECT * FROM events").fetchall()
                disk.faults.append(Fault.AFTER_COMMIT)
                with pytest.raises(LogUnavailable):
                    await log.append([_draft("b")])
                await asyncio.sleep(0.6)  # longer than a reopening takes
                assert not log.writable
                reader.rollback()
                await _until(lambda: log.writable)
            assert (tmp_path / "log.db-wal").stat().st_size == 0
            assert log.head.position == 2

    asyncio.run(scenario())


def _forget_the_last(connection: sqlite3.Connection) -> None:
    connection.execute("DROP TRIGGER events_stay")
    connection.execute("DELETE FROM events WHERE position = (SELECT max(position) FROM events)")


def _rewrite_the_last(connection: sqlite3.Connection) -> None:
    connection.execute("DROP TRIGGER events_unchanged")
    connection.execute("UPDATE events SET data = x'7b7d' WHERE position = 2")


def _another_history(connection: sqlite3.Connection) -> None:
    connection.execute("DROP TRIGGER events_unchanged")
    connection.execute("UPDATE events SET hash = zeroblob(32) WHERE position = 2")


def _a_gap(connection: sqlite3.Connection) -> None:
    connection.execute("DROP TRIGGER events_stay")
    connection.execute("DELETE FROM events WHERE position = 1")


def _forge_the_last(connection: sqlite3.Connection) -> None:
    """The work of somebody who knows the chain: every link fits, but it is another history."""
    connection.execute("DROP TRIGGER events_unchanged")
    first = connection.execute("SELECT hash FROM events WHERE position = 1").fetchone()[0]
    row = connection.execute(
        "SELECT recorded_at, stream, conversation, type, version, correlation_id, causation_id"
        " FROM events WHERE position = 2"
    ).fetchone()
    commitment = chain.data_hash(b"", b"{}")
    forged = chain.link(first, chain.header(2, *row), commitment)
    connection.execute(
        "UPDATE events SET data = ?, salt = x'', data_hash = ?, hash = ? WHERE position = 2",
        (b"{}", commitment, forged),
    )


MISCHIEF = [_forge_the_last, _forget_the_last, _rewrite_the_last, _another_history, _a_gap]


@pytest.mark.parametrize("mischief", MISCHIEF)
def test_a_log_that_lost_what_it_acknowledged_halts(
    tmp_path: Path, mischief: Callable[[sqlite3.Connection], None]
) -> None:
    """G16: missing or different events halt the appends; nothing is repaired; reading goes on."""
    disk = Disk()

    async def scenario() -> None:
        async with _opened(tmp_path, disk) as log:
            await log.append([_draft("a"), _draft("b")])
            disk.mischief = mischief
            with pytest.raises(LogUnavailable):
                await log.append([_draft("c")])
            await _until(lambda: log._committer.state is commit.State.HALTED)
            with pytest.raises(LogHalted):
                await log.append([_draft("d")])
            assert not log.writable
            assert await log.read(0, 10)

    asyncio.run(scenario())


@pytest.mark.parametrize("mischief", MISCHIEF[2:])
def test_newest_links_that_do_not_fit_open_read_only(
    tmp_path: Path, mischief: Callable[[sqlite3.Connection], None]
) -> None:
    """At open likewise: one may look, but nothing is written after a history that is not ours."""

    async def scenario() -> None:
        disk = Disk()
        async with _opened(tmp_path, disk) as log:
            await log.append([_draft("a"), _draft("b")])
        with closing(sqlite3.connect(tmp_path / "log.db")) as connection:
            mischief(connection)
            connection.commit()
        async with _opened(tmp_path, disk) as log:
            assert not log.writable
            with pytest.raises(LogHalted):
                await log.append([_draft("c")])
            assert await log.read(0, 10)

    asyncio.run(scenario())


def test_a_flipped_bit_in_the_newest_rows_is_seen_at_open(tmp_path: Path) -> None:
    """SQLite itself does not notice a flipped content bit; the chain does."""
    marker = b"flip-me"

    async def scenario() -> None:
        async with _opened(tmp_path, Disk()) as log:
            await log.append([_draft("a"), _draft(marker.decode())])
        path = tmp_path / "log.db"
        content = bytearray(path.read_bytes())
        content[content.index(marker)] ^= 1
        path.write_bytes(content)
        async with _opened(tmp_path, Disk()) as log:
            assert not log.writable

    asyncio.run(scenario())


def _corrupt() -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError("database disk image is malformed")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def test_a_corrupt_file_halts_the_log(tmp_path: Path) -> None:
    """SQLITE_CORRUPT is no matter of trying again."""
    disk = Disk()

    async def scenario() -> None:
        async with _opened(tmp_path, disk) as log:
            disk.error, disk.faults = _corrupt(), [Fault.INSERT]
            for _ in range(2):
                with pytest.raises(LogHalted):
                    await log.append([_draft("a")])

    asyncio.run(scenario())


def test_corruption_seen_while_reading_halts_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader that meets it is told, and so is everybody who wants to append."""

    async def broken(*_arguments: object) -> Sequence[object]:
        raise _corrupt()

    async def scenario() -> None:
        async with _opened(tmp_path, Disk()) as log:
            await log.append([_draft("a")])
            with monkeypatch.context() as patch:
                patch.setattr("eventstore.connection.Readers.fetch", broken)
                with pytest.raises(LogHalted):
                    await log.read(0, 10)
            with pytest.raises(LogHalted):
                await log.append([_draft("b")])
            assert await log.read(0, 10)

    asyncio.run(scenario())


def test_a_lost_file_is_not_made_anew(tmp_path: Path) -> None:
    """If the file is gone when the writer reopens, an empty one in its place would hide that."""
    disk = Disk()

    async def scenario() -> None:
        async with _opened(tmp_path, disk) as log:
            await log.append([_draft("a")])
            for path in list(tmp_path.glob("log.db*")):  # noqa: ASYNC240  a test
                path.unlink()
            disk.faults.append(Fault.BEFORE_COMMIT)
            with pytest.raises(LogUnavailable):
                await log.append([_draft("b")])
            await asyncio.sleep(0.1)
            assert not log.writable
            assert not (tmp_path / "log.db").exists()

    asyncio.run(scenario())


def test_the_wal_stays_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """G18: own checkpoints, between groups, bring the WAL back to its start again and again."""
    monkeypatch.setattr(writer, "CHECKPOINT_PAGES", 50)

    async def scenario() -> None:
        async with _opened(tmp_path, Disk()) as log:
            for n in range(100):
                await log.append([_draft(f"{n}.{i}") for i in range(20)])
            assert (tmp_path / "log.db-wal").stat().st_size < 200 * 4096

    asyncio.run(scenario())


def test_a_wal_that_grew_is_truncated_when_idle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a reader held it for long, the file gives its space back."""
    monkeypatch.setattr(writer, "CHECKPOINT_PAGES", 20)
    monkeypatch.setattr(writer, "WAL_BYTES_MAX", 100_000)

    async def scenario() -> None:
        wal = tmp_path / "log.db-wal"
        async with _opened(tmp_path, Disk()) as log:
            with closing(sqlite3.connect(tmp_path / "log.db")) as reader:
                reader.execute("BEGIN")
                reader.execute("SELECT * FROM events").fetchall()
                for n in range(30):
                    await log.append([_draft(f"{n}.{i}") for i in range(20)])
                assert wal.stat().st_size > 100_000
            for n in range(5):
                await log.append([_draft(f"later {n}")])
            await _until(lambda: wal.stat().st_size < 100_000)

    asyncio.run(scenario())
