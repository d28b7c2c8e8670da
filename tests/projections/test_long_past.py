"""G14 on a log of 100,000 events: the past stays as it was told, whatever happens to the rows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from random import Random

import orjson
import pytest

from eventstore.log import EventLog
from projections.connections import CONNECTIONS, list_connections, presence
from projections.conversations import CONVERSATIONS, list_conversations
from projections.deliveries import DELIVERIES, list_deliveries, list_parked
from projections.messages import MESSAGES, list_messages
from projections.projection import to_json
from projections.projector import Projector
from projections.search import SEARCH, search_conversations
from tests.projections.busy_years import INBOXES, House

EVENTS, GROUP = 100_000, 1_000
WRITTEN, WRITTEN_AT_ONCE = 2_000, 40
POSITIONS = 200
ASKED = (CONVERSATIONS, MESSAGES, SEARCH, DELIVERIES, CONNECTIONS)
SEEN = frozenset(INBOXES)


@asynccontextmanager
async def reading(log: EventLog, path: Path) -> AsyncIterator[Projector]:
    """The projections that are asked, folded, and following the log."""
    it = await Projector.open(path, log, projections=ASKED)
    log.on_commit = lambda _: it.wake()
    following = asyncio.create_task(it.run())
    try:
        yield it
    finally:
        following.cancel()
        await it.close()


async def told(log: EventLog, it: Projector, positions: list[int]) -> dict[int, str]:
    """By position, a digest of list, newest conversation, search, queues and presence."""
    answers = {}
    for position in positions:
        at_us = await log.recorded_at(position)
        assert at_us is not None
        listed = await it.fetch_as_of(position, list_conversations(SEEN, limit=10))
        newest = listed.rows[0].id
        rest = [
            await it.fetch_as_of(position, query)
            for query in (
                list_messages(SEEN, newest, limit=10),
                search_conversations(SEEN, "fiscal ontem", limit=10),
                list_deliveries(limit=10),
                list_parked(limit=10),
                list_connections(limit=10),
                presence(at_us),
            )
        ]
        assert {answer.cursor for answer in rest} == {await log.cursor_at(position)}
        text = orjson.dumps([[to_json(row) for row in answer.rows] for answer in (listed, *rest)])
        answers[position] = sha256(text).hexdigest()
    return answers


async def write(log: EventLog, house: House) -> None:
    """More of the same, while others ask."""
    for _ in range(WRITTEN // WRITTEN_AT_ONCE):
        await log.append(list(house.drafts(WRITTEN_AT_ONCE)))


@pytest.mark.timeout(900)  # a log of 100,000 events, folded twice, beside everybody else
def test_200_positions_answer_the_same_after_a_rebuild_a_restart_and_during_writes(
    tmp_path: Path,
) -> None:
    """Lists, messages, queues and presence, byte for byte."""

    async def scenario() -> None:
        house, path = (
            House(5, conversations=500, devices=60, talk=0.15),
            tmp_path / "projections.db",
        )
        positions = Random(5).sample(range(EVENTS // 100, EVENTS), POSITIONS)
        log = await EventLog.open(tmp_path / "data")
        for _ in range(EVENTS // GROUP):
            await log.append(list(house.drafts(GROUP)))
        async with reading(log, path) as it:
            before = await told(log, it, positions)
            await it.rebuild()
            assert await told(log, it, positions) == before
        await log.close()

        log = await EventLog.open(tmp_path / "data")
        async with reading(log, path) as it:
            assert await told(log, it, positions) == before
            writing = asyncio.create_task(write(log, house))
            assert await told(log, it, positions) == before
            await writing
            assert log.head.position == EVENTS + WRITTEN
        await log.close()
        assert len(set(before.values())) == POSITIONS

    asyncio.run(scenario())
