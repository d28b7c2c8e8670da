"""One run of the server: the real log, projector, hub, gate and endpoint, wired as the house does.

The composition is api/house.py's, with the world's clocks in place of the machine's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from attrs import define, field

from api.auth import Gate
from api.house import announce_replays
from api.records import PROJECTIONS_FILE, Records
from api.standings import Standings
from eventstore.draft import Draft
from eventstore.events import RecordedEvent, ServerStarted, ServerStopped
from eventstore.limits import Limits as LogLimits
from eventstore.log import EventLog, LogUnavailable
from projections.access import Access
from projections.projection import Projection
from projections.projector import Projector
from tests.simulation.process import Process
from transport.arrivals import Arrivals
from transport.hub import Hub
from transport.hub import Limits as HubLimits
from transport.websocket import WebSocketEndpoint, websocket_endpoint


class Tokens:
    """Stands where the keyring was: a token is ``mlt_`` and its public id."""

    def token_id(self, token: str) -> str | None:
        """The id of a token."""
        return token.removeprefix("mlt_")


@define
class Server:
    """What the world holds of the running server; opened by :meth:`start`."""

    process: Process
    folder: Path
    boot: str
    rng: Random
    clock: Callable[[], int]
    log_limits: LogLimits
    hub_limits: HubLimits
    projections: Sequence[Projection]
    committed: Callable[[Sequence[RecordedEvent]], None]
    granted: Callable[[Access, int], None]
    crashed: Callable[[str, BaseException], None]
    ready: bool = False
    arrivals: Arrivals = field(factory=Arrivals)
    log: EventLog = field(init=False)
    projector: Projector = field(init=False)
    records: Records = field(init=False)
    hub: Hub = field(init=False)
    endpoint: WebSocketEndpoint = field(init=False)

    async def start(self) -> None:
        """Open everything, in the house's order."""
        loop = asyncio.get_running_loop()
        self.log = await EventLog.open(self.folder, clock=self.clock, limits=self.log_limits)
        self.projector = projector = await Projector.open(
            self.folder / PROJECTIONS_FILE, self.log, projections=self.projections
        )
        self.records = Records(self.log, projector, None, None)  # type: ignore[arg-type]  # no keys
        gate = Gate(Tokens(), lambda: projector.access, clock=self.clock)  # type: ignore[arg-type]
        self.hub = Hub(
            self.log, boot=self.boot, limits=self.hub_limits, clock=self.clock,
            monotonic=loop.time, rand=self.rng.random,
        )  # fmt: skip
        self.endpoint = websocket_endpoint(
            self.hub,
            admit=gate.admit,
            ack_floor=Standings(self.records).of,
        )

        def committed(events: Sequence[RecordedEvent]) -> None:
            self.committed(events)
            projector.wake()
            self.hub.committed(events)
            announce_replays(self.hub, events)

        def access_changed(access: Access) -> None:
            self.granted(access, self.log.head.position)
            self.hub.regrant(gate.judge_again)

        self.log.on_commit = committed
        projector.on_access = access_changed
        self.granted(projector.access, self.log.head.position)
        for name, work in (("projector", projector.run), ("hub", self.hub.run)):
            self.process.spawn(self._watch(name, work()))
        await self.log.append([Draft("system", ServerStarted(self.boot, "simulated"))])
        self.ready = True

    async def _watch(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # a task that ends is a bug, whatever it ended with
            self.crashed(name, error)

    async def stop(self) -> None:
        """In good order, as far as the disk lets us."""
        await self.hub.shutdown()
        with suppress(LogUnavailable):
            await self.log.append([Draft("system", ServerStopped(self.boot))])
