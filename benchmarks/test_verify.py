"""Events verified offline a second: a log of 100,000 messages, by one process and by two.

Beside it, SHA-256 alone over the same bytes: twice an event, of salt and content and of the chain.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.test_log import _message
from eventstore.log import EventLog
from eventstore.verify import verify

EVENTS = 100_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of messages, written once."""
    path = tmp_path_factory.mktemp("verify")

    async def write() -> None:
        log = await EventLog.open(path)
        for _ in range(EVENTS // 1_000):
            await log.append([_message() for _ in range(1_000)])
        await log.close()

    asyncio.run(write())
    return path


@pytest.mark.parametrize("processes", [1, 2])
def test_verify(benchmark: BenchmarkFixture, folder: Path, processes: int) -> None:
    """Divide EVENTS by the time."""
    report = benchmark.pedantic(  # type: ignore[no-untyped-call]
        verify, (folder,), {"processes": processes}, rounds=5
    )
    assert (report.fault, report.events) == (None, EVENTS)
    print(f"\n{processes} process(es): {EVENTS / benchmark.stats.stats.median:,.0f} events/s")


def test_hashing_alone(benchmark: BenchmarkFixture, folder: Path) -> None:
    """The floor under one process: as many bytes from memory, nothing read, nothing compared."""
    with closing(sqlite3.connect(folder / "log.db")) as log:
        rows = log.execute("SELECT salt || data, zeroblob(200) FROM events LIMIT 1000")
        log.text_factory = bytes
        pairs = rows.fetchall()

    def hash_all() -> None:
        for _ in range(EVENTS // len(pairs)):
            for content, header in pairs:
                sha256(content).digest()
                sha256(header).digest()

    benchmark.pedantic(hash_all, rounds=5)  # type: ignore[no-untyped-call]
    print(f"\nSHA-256 alone: {EVENTS / benchmark.stats.stats.median:,.0f} events/s")
