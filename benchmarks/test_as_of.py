"""How long a question about the past takes, and what it costs that it can be asked.

At 1,000,000 events in 2,500 conversations and of 400 devices, at random positions. The log is made
up page by page as the projector reads it; everything else is as it runs.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest

from eventstore.apply import Head
from eventstore.codec import encode
from eventstore.cursor import Cursor
from eventstore.draft import Draft
from eventstore.events import RecordedEvent
from projections.connections import CONNECTIONS, list_connections, presence
from projections.conversations import CONVERSATIONS, get_conversation, list_conversations
from projections.deliveries import DELIVERIES, list_deliveries
from projections.messages import MESSAGES, list_messages
from projections.projection import Query
from projections.projector import PAGE_EVENTS, Projector
from projections.search import SEARCH, search_conversations
from tests.projections.busy_years import INBOXES, House
from tests.projections.history import EPOCH, START_US

EVENTS = 1_000_000
CONVERSATIONS_COUNT = 2_500
ASKED = (CONVERSATIONS, MESSAGES, SEARCH, DELIVERIES, CONNECTIONS)
SEEN = frozenset(INBOXES)
PAST_TABLES = (
    *("conversations_version", "conversations_gone", "deliveries_version"),
    *("deliveries_parked_version", "connections_beat"),
    *("messages_alias_before", "conversations_alias_before"),
)


class MadeUpLog:
    """What a projector needs of a log; a page is read once, in order, and is gone."""

    def __init__(self, events: int) -> None:
        self.epoch = EPOCH
        self.head = Head(events, START_US + events, bytes(32))
        self._house = House(7, conversations=CONVERSATIONS_COUNT, devices=400)

    async def read(
        self, after: int, limit: int, *, until: int | None = None
    ) -> list[RecordedEvent]:
        """The next page."""
        size = min(limit, (until or self.head.position) - after)
        places = count(after + 1)
        return [self._recorded(next(places), draft) for draft in self._house.drafts(size)]

    def _recorded(self, position: int, draft: Draft) -> RecordedEvent:
        event, at = draft.event, START_US + 1_000_000 * position
        return RecordedEvent(
            *(position, at, draft.stream, draft.conversation, event.type, event.version),
            *(encode(event), None, None, bytes(32)),
        )

    async def cursor_at(self, position: int) -> Cursor:
        """A cursor; this log has no hashes."""
        return Cursor.at(self.epoch, position, bytes(32))

    async def recorded_at(self, position: int) -> int:
        """One event a second."""
        return START_US + 1_000_000 * position


@asynccontextmanager
async def house(path: Path) -> AsyncIterator[Projector]:
    """A projector that has folded all of it."""
    projector = await Projector.open(path, MadeUpLog(EVENTS), projections=ASKED)  # type: ignore[arg-type]
    try:
        yield projector
    finally:
        await projector.close()


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int, Query[Any]], Any]]:
    """Asks about a position, and waits for the answer."""
    path = tmp_path_factory.mktemp("past") / "projections.db"
    with asyncio.Runner() as runner:
        opened = house(path)
        projector = runner.run(opened.__aenter__())
        yield lambda position, query: runner.run(projector.fetch_as_of(position, query))
        runner.run(opened.__aexit__(None, None, None))
    _tell_what_it_costs(path)


def _tell_what_it_costs(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        sizes = dict(db.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name"))
    past = {name: sizes.get(name, 0) / EVENTS for name in PAST_TABLES}
    told = ", ".join(f"{name} {size:.1f}" for name, size in past.items())
    print(
        f"\nbytes an event: {sum(past.values()):.1f} of {sum(sizes.values()) / EVENTS:.1f} ({told})"
    )


@pytest.mark.timeout(900)  # folding a million events comes first
@pytest.mark.parametrize(
    "question",
    [
        lambda _: list_conversations(SEEN),
        lambda random: list_conversations(SEEN, before=random.randrange(1, EVENTS)),
        lambda random: get_conversation(SEEN, f"5511{900_000_000 + random.randrange(2_500)}"),
        lambda random: list_messages(SEEN, f"5511{900_000_000 + random.randrange(2_500)}"),
        lambda _: search_conversations(SEEN, "fiscal ontem"),
        lambda _: search_conversations(SEEN, "nobody said so"),
        lambda _: list_deliveries(),
        lambda _: list_connections(),
        lambda random: presence(START_US + 1_000_000 * random.randrange(1, EVENTS)),
    ],
    ids=[
        *("list", "list-page", "conversation", "messages", "search", "search-in-vain"),
        *("queue", "connections", "presence"),
    ],
)
def test_ask_the_past(
    benchmark: Any,
    asked: Callable[[int, Query[Any]], Any],
    question: Callable[[Random], Query[Any]],
) -> None:
    """At 40 random positions; the median is what counts."""
    random = Random(1)

    def ask() -> Any:
        return asked(random.randrange(1, EVENTS), question(random))

    benchmark.pedantic(ask, rounds=40)
    benchmark.extra_info["pages"] = EVENTS // PAGE_EVENTS
