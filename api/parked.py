"""Parked events: which devices have some, and asking for their delivery again.

The request is an event like any other; delivery hears of it when it is committed
(:func:`api.house.announce_replays`), however it was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, TypeAlias

from api.records import Records
from eventstore.draft import Draft
from eventstore.events import DeliveryReplayRequested
from projections.deliveries import Device, list_deliveries, list_parked
from projections.projection import to_json
from transport.replays import REPLAYS_MAX

DEVICES_MAX = 1_000
EVENTS_MAX = 1_000
Answer: TypeAlias = dict[str, Any]


class NoSuchDevice(Exception):
    """No device of this user has this name."""


async def devices(
    records: Records,
    *,
    user: str | None = None,
    device: Device | None = None,
    after: Device = ("", ""),
    limit: int,
    position: int | None = None,
) -> Answer:
    """Devices in order of user and device, each with what is parked for it.

    Of one user, or one device, or all; the newest 1,000 parked events of those that are shown. As
    they are, or as they were at a ``position`` of the log. Raises ProjectionsBehind.
    """
    fetch = records.projector.fetch
    if position is not None:
        fetch = partial(records.projector.fetch_as_of, position)
    answer = await fetch(list_deliveries(user, device, after=after, limit=limit))
    shown = [(row.user, row.device) for row in answer.rows if row.parked]
    parked = await fetch(list_parked(shown, limit=EVENTS_MAX))
    events: dict[Device, list[Answer]] = {}
    for row in parked.rows:
        events.setdefault((row.user, row.device), []).append(to_json(row))
    rows = [
        {**to_json(row), "events": events.get((row.user, row.device), [])} for row in answer.rows
    ]
    return {"deliveries": rows, "cursor": str(answer.cursor)}


async def request_replay(
    records: Records,
    device: Device,
    positions: Sequence[int] | None,
    *,
    by: str,
    correlation_id: str | None = None,
) -> Answer:
    """Ask that parked events of a device be delivered again: these, or all (None), oldest first.

    At most as many as may be under way at once. The answer names the ``request`` (None: there was
    nothing to ask for), the ``positions`` it is of, and how many parked events are ``left`` that
    nobody has asked for. Raises NoSuchDevice, LogUnavailable, ProjectionsBehind.
    """
    async with records.asking:  # or two requests would ask for the same events
        await records.projector.wait_for(records.log.head.position)
        found = await records.projector.fetch(list_deliveries(device=device, limit=1))
        if not found.rows:
            raise NoSuchDevice
        [row] = found.rows
        room, waiting = max(0, REPLAYS_MAX - row.replaying), row.parked - row.replaying
        asked = list_parked([device], positions=positions, waiting=True, limit=room)
        chosen = tuple(each.position for each in (await records.projector.fetch(asked)).rows)
        if not chosen:
            return {"request": None, "positions": [], "left": waiting}
        event = DeliveryReplayRequested(chosen, by)
        stream = f"client:{row.user}/{row.device}"
        [receipt] = await records.record(Draft(stream, event, correlation_id=correlation_id))
    left = waiting - len(chosen)
    return {"request": receipt.position, "positions": list(chosen), "left": left}
