"""How far devices are, asked of the rows and the log: of many devices at once where many ask."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from functools import partial

from attrs import define, field

from api.records import Records
from eventstore.events import RecordedEvent
from projections import deliveries
from projections.deliveries import Device, device_of, further
from projections.projector import ProjectionsBehind
from transport.connection import Refused
from transport.frames import CloseCode
from transport.opening import Standing
from transport.turnstile import Turnstile

STREAM_PAGE = 500
ASKED_MAX = 250
"""Devices of one question."""


@define(eq=False)
class Standings:
    """Who asks while a question is under way is answered by the next one, with all who wait.

    After a restart two thousand devices come back within a second or two; a question for each, on
    a thread that has to have the GIL from a busy event loop, would take longer than all the rest.
    The answers are given one in a turn of the loop: each is the beginning of a session.
    """

    _records: Records
    _waiting: list[tuple[Device, asyncio.Future[Standing | None]]] = field(factory=list)
    _asking: asyncio.Task[None] | None = None
    _answers: Turnstile = field(factory=Turnstile)

    async def of(self, user: str, device: str) -> Standing | None:
        """How far a device is; None for one that was never here.

        All that is recorded by now counts: to take a known device for a new one would be a silent
        gap. But nobody waits for the projections, which under load or after a crash are behind for
        a while: what the device's own stream says beyond their rows is read from the log. Raises
        LogUnavailable, and Refused while there are no rows at all, because a damaged file is made
        anew.
        """
        answer = asyncio.get_running_loop().create_future()
        self._waiting.append(((user, device), answer))
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask(), name="malote standings")
        found: Standing | None = await answer
        return found

    async def _ask(self) -> None:
        while self._waiting:
            asked = self._waiting[:ASKED_MAX]
            del self._waiting[:ASKED_MAX]
            try:
                found = await self._find({device for device, _ in asked})
            except Exception as error:
                for _, answer in asked:
                    if not answer.done():  # who asked may have left
                        answer.set_exception(error)
            else:
                for device, answer in asked:
                    self._answers.enter(partial(_give, answer, found.get(device)))
        self._asking = None

    async def _find(self, devices: Collection[Device]) -> Mapping[Device, Standing]:
        until = self._records.log.head.position
        try:
            rows = await self._records.projector.fetch(deliveries.standings(devices))
        except ProjectionsBehind:
            reason = "the projections are being folded anew"
            raise Refused(CloseCode.OVERLOADED, reason) from None
        known, after = dict(rows.rows), rows.cursor.position
        streams = frozenset(f"client:{user}/{device}" for user, device in devices)
        while page := await self._records.log.read(
            after, STREAM_PAGE, until=until, streams=streams
        ):
            after = page[-1].position
            for device, events in _by_device(page).items():
                if (standing := further(known.get(device), events)) is not None:
                    known[device] = standing
        return {
            device: Standing(row.ack_floor, row.told, row.parked, row.replays, row.closed_until)
            for device, row in known.items()
        }


def _give(answer: asyncio.Future[Standing | None], found: Standing | None) -> None:
    if not answer.done():
        answer.set_result(found)


def _by_device(page: Sequence[RecordedEvent]) -> Mapping[Device, list[RecordedEvent]]:
    found = defaultdict[Device, list[RecordedEvent]](list)
    for event in page:
        if (device := device_of(event.stream)) is not None:
            found[device].append(event)
    return found
