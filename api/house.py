"""What a running server holds open, in which order it opens, and how it goes.

:class:`House` adds delivery, and the tasks that keep both going, to what :mod:`api.records` opens.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib.metadata import version
from typing import TypedDict

from attrs import define, field

from api.auth import Gate
from api.balance import Balance
from api.records import Records, Tasks, open_records
from api.settings import Settings
from api.standings import Standings
from eventstore.codec import of_type
from eventstore.draft import Draft
from eventstore.events import (
    DeliveryReplayRequested,
    RecordedEvent,
    ServerStarted,
    ServerStopped,
)
from eventstore.log import EventLog, LogHalted, LogUnavailable, wall_clock_us
from projections.access import Access
from projections.deliveries import device_of
from projections.projector import Projector
from transport.doorkeeper import Doors
from transport.hub import Hub, Limits
from transport.offline_queue import QueueLimits
from transport.websocket import WebSocketEndpoint, websocket_endpoint

RELEASE = version("malote")
PROJECTIONS_BEHIND_MAX = 5_000
HALTED = "halted: the file is damaged, or not the history it was"


@define
class House:
    """Everything a request may need. ``stopping`` is set when the server begins to go."""

    settings: Settings
    records: Records
    hub: Hub
    gate: Gate
    sessions: WebSocketEndpoint
    tasks: Tasks
    boot: str
    offers: tuple[str, ...] = ()
    """What ``/v1/me`` names beside the usual; the demo's cable, so far."""

    stopping: asyncio.Event = field(factory=asyncio.Event)
    balance: Balance = field(factory=Balance)
    recorded: Counter[str] = field(factory=Counter)
    """Events by type, since this process started."""

    heartbeats_compacted: int = 0

    @property
    def log(self) -> EventLog:
        """The one event log."""
        return self.records.log

    @property
    def projector(self) -> Projector:
        """The rows derived from the log."""
        return self.records.projector

    def troubles(self) -> dict[str, str]:
        """Why the server should get no new clients, by part; empty when all is well."""
        found = dict.fromkeys(self.tasks.failed, "crashed")
        if self.stopping.is_set():
            found["server"] = "stopping"
        if not self.log.writable:
            found["log"] = HALTED if self.log.halted else "takes no events"
        return found

    def worries(self) -> dict[str, str]:
        """What needs a person although the server goes on, by part."""
        found = {}
        if self.log.disk_is_low:
            found["disk"] = "below the reserve"
        if self.projector.trouble is not None:
            found["projections"] = "do not get on"
        elif self.log.head.position - self.projector.position > PROJECTIONS_BEHIND_MAX:
            found["projections"] = "behind"
        if self.balance.unbalanced:
            found["ledger"] = "does not balance"
        return found

    async def retire(self) -> None:
        """Begin to go: not ready, streams end, sessions are told 1012. Safe to call twice."""
        if not self.stopping.is_set():
            self.stopping.set()
            await self.hub.shutdown()


class State(TypedDict):
    """What the lifespan yields; a request finds it at ``request.state``."""

    house: House


@asynccontextmanager
async def open_house(settings: Settings) -> AsyncIterator[House]:
    """A house in working order: recorded as started, and as stopped at the end."""
    boot = secrets.token_hex(16)
    async with open_records(settings.data) as (records, tasks):
        hub = Hub(records.log, boot=boot, limits=limits_of(settings))
        secret = settings.jwt_secret
        gate = Gate(
            records.keyring,
            lambda: records.projector.access,
            clock=wall_clock_us,
            jwt_secret=str(secret) if secret is not None else None,
        )
        sessions = websocket_endpoint(
            hub,
            admit=gate.admit,
            ack_floor=Standings(records).of,
            allowed_origins=settings.origins,
        )
        house = House(settings, records, hub, gate, sessions, tasks, boot)
        _wire(house)
        tasks.start("hub", hub.run)
        tasks.start("checkpoints", records.signer.run)
        tasks.start("ledger", partial(house.balance.run, records.projector))
        with suppress(LogHalted):  # it reads on, is not ready, and waits for a person (G16)
            await records.log.append(
                [Draft("system", ServerStarted(boot=boot, release=RELEASE))], from_reserve=True
            )
        try:
            yield house
        finally:
            await house.retire()
            with suppress(LogUnavailable):  # the next start closes this boot's sessions anyway
                await records.log.append(
                    [Draft("system", ServerStopped(boot=boot))], from_reserve=True
                )


def limits_of(settings: Settings) -> Limits:
    """What the settings let delivery hold."""
    doors = Doors(
        settings.connections_max, settings.connections_user_max, settings.connections_address_max
    )
    queue = QueueLimits(settings.queue_events_max, settings.queue_age_days * 86_400)
    return Limits(doors=doors, queue=queue)


def announce_replays(hub: Hub, events: Sequence[RecordedEvent]) -> None:
    """Tell delivery of the requests among these newly durable events."""
    for recorded, request in of_type(events, DeliveryReplayRequested):
        if (whose := device_of(recorded.stream)) is not None:
            hub.replay_requested(*whose, recorded.position, request.positions)


def _wire(house: House) -> None:
    def committed(events: Sequence[RecordedEvent]) -> None:
        house.projector.wake()
        house.hub.committed(events)
        house.records.signer.committed(events)
        types = Counter(event.type for event in events)
        house.recorded.update(types)
        if DeliveryReplayRequested.type in types:
            announce_replays(house.hub, events)

    def access_changed(_: Access) -> None:
        house.hub.regrant(house.gate.judge_again)

    house.log.on_commit = committed
    house.projector.on_access = access_changed
