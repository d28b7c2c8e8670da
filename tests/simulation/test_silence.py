"""Clients that say nothing, through log, hub and session, in virtual time: asleep, or stuck."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random

from attrs import define, field

from eventstore.log import EventLog
from tests.simulation import doubles
from tests.simulation.disk import Disk
from tests.simulation.loop import VirtualLoop
from tests.simulation.process import Process, make_task
from tests.transport.pages import message
from tests.transport.test_hub import FakeChannel
from transport.connection import Connection
from transport.frames import CloseCode, Hello, Window
from transport.hub import Grant, Hub, Standing
from transport.page import Packet

INBOX = frozenset({"a"})
ROUND_TRIP_S = 0.1
START_US = 1_700_000_000_000_000


class Stuck(FakeChannel):
    """A client whose socket answers pings, and whose application never gets on."""

    connection: Connection | None = None

    def send(self, packets: Sequence[Packet]) -> None:
        """Answer each ping after a while."""
        super().send(packets)
        for packet in packets:
            frame = json.loads(packet.text)
            if frame["type"] == "ping":
                pong = json.dumps({"type": "pong", "id": frame["id"]}).encode()
                asyncio.get_running_loop().call_later(ROUND_TRIP_S, self._say, pong)

    def _say(self, text: bytes) -> None:
        assert self.connection is not None
        self.connection.received(text)


@define
class Place:
    """A log and a hub on it, for one device."""

    log: EventLog
    hub: Hub
    standing: Standing | None = field(default=None)

    async def connect(self, channel: FakeChannel, frames: int = 100) -> Connection:
        """The device comes, without a cursor of its own."""

        async def floor(_user: str, _device: str) -> Standing | None:
            return self.standing

        opening = await self.hub.prepare(
            Hello("t", "laptop", None, Window(frames, 10_000)),
            admit=lambda token: Grant("ana", INBOX, token, None),
            ack_floor=floor,
        )
        connection = self.hub.open(opening, channel, None)
        start = opening.start.cursor.position
        self.standing = self.standing or Standing(start, start)
        return connection

    async def say(self, *numbers: int) -> list[int]:
        """Messages in one commit; their positions."""
        return [each.position for each in await self.log.append([message(n) for n in numbers])]

    async def recorded(self, type_: str) -> list[tuple[float, dict[str, object]]]:
        """When (virtual seconds) and what was recorded of a type."""
        await self.hub.recorded()
        events = await self.log.read(0, 10_000, types=[type_])
        return [
            ((event.recorded_at - START_US) / 1e6, json.loads(event.data or b"null"))
            for event in events
        ]


def live(scenario: Callable[[Place], Awaitable[None]]) -> None:
    """Run a scenario on a loop, a disk and a log of its own."""
    loop, disk = VirtualLoop(None), Disk(Random(1), lambda _: False)
    loop.set_task_factory(make_task)
    loop.on_thread_work = disk.on_thread
    server = Process("server", loop)

    async def served(folder: Path) -> None:
        def clock() -> int:
            return START_US + int(loop.time() * 1_000_000)

        log = await EventLog.open(folder / "data", clock=clock)
        hub = Hub(log, boot="b", clock=clock, monotonic=loop.time, rand=lambda: 0.5)
        log.on_commit = hub.committed
        running = asyncio.create_task(hub.run())
        await scenario(Place(log, hub))
        running.cancel()
        await asyncio.wait({running})
        await log.close()

    asyncio.set_event_loop(loop)
    try:
        with tempfile.TemporaryDirectory() as folder, doubles.standing_in(disk, Random(2)):
            loop.run_until_complete(server.spawn(served(Path(folder))))
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def test_a_laptop_that_sleeps_for_an_hour_on_a_link_without_a_close_parks_nothing() -> None:
    """No attempt counts on a dead link; its heartbeat ends it, and it all comes on the next one."""

    async def scenario(place: Place) -> None:
        asleep = FakeChannel()
        await place.connect(asleep)
        positions = await place.say(1, 2, 3)
        await asyncio.sleep(3_600)
        assert asleep.aborted
        assert await place.recorded("delivery.retried") == []
        assert await place.recorded("delivery.parked") == []
        [(at, end)] = await place.recorded("client.disconnected")
        assert end["code"] == CloseCode.STALLED
        assert at < 60
        awake = FakeChannel()
        await place.connect(awake)
        assert awake.positions() == positions
        assert awake.frames("events")[0]["attempt"] == 1

    live(scenario)


def test_a_client_that_lives_and_never_acks_gets_five_attempts_a_park_and_what_follows() -> None:
    """After the first try 10, 20, 40 and 60 s, each from a proof of life; the window moves on."""

    async def scenario(place: Place) -> None:
        channel = Stuck()
        channel.connection = await place.connect(channel, frames=3)
        first, *_, fourth = await place.say(1, 2, 3, 4)
        await asyncio.sleep(145)
        attempts = [frame["attempt"] for frame in channel.frames("events")]
        assert list(dict.fromkeys(attempts)) == [1, 2, 3, 4, 5]
        retried = [at for at, _ in await place.recorded("delivery.retried")]
        [(parked_at, parked)] = await place.recorded("delivery.parked")
        waits = [b - a for a, b in pairwise([*retried[:4], parked_at])]
        assert [round(wait / 10) * 10 for wait in waits] == [10, 20, 40, 60]
        assert (parked["position"], parked["reason"]) == (first, "no ack after 5 attempts")
        assert channel.positions()[-1] == fourth
        assert channel.closed is None

    live(scenario)
