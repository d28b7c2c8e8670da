"""One seed from beginning to end."""

from __future__ import annotations

import asyncio
import gc
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from random import Random

from attrs import frozen

from tests.simulation import doubles, invariants
from tests.simulation.asking import ask_again, found
from tests.simulation.contacts import write_messages
from tests.simulation.disk import folder_in_memory
from tests.simulation.faults import go_wrong
from tests.simulation.history import History
from tests.simulation.impostors import mute
from tests.simulation.loop import Stuck, VirtualLoop
from tests.simulation.plan import draw
from tests.simulation.process import make_task
from tests.simulation.server import Server
from tests.simulation.world import World, _connect
from transport.client_session import State

CAUGHT_UP_WITHIN_S = 35.0
LOOKED_EVERY_S = 5.0
DELIVERED_WITHIN_S = 4.0
LATE_S = 4.0
"""The worst network here takes 0.6 s there and back, and twelve messages may be three windows."""
SETTLES_WITHIN_S = 10.0
"""What was asked before the calm has come about by then: rights, the ends of what was cut."""
CALM_AFTERWARDS_S, LONG_CALM_S = 8.0, 55.0
"""How long it stays calm after all have caught up; the long one is 2.5 heartbeats (G11)."""
LIVES_S_MAX = 600.0
VERIFIED_EVERY = 20


@frozen
class Outcome:
    """What a seed came to. ``trace`` is the same each time."""

    seed: int
    wrong: tuple[str, ...]
    trace: tuple[str, ...]
    virtual_s: float


def simulate(seed: int) -> Outcome:
    """Live through one seed."""
    with _no_collection():
        outcome = _lived(seed)
        # Here its world is garbage and is gone at once; a little earlier it would have grown old.
        gc.collect(0)
    return outcome


def _lived(seed: int) -> Outcome:
    rng = Random(seed)
    plan = draw(seed, rng)
    loop = VirtualLoop(Random(rng.random()) if plan.permuted else None)
    loop.set_task_factory(make_task)
    with folder_in_memory() as folder, _quiet():
        world = World(plan, loop, rng, Path(folder))
        loop.on_thread_work = world.disk.on_thread
        loop.set_exception_handler(lambda _, context: world.fail(f"asyncio: {context}"))
        asyncio.set_event_loop(loop)
        try:
            with doubles.standing_in(world.disk, rng):
                loop.run_until_complete(asyncio.wait_for(_live(world, seed), LIVES_S_MAX))
        except Exception as error:  # a world that cannot go on is a finding, too
            world.fail(f"the world ended: {error!r}")
        finally:
            with suppress(Stuck):
                loop.run_until_complete(world.end())
            asyncio.set_event_loop(None)
            loop.close()
            for app in world.apps:
                app.close()
    return Outcome(seed, tuple(world.wrong), tuple(world.lines), loop.time())


async def _live(world: World, seed: int) -> None:
    world.trace("world", f"{world.plan}")
    await world.start_server()
    world.spawn(world.keep_server_up())
    await found(world)
    world.spawn(go_wrong(world), fault=True)
    writing = world.spawn(write_messages(world))
    for app in world.apps:
        app.start()
    await asyncio.sleep(world.plan.chaos_s)
    await _calm(world)
    writing.cancel()
    await asyncio.sleep(DELIVERED_WITHIN_S + 1)
    await _the_end(world, seed)


async def _calm(world: World) -> None:
    """Whatever was, without faults everybody is caught up soon and stays so (G11)."""
    await world.end_faults()
    world.heal()
    world.trace("world", "is calm")
    while world.server is None or not world.server.ready:  # noqa: ASYNC110 - costs nothing here
        await asyncio.sleep(0.1)
    since = world.loop.time()
    for app in world.apps:
        if app.aside:
            world.spawn(ask_again(world, app))
    if world.plan.thorough:
        await mute(world)
    with closing(_open_log(world.server)) as file:
        await _stay_calm(world, file, since)


def _open_log(server: Server) -> sqlite3.Connection:
    return _connect(server.folder / "log.db")


async def _stay_calm(world: World, file: sqlite3.Connection, since: float) -> None:
    await asyncio.sleep(SETTLES_WITHIN_S)
    while _behind(world, file) and world.loop.time() < since + CAUGHT_UP_WITHIN_S:  # noqa: ASYNC110
        await asyncio.sleep(LOOKED_EVERY_S)
    _all_caught_up(world, file)
    since = world.loop.time()
    links = [app.links for app in world.apps]
    await asyncio.sleep(LONG_CALM_S if world.plan.thorough else CALM_AFTERWARDS_S)
    for app, before in zip(world.apps, links, strict=True):
        if app.links != before and world.rights.of(app.user):
            world.fail(f"{app.name} reconnected in the calm")
    _all_caught_up(world, file)
    _nobody_waits(world)
    _none_was_late(world, since)


def _none_was_late(world: World, since: float) -> None:
    for app in world.apps:
        for position, at in app.handled_at.items():
            committed = world.committed_at.get(position, at)
            if committed >= since and at - committed > LATE_S:
                world.fail(f"{app.name} was given {position} {at - committed:.1f} s late")


def _nobody_waits(world: World) -> None:
    """Webhooks are taken, and dead connections are gone (G11: within 2.5 heartbeats)."""
    assert world.server is not None
    for since in world.asking.values():
        if since < world.loop.time() - CALM_AFTERWARDS_S:
            world.fail(f"what was asked at {since:.1f} is not answered")
    living = {f"client:{app.name}" for app in world.apps}
    for connection in world.server.hub.connections:
        if world.plan.thorough and connection.stream not in living:
            world.fail(f"{connection.stream} is gone, and still connected")


def _all_caught_up(world: World, file: sqlite3.Connection) -> None:
    for what in _behind(world, file):
        world.fail(what)


def _behind(world: World, file: sqlite3.Connection) -> list[str]:
    """Who is not where they should be: live, with all that was committed some seconds ago."""
    log = History.read(file, world.seen)
    world.seen = log.rows
    old = world.loop.time() - DELIVERED_WITHIN_S
    head = max((p for p, at in world.committed_at.items() if at <= old), default=0)
    found = []
    for app in world.apps:
        missing = invariants.owed(world, app, log, until=head) - app.handled - app.aside
        if missing:
            found.append(f"{app.name} is not caught up: {sorted(missing)[:10]}")
        if app.state is not State.LIVE and _may_enter(world, app.user):
            found.append(f"{app.name} is {app.state.value} in the calm")
    return found


def _may_enter(world: World, user: str) -> bool:
    server = world.server
    return server is not None and user in server.projector.access.members


async def _the_end(world: World, seed: int) -> None:
    server = world.server
    assert server is not None
    for app in world.apps:
        await app.die()
    await asyncio.sleep(2.0)  # the sessions' last records
    await world.end_tasks()
    projector = server.projector
    await server.process.spawn(projector.wait_for(server.log.head.position))
    if world.plan.thorough:
        live, rebuilt = await server.process.spawn(_digests(server))
        if live != rebuilt:
            world.fail(f"rebuilt projections differ: {live} {rebuilt}")
    if projector.trouble is not None:
        world.fail(f"the projections do not get on: {projector.trouble!r}")
    await server.process.kill()
    with closing(_open_log(server)) as file:
        log = History.read(file)  # all of it: a row that was seen may have changed
    for what in invariants.broken(world, log, server.boot):
        world.fail(what)
    if seed % VERIFIED_EVERY == 0:
        for what in invariants.verified(server.folder):
            world.fail(what)


async def _digests(server: Server) -> tuple[dict[str, str], dict[str, str]]:
    return await server.projector.digests(), await server.projector.rebuild()


@contextmanager
def _quiet() -> Iterator[None]:
    """The faults are ours, and are in the trace."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def _no_collection() -> Iterator[None]:
    """A collection in the midst would tell of forgotten tasks at a moment of its own."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
