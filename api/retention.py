"""Old heartbeats: compacted once an hour, some thousands at a time, in whole minutes.

Nothing is remembered beside the log: where the last compaction ended is in its event.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable

from api.again import again_and_again
from api.house import House
from api.records import Records
from eventstore.compaction import BEATS, MINUTE_US, compacted
from eventstore.draft import Draft
from eventstore.events import RecordedEvent
from eventstore.log import LogUnavailable, wall_clock_us
from projections.connections import compacted_until
from projections.projector import ProjectionsBehind

FIRST_AFTER_S, COMPACTED_EVERY_S = 60.0, 3_600.0
BEATS_ENOUGH = 2_000
"""Of one event; it goes on to the end of its minute."""
PAUSE_S = 0.5


async def compact_heartbeats(house: House, *, age_s: float) -> None:
    """Compact again and again, until cancelled. ``age_s`` is how long heartbeats are kept whole."""

    async def compact_all() -> None:
        while count := await compact_some(house.records, age_s=age_s):
            house.heartbeats_compacted += count
            await asyncio.sleep(PAUSE_S)  # others append, too

    await again_and_again(
        compact_all,
        first_after_s=FIRST_AFTER_S,
        every_s=COMPACTED_EVERY_S,
        despite=(LogUnavailable, ProjectionsBehind, sqlite3.Error),
        trouble="heartbeats cannot be compacted",
    )


async def compact_some(
    records: Records, *, age_s: float, clock: Callable[[], int] = wall_clock_us
) -> int:
    """Compact the oldest heartbeats that are old enough; how many, 0 if there are none.

    ``clock`` gives µs since the epoch. Raises LogUnavailable, ProjectionsBehind.
    """
    log, projector = records.log, records.projector
    await projector.wait_for(log.head.position)
    after = max((await projector.fetch(compacted_until())).rows, default=0)
    before_us = (clock() - round(age_s * 1_000_000)) // MINUTE_US * MINUTE_US
    last = await log.position_at(before_us - 1)
    beats = await _beats(records, after, last, BEATS_ENOUGH)
    if not beats:
        return 0
    minute_end_us = (beats[-1].recorded_at // MINUTE_US + 1) * MINUTE_US
    until = await log.position_at(minute_end_us - 1)
    beats += await _beats(records, beats[-1].position, until)
    await log.append([Draft("system", compacted(after, until, beats))], from_reserve=True)
    return len(beats)


async def _beats(
    records: Records, after: int, until: int, enough: int | None = None
) -> list[RecordedEvent]:
    found: list[RecordedEvent] = []
    while enough is None or len(found) < enough:
        page = await records.log.read(after, BEATS_ENOUGH, until=until, types=BEATS)
        if not page:
            break
        found += page
        after = page[-1].position
    return found
