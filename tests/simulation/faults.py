"""What goes wrong, and when: each fault is one function of the world, drawn by the seed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from api.expiry import expire_unseen
from eventstore.draft import Draft
from eventstore.events import MemberAdded, MemberRemoved
from eventstore.log import LogUnavailable
from projections.projector import ProjectionsBehind
from tests.simulation.asking import ask, ask_again, post
from tests.simulation.disk import Weather
from tests.simulation.impostors import ghost, rogue
from tests.simulation.links import Link
from tests.simulation.plan import USERS
from tests.simulation.server import Server
from tests.simulation.watch import STALLED_S_MAX
from tests.simulation.world import Away, World
from transport.connection import Connection
from transport.hub import Refused
from transport.patience import ATTEMPTS_MAX

Fault = Callable[[World], Coroutine[Any, Any, None]]
DAY_S = 86_400.0
APPS_MAX = 5
REWIND_TRIES = 40
AWAY_S = 1.0
"""After which a device is closed; seven days, outside."""


# --- the network -------------------------------------------------------------------------------


def _some_link(world: World) -> Link | None:
    links = [link for link in world.network.open_links() if not link.faulty]
    return world.rng.choice(links) if links else None


async def _cut(world: World) -> None:
    if link := _some_link(world):
        world.trace(link.who, f"link {link.number} is cut")
        link.cut()


async def _cut_one_side(world: World) -> None:
    if link := _some_link(world):
        told = world.rng.random() < 0.5
        world.trace(link.who, f"link {link.number} is cut, and one side does not know")
        link.faulty = True
        link.cut(client_told=told, server_told=not told)


async def _half_open(world: World) -> None:
    if link := _some_link(world):
        up, down = world.rng.choice(((True, True), (True, False), (False, True)))
        world.trace(link.who, f"link {link.number} loses what is sent {'up' * up} {'down' * down}")
        link.go_half_open(up=up, down=down)


async def _stall(world: World) -> None:
    if link := _some_link(world):
        world.trace(link.who, f"link {link.number} stalls")
        link.stall()
        await asyncio.sleep(world.rng.random() * STALLED_S_MAX)
        link.heal()


async def _swallow(world: World) -> None:
    """A proxy in between loses one frame, which TCP alone never does."""
    if link := _some_link(world):
        world.trace(link.who, f"link {link.number} loses a frame")
        link.swallow()


async def _partition(world: World) -> None:
    app = world.rng.choice(world.apps)
    world.trace(app.name, "is cut off")
    world.network.partitioned.add(app.name)
    for link in world.network.open_links():
        if link.who == app.name:
            link.go_half_open(up=True, down=True)
    await asyncio.sleep(world.rng.random() * 30)
    world.network.partitioned.discard(app.name)


# --- the clients -------------------------------------------------------------------------------


async def _client_dies(world: World) -> None:
    app = world.rng.choice(world.apps)
    if app.process is not None:
        await _turns(world)
        world.trace(app.name, "dies")
        await asyncio.shield(world.spawn(app.die()))  # no calm in the midst of it
        await asyncio.sleep(world.rng.random() * world.rng.choice((0.1, 10)))
        if app.process is None and not world.calm:
            app.start()


async def _newcomer(world: World) -> None:
    """A device that was never here comes, and is at once started again, or often."""
    if len(world.apps) >= APPS_MAX:
        return
    app = world.newcomer()
    app.start()
    for within_s in world.rng.choice(((1.0,), (0.1, 0.1, 0.1, 0.1))):
        await asyncio.sleep(world.rng.random() * within_s)
        if app.process is not None:
            world.trace(app.name, "is started again")
            await asyncio.shield(world.spawn(app.die()))
            if app.process is None:
                app.start()


async def _slow_app(world: World) -> None:
    app = world.rng.choice(world.apps)
    app.slow_s = world.rng.choice((0.05, 1.0, 5.0))
    await asyncio.sleep(world.rng.random() * 20)
    app.slow_s = 0.0


async def _rewind(world: World) -> None:
    """As if no ack had come in time: the server sends again what is in flight, at times twice.

    It does so by itself, too, but not before five seconds.
    """
    times = world.rng.choice((1, 2))
    for _ in range(REWIND_TRIES):
        server, connection = world.server, _unacknowledged(world)
        if server is not None and connection is not None:
            session = connection.session
            world.trace(connection.stream, "is sent again what it did not acknowledge")
            session.rewind("simulated")
            connection.scanned = session.last_sent.position
            server.process.context.run(connection.drained)
            times -= 1
        if not times:
            return
        await asyncio.sleep(0.02)


def _unacknowledged(world: World) -> Connection | None:
    """A connection with something to send again; one more attempt than these, and it is parked."""
    server = world.server
    if server is None or not server.ready:
        return None
    for connection in sorted(server.hub.connections, key=lambda one: one.stream):
        session = connection.session
        if session.in_flight[0] >= 2 and session.attempt < ATTEMPTS_MAX - 1:
            return connection
    return None


# --- the server --------------------------------------------------------------------------------


async def _turns(world: World) -> None:
    """A few turns of the loop on: between two steps that take no time."""
    for _ in range(world.rng.randrange(8)):
        await asyncio.sleep(0)


async def _server_crashes(world: World) -> None:
    await _turns(world)
    await asyncio.shield(world.spawn(world.crash_server()))


async def _server_crashes_at_work(world: World) -> None:
    world.disk.weather.crash_in = world.rng.randrange(40)


async def _server_stops(world: World) -> None:
    await asyncio.shield(world.spawn(world.stop_server()))


async def _weather(world: World, weather: Weather, seconds: float) -> None:
    world.trace("disk", f"{weather}")
    world.storm(weather)
    await asyncio.sleep(world.rng.random() * seconds)
    if world.disk.weather is weather:
        world.storm(Weather())


async def _disk_slow(world: World) -> None:
    await _weather(world, Weather(slow_s=0.1, stall=0.05, stall_s=1.0), 10)


async def _disk_fails(world: World) -> None:
    await _weather(world, Weather(fails=world.rng.choice((0.02, 0.2, 1.0))), 8)


async def _disk_full(world: World) -> None:
    await _weather(world, Weather(full=True), 8)


async def _clock_jumps(world: World) -> None:
    world.jump_clock(world.rng.choice((-DAY_S, -2 * 3600.0, -1.0, 1.0, 26 * 3600.0)))
    world.trace("clock", "jumps")


# --- what an operator asks for -----------------------------------------------------------------


async def _replay(world: World) -> None:
    await ask_again(world, world.rng.choice(world.apps))


async def _expire(world: World) -> None:
    """A device is away, and closed for it, unless it comes back first."""
    app = world.rng.choice(world.apps)
    if app.process is None:
        return
    world.trace(app.name, "goes away")
    await asyncio.shield(world.spawn(app.die()))
    await asyncio.sleep(AWAY_S + world.rng.random() * 4)

    async def close(server: Server) -> None:
        closed = await expire_unseen(server.records, server.hub, age_s=AWAY_S, clock=world.clock)
        world.trace("admin", f"closes {closed} devices that are away")

    try:
        await ask(world, close)
    except (Away, LogUnavailable, ProjectionsBehind, Refused) as error:
        world.trace("admin", f"cannot look at devices: {type(error).__name__}")
    await asyncio.sleep(world.rng.random() * 2)
    if app.process is None and not world.calm:
        app.start()


# --- who may see what --------------------------------------------------------------------------


async def _membership(world: World) -> None:
    rng = world.rng
    user = rng.choice(USERS)
    inboxes = tuple(inbox for inbox in world.plan.inboxes if rng.random() < 0.6)
    event = MemberAdded(user, "member", inboxes) if rng.random() < 0.8 else MemberRemoved(user)
    world.trace("admin", f"{event}")
    try:
        await post(world, [Draft("system", event)])
    except Away:
        world.trace("admin", "got no answer")


FAULTS: Mapping[str, Fault] = {
    "cut": _cut, "cut_one_side": _cut_one_side, "half_open": _half_open, "stall": _stall,
    "partition": _partition, "client_dies": _client_dies, "slow_app": _slow_app,
    "server_crashes": _server_crashes, "server_crashes_at_work": _server_crashes_at_work,
    "server_stops": _server_stops, "disk_slow": _disk_slow, "disk_fails": _disk_fails,
    "disk_full": _disk_full, "clock_jumps": _clock_jumps, "membership": _membership,
    "ghost": ghost, "rogue": rogue, "rewind": _rewind,
    "swallow": _swallow, "newcomer": _newcomer, "replay": _replay,
    "expire": _expire,
}  # fmt: skip


async def go_wrong(world: World) -> None:
    """One fault after the other; each lasts as long as it likes."""
    while True:
        await asyncio.sleep(world.rng.expovariate(1 / world.plan.fault_every_s))
        world.spawn(FAULTS[world.rng.choice(world.plan.faults)](world), fault=True)
