"""Old heartbeats: a sample a connection and minute stays, the content goes, and the chain holds."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from eventstore.compaction import MINUTE_US, compacted
from eventstore.draft import Draft
from eventstore.events import (
    CompactedBeats,
    HeartbeatAnswered,
    HeartbeatMissed,
    HeartbeatsCompacted,
    ServerStarted,
)
from eventstore.log import EventLog
from eventstore.transfer import export, import_log
from eventstore.verify import verify

START_US = 1_700_000_040_000_000  # the beginning of a minute
MINUTE = START_US // MINUTE_US
BEATS = 12


def beat(number: int) -> Draft:
    """One of two devices; every fifth ping is missed."""
    device, session = ("phone", "s1") if number % 2 else ("laptop", "s2")
    event: HeartbeatAnswered | HeartbeatMissed = HeartbeatAnswered(session, float(number))
    if number % 5 == 0:
        event = HeartbeatMissed(session, 1)
    return Draft(f"client:ann/{device}", event)


def on_a_log(folder: Path, scenario: Callable[[EventLog], Awaitable[None]]) -> None:
    """A scenario on a log with beats of three minutes, one each 15 s, after its start."""
    times = iter(range(START_US, START_US + 60 * MINUTE_US, MINUTE_US // 4))

    async def opened() -> None:
        log = await EventLog.open(folder, clock=lambda: next(times))
        try:
            if log.head.position == 0:
                for number in range(BEATS):
                    await log.append([beat(number)])
            await scenario(log)
        finally:
            await log.close()

    asyncio.run(opened())


async def compact(log: EventLog, after: int, until: int) -> None:
    """Compact a range."""
    beats = await log.read(after, 1_000, until=until)
    await log.append([Draft("system", compacted(after, until, beats))])


def compacted_log(folder: Path) -> Path:
    """A log whose first two minutes are compacted, in two events; its file."""

    async def scenario(log: EventLog) -> None:
        await compact(log, 0, 4)
        await compact(log, 4, 8)

    on_a_log(folder, scenario)
    return folder / "log.db"


def tampered(file: Path, statement: str) -> str:
    """What the verifier says of the file after somebody changed it: the fault, and where."""
    with closing(sqlite3.connect(file)) as db:
        db.execute("DROP TRIGGER events_unchanged")
        db.execute(statement)
        db.commit()
    fault = verify(file).fault
    assert fault is not None
    return f"{fault.kind} {fault.position}"


def test_a_sample_has_the_count_the_round_trips_and_the_misses_of_its_minute(
    tmp_path: Path,
) -> None:
    """Round trips in µs, p95 by nearest rank; a minute of misses alone has no round trip."""

    async def scenario(log: EventLog) -> None:
        [second, third] = [await log.read(after, 4) for after in (4, 8)]
        event = compacted(4, 12, second + third)
        assert event == HeartbeatsCompacted(
            4,
            12,
            (
                CompactedBeats(
                    *("ann", "laptop", "s2"),
                    (
                        (MINUTE + 1, 2, 4_000, 5_000, 6_000, 6_000, 0),
                        (MINUTE + 2, 1, 8_000, 8_000, 8_000, 8_000, 1),
                    ),
                ),
                CompactedBeats(
                    *("ann", "phone", "s1"),
                    (
                        (MINUTE + 1, 1, 7_000, 7_000, 7_000, 7_000, 1),
                        (MINUTE + 2, 2, 9_000, 10_000, 11_000, 11_000, 0),
                    ),
                ),
            ),
        )
        assert compacted(4, 5, [e for e in second if e.type == "heartbeat.missed"]).beats == (
            CompactedBeats("ann", "phone", "s1", ((MINUTE + 1, 0, 0, 0, 0, 0, 1),)),
        )

    on_a_log(tmp_path / "data", scenario)


def test_compacted_heartbeats_lose_their_content_and_nothing_else(tmp_path: Path) -> None:
    """Place, time and hash stay, newer beats are whole, and the log verifies."""
    before: list[bytes] = []

    async def look(log: EventLog) -> None:
        before.extend(event.hash for event in await log.read(0, BEATS))

    on_a_log(tmp_path / "data", look)
    file = compacted_log(tmp_path / "data")
    with closing(sqlite3.connect(file)) as db:
        rows = db.execute("SELECT data IS NULL, salt IS NULL, hash FROM events").fetchall()
    assert [row[:2] for row in rows] == [(1, 1)] * 8 + [(0, 0)] * 6
    assert [row[2] for row in rows[:BEATS]] == before
    report = verify(file)
    assert (report.fault, report.events, report.erased) == (None, BEATS + 2, 0)


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE events SET data = NULL, salt = NULL WHERE position = 10", "erased 10"),
        ("UPDATE events SET data = NULL, salt = NULL WHERE position = 13", "erased 13"),
        (
            "UPDATE events SET data = x'7b7d', salt = x'00' WHERE position = 3",
            "content 3",
        ),
    ],
    ids=["a beat too many", "the record itself", "content put back"],
)
def test_content_that_is_gone_or_there_against_the_record_is_found(
    tmp_path: Path, statement: str, fault: str
) -> None:
    """Only what a heartbeat.compacted speaks of may be gone."""
    assert tampered(compacted_log(tmp_path / "data"), statement) == fault


def test_a_compaction_that_did_not_take_place_is_found(tmp_path: Path) -> None:
    """The true content put back under its record: a backup from before, say, pasted in."""
    folder = tmp_path / "data"

    async def nothing(_: EventLog) -> None:
        pass

    on_a_log(folder, nothing)
    shutil.copy(folder / "log.db", tmp_path / "before.db")
    file = compacted_log(folder)
    with closing(sqlite3.connect(file)) as db:
        db.execute("ATTACH ? AS was", (str(tmp_path / "before.db"),))
        db.execute("DROP TRIGGER events_unchanged")
        db.execute(
            "UPDATE events SET (data, salt) = (SELECT data, salt FROM was.events AS old"
            " WHERE old.position = events.position) WHERE position = 2"
        )
        db.commit()
    fault = verify(file).fault
    assert fault is not None
    assert (fault.kind, fault.position) == ("redaction", 2)


def test_an_export_of_a_compacted_log_verifies_and_comes_back_as_it_was(tmp_path: Path) -> None:
    """The same hashes; a line whose beat was blanked without a record is found there, too."""
    file = compacted_log(tmp_path / "data")
    lines = list(export(file, "ndjson"))
    (tmp_path / "log.ndjson").write_bytes(b"".join(lines))
    assert verify(tmp_path / "log.ndjson").fault is None
    head = import_log(lines, tmp_path / "again")
    report = verify(tmp_path / "again")
    assert (report.fault, report.hash) == (None, head.hash.hex())
    with closing(sqlite3.connect(file)) as db:
        db.execute("UPDATE events SET data = NULL, salt = NULL WHERE position = 11")
        db.commit()
    (tmp_path / "log.ndjson").write_bytes(b"".join(export(file, "ndjson")))
    fault = verify(tmp_path / "log.ndjson").fault
    assert fault is not None
    assert (fault.kind, fault.position) == ("erased", 11)


def test_a_log_of_an_older_release_learns_that_heartbeats_may_be_compacted(tmp_path: Path) -> None:
    """Its trigger is replaced when it is opened, and refuses all else as before."""
    folder = tmp_path / "data"

    async def nothing(_: EventLog) -> None:
        pass

    on_a_log(folder, nothing)
    with closing(sqlite3.connect(folder / "log.db")) as db:
        db.execute("DROP TRIGGER events_unchanged")
        db.execute(
            "CREATE TRIGGER events_unchanged BEFORE UPDATE ON events"
            " BEGIN SELECT RAISE(ABORT, 'never'); END"
        )
        db.commit()
    file = compacted_log(folder)
    assert verify(file).fault is None
    with (
        closing(sqlite3.connect(file)) as db,
        pytest.raises(sqlite3.IntegrityError, match="events never change"),
    ):
        db.execute("UPDATE events SET data = NULL, salt = NULL WHERE type = 'heartbeat.compacted'")


def test_a_kill_in_between_leaves_both_or_neither(tmp_path: Path) -> None:
    """The record and the blanking are one transaction: a write that fails does none of it."""
    folder = tmp_path / "data"

    async def scenario(log: EventLog) -> None:
        with closing(sqlite3.connect(folder / "log.db")) as db:
            db.execute(
                "CREATE TRIGGER fails BEFORE UPDATE ON events WHEN OLD.position = 4"
                " BEGIN SELECT RAISE(ABORT, 'power cut'); END"
            )
            db.commit()
        with pytest.raises(Exception, match="log is"):
            await compact(log, 0, 4)
        assert log.head.position == BEATS

    on_a_log(folder, scenario)
    with closing(sqlite3.connect(folder / "log.db")) as db:
        assert db.execute("SELECT count(*) FROM events WHERE data IS NULL").fetchone() == (0,)
        db.execute("DROP TRIGGER fails")
        db.commit()
    assert verify(folder).fault is None


def test_other_events_in_the_range_keep_their_content(tmp_path: Path) -> None:
    """A range names positions; only the heartbeats among them are meant."""
    folder = tmp_path / "data"

    async def scenario(log: EventLog) -> None:
        await log.append([Draft("system", ServerStarted("b", "1"))])
        await log.append([beat(1)])
        await compact(log, 0, BEATS + 2)
        [started] = await log.read(BEATS, 1)
        assert started.data is not None

    on_a_log(folder, scenario)
    assert verify(folder).fault is None
