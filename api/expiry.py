"""Devices that do not come back: closed once, recorded, so that nothing waits for them for ever.

One that returns all the same goes on like any that was away for long: it is told what it was not
sent (``skipped``, reason ``expired``), which is still in ``/v1/sync``, and gets the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from api.again import again_and_again
from api.records import Records
from api.standings import Standings
from eventstore.codec import datetime_of
from eventstore.events import DeviceExpired
from eventstore.log import LogUnavailable, wall_clock_us
from projections.deliveries import Unseen, list_unseen
from projections.projector import ProjectionsBehind
from transport.hub import Hub, Refused
from transport.offline_queue import ALL

LOOKED_EVERY_S = 600.0
DEVICES_MAX = 100
"""Of one look; the rest is for the next."""


async def expire_devices(records: Records, hub: Hub, *, age_s: float) -> None:
    """Look again and again, until cancelled. ``age_s`` is how long a device may stay away."""
    await again_and_again(
        partial(expire_unseen, records, hub, age_s=age_s),
        first_after_s=LOOKED_EVERY_S,
        every_s=LOOKED_EVERY_S,
        despite=(LogUnavailable, ProjectionsBehind, Refused),
        trouble="devices cannot be looked at",
    )


async def expire_unseen(
    records: Records, hub: Hub, *, age_s: float, clock: Callable[[], int] = wall_clock_us
) -> int:
    """Close the devices that were away too long; how many. ``clock`` gives µs since the epoch.

    Raises LogUnavailable, ProjectionsBehind, and Refused while there are no projections.
    """
    before_us = clock() - round(age_s * 1_000_000)
    found = await records.projector.fetch(list_unseen(before_us, limit=DEVICES_MAX))
    expired = 0
    for candidate in found.rows:
        begun = hub.begun(candidate.user, candidate.device)
        if not await hub.recorded():
            break
        # Asked once more, of one that may have been here meanwhile: now all that it did is folded.
        await records.projector.wait_for(records.log.head.position)
        device = (candidate.user, candidate.device)
        again = await records.projector.fetch(list_unseen(before_us, device))
        for unseen in again.rows:
            event = await _closed(records, unseen)
            expired += hub.expire(unseen.user, unseen.device, begun, event)
    return expired


async def _closed(records: Records, unseen: Unseen) -> DeviceExpired:
    """What the log is to say: with how many events the device may see beyond its ack floor."""
    standing = await Standings(records).of(unseen.user, unseen.device)
    assert standing is not None, "it has a row"
    until = records.log.head.position
    inboxes = records.projector.access.inboxes_of(unseen.user)
    count = await records.log.count_visible(standing.floor, inboxes, most=ALL, until=until)
    for position in standing.parked:
        count -= await records.log.count_visible(position - 1, inboxes, most=1, until=position)
    return DeviceExpired(
        last_seen_at=datetime_of(unseen.last_seen_at),
        after=standing.floor,
        until=until,
        count=count,
        inboxes=tuple(sorted(inboxes)),
    )
