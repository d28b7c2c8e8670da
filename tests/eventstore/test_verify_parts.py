"""A long log walked by several processes: what is found is what one process finds."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eventstore import verify as verifier
from eventstore.verify import Anchor, Report, verify
from tests.eventstore.test_verify import (
    EVENTS,
    a_row,
    break_index,
    chained,
    fill,
    history,
    receipt,
    tamper,
    write,
)

# The workers of a parallel test run have a thread beside the tests, which never holds a lock here.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")

ROWS = history()
SEAMS = (EVENTS // 4, EVENTS // 2, EVENTS * 3 // 4)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound log, written once."""
    return write(tmp_path_factory.mktemp("sound") / "log.db", ROWS)


@pytest.fixture(autouse=True)
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty events are a long log."""
    monkeypatch.setattr(verifier, "PART_EVENTS", 10)


def found(file: Path, anchors: list[Anchor], processes: int) -> Report:
    """The report, without how long it took."""
    return replace(verify(file, anchors, processes=processes), seconds=0.0)


def demand_the_same(file: Path, *anchors: Anchor) -> Report:
    """The report that any number of processes gives."""
    alone = found(file, list(anchors), 1)
    for processes in (2, 4):
        assert found(file, list(anchors), processes) == alone
    return alone


def test_a_sound_log_is_accepted_with_anchors_in_every_part(sound: Path) -> None:
    """At the seams, beside them and at the end; the erasure is named in another part than it is."""
    around = [position + step for position in SEAMS for step in (-1, 0, 1)]
    report = demand_the_same(sound, *(receipt(ROWS, position) for position in (*around, EVENTS)))
    assert (report.fault, report.events, report.erased) == (None, EVENTS, 1)


@pytest.mark.parametrize("column", ["data", "recorded_at", "hash"])
def test_a_changed_row_is_found_wherever_it_is(sound: Path, tmp_path: Path, column: str) -> None:
    """Its position is named, at each seam and after it."""
    for position in (1, *SEAMS, *(seam + 1 for seam in SEAMS), EVENTS):
        file = Path(shutil.copy(sound, tmp_path / "log.db"))
        value = "recorded_at - 10" if column == "recorded_at" else "zeroblob(32)"
        tamper(file, f"UPDATE events SET {column} = {value} WHERE position = {position}")  # noqa: S608
        fault = demand_the_same(file).fault
        assert fault is not None
        assert fault.position == position


@pytest.mark.parametrize(
    ("first", "last"), [(1, 1), (9, 11), (10, 10), (11, 11), (15, 35), (31, EVENTS)]
)
def test_what_was_cut_out_is_found_across_seams(
    sound: Path, tmp_path: Path, first: int, last: int
) -> None:
    """A part that begins where nothing is any more falls to the process before it."""
    file = Path(shutil.copy(sound, tmp_path / "log.db"))
    tamper(file, f"DELETE FROM events WHERE position BETWEEN {first} AND {last}")  # noqa: S608
    fault = demand_the_same(file, receipt(ROWS, EVENTS)).fault
    assert fault is not None
    assert fault.position == first


def test_a_receipt_of_another_history_is_found_in_any_part(sound: Path) -> None:
    """And what was confirmed before it is known across the seam."""
    forged = [Anchor(position, "00" * 32, "forged") for position in (5, 15, 25, 35)]
    for anchor in forged:
        fault = demand_the_same(sound, receipt(ROWS, 3), anchor).fault
        assert fault is not None
        assert (fault.kind, fault.position) == ("rewritten", anchor.position)
        assert "from position 4 on" in fault.means


def test_what_another_process_does_not_finish_is_walked_here(
    sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed for want of memory, or failed: the log is verified all the same, and none is left."""
    ends = iter([lambda: os.kill(os.getpid(), signal.SIGKILL), lambda: 1 / 0])
    original = verifier._forked
    children: list[int] = []

    def forked(work: object) -> tuple[int, int]:
        child, pipe = original(next(ends, work))  # type: ignore[arg-type]
        children.append(child)
        return child, pipe

    monkeypatch.setattr(verifier, "_forked", forked)
    report = verify(sound, [receipt(ROWS, EVENTS)], processes=4)
    assert (report.fault, report.events) == (None, EVENTS)
    assert len(children) > 2
    for child in children:
        with pytest.raises(ChildProcessError):
            os.waitpid(child, os.WNOHANG)


@pytest.mark.parametrize("killed", [False, True])
def test_what_no_walk_shows_is_found_beside_it(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    """A broken index, a key without an event: by another process, or by this one in its place."""
    if killed:
        monkeypatch.setattr(verifier, "_check_beside", lambda _: os.kill(os.getpid(), 9))
    broken = Path(shutil.copy(sound, tmp_path / "broken.db"))
    break_index(broken)
    keyed = Path(shutil.copy(sound, tmp_path / "keyed.db"))
    tamper(keyed, "UPDATE keys SET position = 99 WHERE position = 5")
    for file, kind in ((broken, "file"), (keyed, "key")):
        fault = demand_the_same(file, receipt(ROWS, EVENTS)).fault
        assert fault is not None
        assert fault.kind == kind


def beats(compacted: int) -> list[dict[str, Any]]:
    """A log of heartbeats in which those up to a position are compacted; its record is the last."""
    rows = [a_row(position) for position in range(1, EVENTS + 1)]
    for row in rows[:-1]:
        fill(row, "client:ana/laptop", "heartbeat.answered", b"{}")
        if row["position"] <= compacted:
            row |= {"data": None, "salt": None}
    record = json.dumps({"after": 0, "until": compacted}).encode()
    fill(rows[-1], "system", "heartbeat.compacted", record)
    return chained(rows)


@pytest.mark.parametrize("compacted", [5, 10, 25, EVENTS - 1])
def test_heartbeats_are_compared_with_their_record_across_parts(
    tmp_path: Path, compacted: int
) -> None:
    """Blank up to there in every part, whole from there on; one that is not so is named."""
    rows = beats(compacted)
    assert demand_the_same(write(tmp_path / "log.db", rows)).fault is None
    for position in {1, compacted, compacted + 1, EVENTS - 1} - {EVENTS}:
        odd = dict(rows[position - 1])
        if position > compacted:
            odd |= {"data": None, "salt": None}
        else:
            fill(odd, odd["stream"], odd["type"], b"{}")
        file = tmp_path / f"{position}.db"
        fault = demand_the_same(write(file, [*rows[: position - 1], odd, *rows[position:]])).fault
        assert fault is not None
        assert fault.position == position


def test_progress_is_told_while_others_walk(sound: Path) -> None:
    """It only grows, and at the end all are done."""
    seen: list[tuple[int, int]] = []
    verify(sound, on_progress=lambda done, total: seen.append((done, total)), processes=2)
    assert seen == sorted(seen)
    assert len(seen) > 2
    assert seen[-1] == (EVENTS, EVENTS)


def test_a_program_with_threads_is_not_forked() -> None:
    """A child would have the locks of threads that are not there to let go of them."""
    leave = threading.Event()
    thread = threading.Thread(target=leave.wait)
    thread.start()
    try:
        assert verifier.processors() == 1
    finally:
        leave.set()
        thread.join()
