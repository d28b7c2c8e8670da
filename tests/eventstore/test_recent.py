"""The newest events in memory: the same as on the disk, bounded, and never a page with a hole."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventstore.draft import Draft, idempotency_key
from eventstore.events import ConversationRead, HeartbeatMissed, RecordedEvent, WebhookReceived
from eventstore.limits import Limits
from eventstore.log import EventLog
from eventstore.recent import Recent

AMPLE = 1_000_000


STREAMS, TYPES = ("system", "inbox:a"), ("server.stopped", "conversation.read", "x.y")


def _event(position: int, size: int = 10) -> RecordedEvent:
    data = None if size == 0 else b"x" * size
    stream, type_ = STREAMS[position % 2], TYPES[position % 3]
    return RecordedEvent(position, position, stream, None, type_, 1, data, None, None, bytes(32))


@given(
    st.lists(st.integers(0, 30), max_size=40),
    st.integers(0, 20),
    st.integers(0, 200),
    st.data(),
)
def test_a_page_is_the_one_of_the_log_or_none_at_all(
    sizes: list[int], events_max: int, bytes_max: int, data: st.DataObject
) -> None:
    """Whatever was let go: an answer is exactly what the whole log would give."""
    start = data.draw(st.integers(0, 5), "since")
    whole = [_event(start + n, size) for n, size in enumerate(sizes, 1)]
    recent = Recent(start, events_max=events_max, bytes_max=bytes_max)
    for event in whole:
        recent.extend([event])
    head = start + len(whole)
    after = data.draw(st.integers(0, head), "after")
    until = data.draw(st.integers(after, head), "until")
    limit = data.draw(st.integers(1, 50), "limit")
    page_bytes = data.draw(st.integers(1, 100), "page_bytes")
    streams = data.draw(st.none() | st.sets(st.sampled_from(STREAMS)), "streams")
    types = data.draw(st.none() | st.sets(st.sampled_from(TYPES)), "types")
    expected: list[RecordedEvent] = []
    for event in whole:
        weight = sum(len(taken.data or b"") for taken in expected)
        wanted = (streams is None or event.stream in streams) and (
            types is None or event.type in types
        )
        room = len(expected) < limit and weight < page_bytes
        if wanted and after < event.position <= until and room:
            expected.append(event)
    page = recent.read(after, until, limit, page_bytes, streams=streams, types=types)
    assert page == expected if after >= recent.since else page is None
    assert head - recent.since <= events_max
    assert sum(sizes[recent.since - start :]) <= bytes_max


def test_what_a_commit_brought_is_held_up_to_the_bounds() -> None:
    """It would be no use if it held less than it may."""
    recent = Recent(0, events_max=3, bytes_max=AMPLE)
    recent.extend([_event(position) for position in range(1, 6)])
    assert recent.read(2, 5, 10, AMPLE) == [_event(3), _event(4), _event(5)]
    assert recent.read(1, 5, 10, AMPLE) is None


def test_memory_and_disk_give_the_same_events(tmp_path: Path) -> None:
    """To the byte: who reads cannot tell where from."""

    async def scenario() -> None:
        log = await EventLog.open(tmp_path, limits=Limits(readers=1))
        key = idempotency_key("a", "read", "1")
        raw = Draft("inbox:a", WebhookReceived("standard", bytes(range(256))), key=key)
        read = Draft("inbox:a", ConversationRead(1, "é\0"), "c_1", correlation_id="r", cause=0)
        await log.append([raw, read, Draft("client:x/y", HeartbeatMissed("s", 1))])
        await log.append([raw, read])
        remembered = await log.read(0, 100)
        await log.close()
        again = await EventLog.open(tmp_path)
        assert remembered == await again.read(0, 100)
        assert len(remembered) == 4
        await again.close()

    asyncio.run(scenario())


def test_what_is_in_memory_is_not_asked_of_the_disk(tmp_path: Path) -> None:
    """What keeps the projections off the readers, as long as they keep up."""

    async def scenario() -> None:
        log = await EventLog.open(tmp_path, limits=Limits(recent_events_max=2))
        for number in range(3):
            await log.append([Draft("client:x/y", HeartbeatMissed("s", number))])
        await log._readers.close()
        assert [event.position for event in await log.read(1, 10)] == [2, 3]
        assert [event.position for event in await log.read(1, 10, until=2)] == [2]
        with pytest.raises(ValueError, match="closed"):
            await log.read(0, 10)
        await log.close()

    asyncio.run(scenario())
