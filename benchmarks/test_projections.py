"""How fast projections fold, also beside an event loop that has other things to do, and answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from eventstore.events import DeliveryAcknowledged, MessageStatusChanged, RecordedEvent
from projections import PROJECTIONS
from projections.conversations import get_conversation, list_conversations
from projections.fold import fold
from projections.messages import list_messages
from projections.projector import PAGE_EVENTS
from projections.store import Store
from tests.projections.history import EPOCH, Log, device, said, told

A = frozenset({"a"})
CONVERSATIONS = 50_000


def traffic(count: int) -> list[RecordedEvent]:
    """Messages, statuses and acks in equal parts."""
    log = Log()
    for number in range(count // 3):
        place, direction = f"c{number % 999}", ("inbound", "outbound")[number % 2]
        log.add(
            said(place, f"m{number}", direction=direction),
            told(place, MessageStatusChanged(f"m{number}", "delivered")),
            device(DeliveryAcknowledged("s", 0, number, 3), f"u{number % 1000}"),
        )
    return log.events


def by_page(events: list[RecordedEvent]) -> Iterator[list[RecordedEvent]]:
    """The pages the projector would read."""
    for start in range(0, len(events), PAGE_EVENTS):
        yield events[start : start + PAGE_EVENTS]


EVENTS = traffic(9_000)


def fold_all(path: Path) -> None:
    """Fold the traffic into a new file."""
    path.unlink(missing_ok=True)
    store = Store(path, PROJECTIONS, EPOCH)
    for page in by_page(EVENTS):
        store.fold(page, tuple(store.cursors))
    store.close()


def test_decode_and_evolve(benchmark: Any) -> None:
    """The pure part: events to statements."""
    benchmark(lambda: [fold(page, PROJECTIONS) for page in by_page(EVENTS)])
    benchmark.extra_info["events"] = len(EVENTS)


def test_fold_into_a_file(benchmark: Any, tmp_path: Path) -> None:
    """All of it: decode, evolve, write, commit."""
    benchmark.pedantic(fold_all, (tmp_path / "p.db",), rounds=3)
    benchmark.extra_info["events"] = len(EVENTS)


def test_fold_beside_a_busy_event_loop(benchmark: Any, tmp_path: Path) -> None:
    """The same in a thread while the loop never rests: the GIL is asked back at every step."""

    async def beside() -> None:
        folding = asyncio.create_task(asyncio.to_thread(fold_all, tmp_path / "p.db"))
        while not folding.done():
            _spin(0.004)
            await asyncio.sleep(0)
        await folding

    benchmark.pedantic(lambda: asyncio.run(beside()), rounds=3)
    benchmark.extra_info["events"] = len(EVENTS)


def _spin(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """50,000 conversations, one of them long."""
    log = Log(*(said(f"c{number}", f"m{number}") for number in range(CONVERSATIONS)))
    log.add(*(said("c7", f"n{number}") for number in range(5_000)))
    store = Store(tmp_path_factory.mktemp("many") / "p.db", PROJECTIONS, EPOCH)
    for page in by_page(log.events):
        store.fold(page, tuple(store.cursors))
    yield store
    store.close()


@pytest.mark.parametrize(
    "query",
    [
        lambda: list_conversations(A),
        lambda: list_conversations(A, before=CONVERSATIONS // 2),
        lambda: get_conversation(A, "c7"),
        lambda: list_messages(A, "c7"),
        lambda: list_messages(A, "c7", before=CONVERSATIONS + 99),
    ],
    ids=["list", "list-middle", "conversation", "messages", "messages-middle"],
)
def test_answer(benchmark: Any, many: Store, query: Callable[[], Any]) -> None:
    """A page of an answer, with 50,000 conversations in the file."""
    assert benchmark(lambda: many.fetch(query())).rows
