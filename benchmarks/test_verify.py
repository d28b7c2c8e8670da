"""Events verified offline a second: logs of 100,000 and a million messages, by one process and two.

As an auditor does it: one copied file, run by a Python of its own that sees nothing of the project.
Beside it, SHA-256 alone over as many bytes, twice an event, of salt and content and of the chain:
by one process, and by two at once, which says what a second processor of this machine is worth.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.test_log import _message
from eventstore import verify as verifier
from eventstore.chain import header, link
from eventstore.log import EventLog

WRITTEN = 100_000
"""So many by the log itself; a longer one has them again, with places and hashes of their own."""
ROUNDS = 5
PROCESSORS = sorted(os.sched_getaffinity(0))

_COLUMNS = """position, recorded_at, stream, conversation, type, version, data, data_hash, salt,
    correlation_id, causation_id, hash"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of messages, written once."""
    path = tmp_path_factory.mktemp("verify")

    async def write() -> None:
        log = await EventLog.open(path)
        for _ in range(WRITTEN // 1_000):
            await log.append([_message() for _ in range(1_000)])
        await log.close()

    asyncio.run(write())
    return path


@pytest.fixture(scope="module")
def long_folder(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, ten times as long."""
    path = tmp_path_factory.mktemp("long")
    shutil.copy(folder / "log.db", path)
    with closing(sqlite3.connect(path / "log.db")) as log, log:
        rows = log.execute(f"SELECT {_COLUMNS} FROM events").fetchall()  # noqa: S608 - a constant
        log.executemany(f"INSERT INTO events VALUES ({', '.join('?' * 12)})", _again(rows, 9))  # noqa: S608
        places = range(WRITTEN + 1, 10 * WRITTEN + 1)
        keys = ((sha256(b"%d" % place).digest()[:16], place) for place in places)
        log.executemany("INSERT INTO keys VALUES (?, ?)", keys)
    return path


def _again(rows: list[tuple[Any, ...]], times: int) -> Iterator[tuple[Any, ...]]:
    position, at, previous = len(rows), rows[-1][1], rows[-1][11]
    for row in rows * times:
        position, at = position + 1, at + 1
        envelope = header(position, at, *row[2:6], *row[9:11])
        previous = link(previous, envelope, row[7])
        yield position, at, *row[2:11], previous


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("length", ["folder", "long_folder"])
def test_verify(
    benchmark: BenchmarkFixture,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    length: str,
    processes: int,
) -> None:
    """By its own clock, as it says on the terminal; the table's times are those of the command."""
    path = request.getfixturevalue(length)
    copy = shutil.copy(verifier.__file__, tmp_path)
    command = [sys.executable, "-I", copy, str(path), "--json"]
    seconds: list[float] = []

    def run() -> None:
        os.sched_setaffinity(0, PROCESSORS[:processes])
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        finally:
            os.sched_setaffinity(0, PROCESSORS)
        seconds.append(json.loads(done.stdout)["seconds"])

    events = WRITTEN if length == "folder" else 10 * WRITTEN
    benchmark.pedantic(run, rounds=ROUNDS)  # type: ignore[no-untyped-call]
    with closing(sqlite3.connect(path / "log.db")) as log:
        assert log.execute("SELECT max(position) FROM events").fetchone() == (events,)
    print(
        f"\n{events:,} events, {processes} process(es): {events / median(seconds):,.0f} events/s "
        f"(best {events / min(seconds):,.0f}); with Python's start "
        f"{events / benchmark.stats.stats.median:,.0f}"
    )


@pytest.mark.parametrize("processes", [1, 2])
def test_hashing_alone(benchmark: BenchmarkFixture, folder: Path, processes: int) -> None:
    """The floor: as many bytes from memory, nothing read, nothing compared."""
    with closing(sqlite3.connect(folder / "log.db")) as log:
        rows = log.execute("SELECT salt || data, zeroblob(200) FROM events LIMIT 1000")
        log.text_factory = bytes
        pairs = rows.fetchall()
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        arguments = [pairs] * processes
        benchmark.pedantic(pool.map, (_hash_all, arguments), rounds=ROUNDS)  # type: ignore[no-untyped-call]
    rate = processes * WRITTEN / benchmark.stats.stats.median
    print(f"\nSHA-256 alone, {processes} process(es): {rate:,.0f} events/s")


def _hash_all(pairs: list[tuple[bytes, bytes]]) -> None:
    for _ in range(WRITTEN // len(pairs)):
        for content, envelope in pairs:
            sha256(content).digest()
            sha256(envelope).digest()
