"""The log's own speed: append, read, codec. ``--benchmark-save`` and ``--benchmark-compare`` them.

Groups are written with FULL sync, keyed, of about 450 bytes of data each, as messages are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import uvloop
from pytest_benchmark.fixture import BenchmarkFixture

from eventstore.codec import decode, encode, encode_recorded
from eventstore.draft import Draft, idempotency_key
from eventstore.events import Contact, MessageReceived, Text
from eventstore.log import EventLog, Limits

INBOXES = frozenset({"support"})
_numbers = count()

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture
def run() -> Iterator[Run]:
    """One event loop for a whole benchmark."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        yield runner.run


def _message() -> Draft:
    number = next(_numbers)
    event = MessageReceived(
        f"wamid.HBgNNTUxMTk5OTk5OTk5ORUCABIYFDNBN{number:08}",
        Contact("5511999999999", "Maria Silva", "+5511999999999"),
        Text("What time do you close today? " * 7),
        sent_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    )
    key = idempotency_key("support", "message", event.message_id)
    return Draft("inbox:support", event, "c_1f0c2d3e4b5a69788796a5b4", key, f"req-{number}")


@pytest.mark.parametrize("group", [1, 100, 1000])
def test_append_groups(benchmark: BenchmarkFixture, run: Run, tmp_path: Path, group: int) -> None:
    """One caller, one group after the other; divide by the group's size for an event's cost."""
    log = run(EventLog.open(tmp_path))
    try:
        benchmark.pedantic(  # type: ignore[no-untyped-call]  # its stubs lack it
            lambda drafts: run(log.append(drafts)),
            setup=lambda: (([_message() for _ in range(group)],), {}),
            rounds=30,
            warmup_rounds=2,
        )
    finally:
        run(log.close())


def test_append_64_at_once(benchmark: BenchmarkFixture, run: Run, tmp_path: Path) -> None:
    """64 callers with one message each, as webhooks come; the time is that of all 64."""
    log = run(EventLog.open(tmp_path))

    async def together(drafts: list[Draft]) -> None:
        await asyncio.gather(*[log.append([draft]) for draft in drafts])

    try:
        benchmark.pedantic(  # type: ignore[no-untyped-call]  # its stubs lack it
            lambda drafts: run(together(drafts)),
            setup=lambda: (([_message() for _ in range(64)],), {}),
            rounds=50,
            warmup_rounds=2,
        )
    finally:
        run(log.close())


@pytest.mark.parametrize("source", ["tail", "disk"])
def test_read_a_page_of_500(
    benchmark: BenchmarkFixture, run: Run, tmp_path: Path, source: str
) -> None:
    """What members see: from memory, and through the partial index."""
    limits = Limits() if source == "tail" else Limits(tail_events_max=1)
    log = run(EventLog.open(tmp_path, limits=limits))
    try:
        run(log.append([_message() for _ in range(2000)]))
        page = benchmark(lambda: run(log.read_visible(700, 500, INBOXES)))
        assert len(page) == 500
    finally:
        run(log.close())


def test_read_a_raw_page_of_1000(benchmark: BenchmarkFixture, run: Run, tmp_path: Path) -> None:
    """What projections and auditors read."""
    log = run(EventLog.open(tmp_path))
    try:
        run(log.append([_message() for _ in range(2000)]))
        assert len(benchmark(lambda: run(log.read(500, 1000)))) == 1000
    finally:
        run(log.close())


def test_encode(benchmark: BenchmarkFixture) -> None:
    """An event to its stored bytes: once for each event."""
    event = _message().event
    benchmark(encode, event)


def test_decode(benchmark: BenchmarkFixture) -> None:
    """Stored bytes to an event: once for each event and projection run."""
    event = _message().event
    benchmark(decode, event.type, event.version, encode(event))


def test_encode_recorded(benchmark: BenchmarkFixture, run: Run, tmp_path: Path) -> None:
    """The event as members see it: once, however many they are."""
    log = run(EventLog.open(tmp_path))
    try:
        run(log.append([_message()]))
        [recorded] = run(log.read(0, 1))
    finally:
        run(log.close())
    benchmark(encode_recorded, recorded, log.epoch)
