"""What waits becomes one group, and what is just arriving still joins it, without a timer."""

from __future__ import annotations

import asyncio

from eventstore import waiting
from eventstore.draft import Draft
from eventstore.events import HeartbeatMissed
from eventstore.waiting import Queue, Waiting


def _append() -> Waiting:
    draft = Draft("client:ana/phone", HeartbeatMissed("s", 1))
    receipts = asyncio.get_running_loop().create_future()
    return Waiting([draft], [b"{}"], 2, receipts)


def _queue() -> Queue:
    return Queue(drafts_max=1_000, bytes_max=1_000_000)


async def _arrive(queue: Queue, count: int, every: int) -> None:
    """One append every so many turns of the event loop."""
    for _ in range(count):
        for _ in range(every):
            await asyncio.sleep(0)
        queue.put(_append())


def test_what_arrives_in_the_next_turns_joins_the_group() -> None:
    """A commit costs much the same for one and for many: requests that are being read belong in."""

    async def scenario() -> None:
        queue = _queue()
        queue.put(_append())
        arriving = asyncio.create_task(_arrive(queue, 5, every=1))
        assert len(await queue.take(100)) == 6
        await arriving

    asyncio.run(scenario())


def test_a_quiet_loop_does_not_hold_a_group_up() -> None:
    """What comes only later is the next group's: no one waits for what may never come."""

    async def scenario() -> None:
        queue = _queue()
        queue.put(_append())
        arriving = asyncio.create_task(_arrive(queue, 1, every=10))
        assert len(await queue.take(100)) == 1
        assert not arriving.done()
        assert len(await queue.take(100)) == 1
        await arriving

    asyncio.run(scenario())


def test_an_endless_stream_does_not_hold_a_group_up() -> None:
    """However fast they come, the first one is written after a few turns."""

    async def scenario() -> None:
        queue = _queue()
        queue.put(_append())
        arriving = asyncio.create_task(_arrive(queue, 500, every=1))
        assert 2 <= len(await queue.take(1_000)) <= waiting._TURNS_MAX + 2
        arriving.cancel()
        await asyncio.gather(arriving, return_exceptions=True)

    asyncio.run(scenario())


def test_a_full_group_goes_at_once() -> None:
    """Nothing more fits: there is nothing to wait for."""

    async def scenario() -> None:
        queue = _queue()
        for _ in range(3):
            queue.put(_append())
        arriving = asyncio.create_task(_arrive(queue, 1, every=1))
        assert len(await queue.take(2)) == 2
        assert len(queue) == 1
        await arriving

    asyncio.run(scenario())


def test_a_closed_queue_gives_what_is_left_and_then_nothing() -> None:
    """The end of the log: what waits is still written."""

    async def scenario() -> None:
        queue = _queue()
        queue.put(_append())
        queue.close()
        assert len(await queue.take(100)) == 1
        assert await queue.take(100) == []

    asyncio.run(scenario())
