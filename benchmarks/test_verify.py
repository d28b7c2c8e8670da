"""Events verified offline a second: a log of 100,000 messages, in two processes and in one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.test_log import _message
from eventstore import verify as verifier
from eventstore.log import EventLog

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
def test_verify(
    benchmark: BenchmarkFixture, folder: Path, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    """Divide EVENTS by the time."""
    if processes == 1:
        monkeypatch.setattr(verifier, "SPLIT_EVENTS", EVENTS + 1)
    report = benchmark.pedantic(verifier.verify, (folder,), rounds=5)  # type: ignore[no-untyped-call]
    assert (report.fault, report.events) == (None, EVENTS)
    print(f"\n{processes} process(es): {EVENTS / benchmark.stats.stats.median:,.0f} events/s")
