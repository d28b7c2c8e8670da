"""Heartbeats older than their retention become samples by minute, by a task, under a live house."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from api import retention
from api.records import Records, open_records
from api.retention import compact_some
from eventstore.codec import decode_recorded
from eventstore.compaction import BEATS, MINUTE_US
from eventstore.draft import Draft
from eventstore.events import ClientConnected, HeartbeatAnswered, HeartbeatsCompacted
from eventstore.log import wall_clock_us
from eventstore.verify import verify
from projections.connections import list_connections, presence

DAY_S = 86_400.0


def run(folder: Path, scenario: Callable[[Records], Awaitable[None]]) -> None:
    """A scenario on the records of a folder."""

    async def opened() -> None:
        async with open_records(folder) as (records, _):
            await scenario(records)

    asyncio.run(opened())


def tomorrow(minutes: int = 1) -> Callable[[], int]:
    """A clock that is a day on, and some minutes."""
    return lambda: wall_clock_us() + round(DAY_S) * 1_000_000 + minutes * MINUTE_US


async def live(records: Records, count: int = 30) -> None:
    """A device connects and answers."""
    stream = "client:ana/phone"
    opened = ClientConnected("s1", "b1", "resumed", 0)
    await records.log.append([Draft(stream, opened)])
    for number in range(count):
        await records.log.append([Draft(stream, HeartbeatAnswered("s1", float(number)))])


async def compactions(records: Records) -> list[HeartbeatsCompacted]:
    """What the log says of them."""
    found = await records.log.read(0, 10_000, types={HeartbeatsCompacted.type})
    events = [decode_recorded(event) for event in found]
    return [event for event in events if isinstance(event, HeartbeatsCompacted)]


def test_old_heartbeats_are_compacted_once_and_young_ones_are_not(tmp_path: Path) -> None:
    """A day on; not before. What is done is not done again, and the log verifies."""

    async def scenario(records: Records) -> None:
        await live(records)
        assert await compact_some(records, age_s=DAY_S) == 0
        assert await compact_some(records, age_s=DAY_S, clock=tomorrow()) == 30
        assert await compact_some(records, age_s=DAY_S, clock=tomorrow()) == 0
        [event] = await compactions(records)
        assert sum(n for beats in event.beats for _, n, *_ in beats.minutes) == 30
        rows = await records.log.read(0, 10_000, types=BEATS)
        assert [row.data for row in rows] == [None] * 30
        await records.log.append([Draft("client:ana/phone", HeartbeatAnswered("s1", 1.0))])
        assert await compact_some(records, age_s=DAY_S, clock=tomorrow()) == 1
        first, second = await compactions(records)
        assert second.after == first.until

    run(tmp_path / "data", scenario)
    assert verify(tmp_path / "data").fault is None


def test_a_rebuild_after_a_compaction_has_the_digests_of_before(tmp_path: Path) -> None:
    """Every projection, and what is asked of the past, also in another process."""
    kept: dict[str, str] = {}

    async def scenario(records: Records) -> None:
        await live(records)
        await compact_some(records, age_s=DAY_S, clock=tomorrow())
        projector, position = records.projector, records.log.head.position
        await projector.wait_for(position)
        kept.update(await projector.digests())
        asked = [
            (at, query)
            for at in range(2, position, 5)
            for query in (list_connections(), presence(wall_clock_us()))
        ]
        before = [await projector.fetch_as_of(at, query) for at, query in asked]
        assert await projector.rebuild() == kept
        assert [await projector.fetch_as_of(at, query) for at, query in asked] == before

    async def again(records: Records) -> None:
        await records.projector.wait_for(records.log.head.position)
        assert await records.projector.digests() == kept

    run(tmp_path / "data", scenario)
    (tmp_path / "data" / "projections.db").unlink()
    run(tmp_path / "data", again)


def test_a_minute_is_never_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However few are enough: the event goes on to the end of its minute."""
    monkeypatch.setattr(retention, "BEATS_ENOUGH", 3)

    async def scenario(records: Records) -> None:
        await live(records)
        while await compact_some(records, age_s=DAY_S, clock=tomorrow()):
            pass
        minutes = [
            (minute, beats.session)
            for event in await compactions(records)
            for beats in event.beats
            for minute, *_ in beats.minutes
        ]
        assert 0 < len(minutes) == len(set(minutes))

    run(tmp_path / "data", scenario)
