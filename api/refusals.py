"""Refusals, gathered so that they can be recorded (security row 39) without filling the log.

Whoever is refused could be refused a million times a minute. So a minute of refusals is one event,
with counts by name, and the addresses that most of them came from.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

import structlog

from api.house import House
from api.tally import Tally
from eventstore.draft import Draft
from eventstore.events import RequestsRefused
from eventstore.log import LogUnavailable, wall_clock_us

EVERY_S = 60.0
ADDRESSES_TOLD = 10

_log = structlog.get_logger()


class Refusals:
    """What was refused since the last event about it."""

    def __init__(self, tally: Tally, since_us: int) -> None:
        self._tally = tally
        self._since_us = since_us
        self._told: Counter[str] = Counter()

    def take(self, delivery: Mapping[str, int], now_us: int) -> RequestsRefused | None:
        """The event of what came since, None for nothing. ``delivery`` counts the hub's."""
        total = Counter({**delivery, **self._tally.refusals})
        new = total - self._told
        addresses, self._tally.refused_from = self._tally.refused_from, Counter()
        since, self._since_us, self._told = self._since_us, now_us, total
        if not new:
            return None
        return RequestsRefused(
            since=datetime.fromtimestamp(since / 1_000_000, UTC),
            counts=dict(sorted(new.items())),
            addresses=dict(addresses.most_common(ADDRESSES_TOLD)),
        )


async def record_refusals(house: House, tally: Tally) -> None:
    """Record what was refused once a minute, and once more at the end."""
    refusals = Refusals(tally, wall_clock_us())
    try:
        while True:
            await asyncio.sleep(EVERY_S)
            await _record(house, refusals)
    except asyncio.CancelledError:
        await _record(house, refusals)
        raise


async def _record(house: House, refusals: Refusals) -> None:
    event = refusals.take(house.hub.refusals, wall_clock_us())
    if event is None:
        return
    try:
        await house.log.append([Draft("system", event)], from_reserve=True)
    except LogUnavailable:
        # They were counted, and told one by one in the server's own lines.
        _log.warning("refusals were not recorded", counts=event.counts)
