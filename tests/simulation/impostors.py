"""Clients that are not our own: the same device a second time, and one that lies."""

from __future__ import annotations

import asyncio

import orjson

from tests.simulation.links import ClientEnd
from tests.simulation.plan import USERS
from tests.simulation.process import Process
from tests.simulation.world import World
from transport.client_socket import LinkEnded


async def _raw(world: World, who: str) -> tuple[Process, ClientEnd] | None:
    process = world.new_process(who)
    try:
        return process, await world.network.connect(who, process)
    except LinkEnded:
        return None


async def mute(world: World) -> None:
    """A client that says hello and then nothing, on a link that is well: heartbeats find it."""
    if (opened := await _raw(world, "rogue/y")) is not None:
        hello = {"type": "hello", "token": f"mlt_{world.rng.choice(USERS)}", "device": "y"}
        await opened[1].send(orjson.dumps(hello).decode())


async def ghost(world: World) -> None:
    """The same device a second time: another tab, or a program started twice."""
    app = world.rng.choice(world.apps)
    if (opened := await _raw(world, app.name)) is None:
        return
    process, socket = opened
    world.trace(app.name, "is there twice")
    hello = {"type": "hello", "token": f"mlt_{app.user}", "device": app.device}
    try:
        await socket.send(orjson.dumps(hello).decode())
        await asyncio.sleep(world.rng.random() * 5)
    except LinkEnded:
        pass
    await socket.close()
    await process.kill()


async def rogue(world: World) -> None:
    """A client that lies: it acknowledges what it was never sent, and makes cursors up.

    At times it does as it should, but begins with an old cursor, as a restored backup would.
    """
    if (opened := await _raw(world, "rogue/x")) is None:
        return
    process, socket = opened
    try:
        async with asyncio.timeout(20):
            await _lie(world, socket)
    except (LinkEnded, TimeoutError):
        pass
    await socket.close()
    await process.kill()


async def _lie(world: World, socket: ClientEnd) -> None:
    rng, server = world.rng, world.server
    if server is None:
        return
    future = {"type": "hello", "token": f"mlt_{rng.choice(USERS)}", "device": "x"}
    lie = rng.choice(("ack", "ack", "cursor", "ahead", "old", "old"))
    if lie == "cursor":
        future["cursor"] = f"{server.log.epoch}.{server.log.head.position}.00000000"
    elif lie == "ahead":
        future["cursor"] = f"{server.log.epoch}.{server.log.head.position + 1000}.00000000"
    elif lie == "old" and world.rogues_cursors:
        future["cursor"] = rng.choice(world.rogues_cursors)
    await socket.send(orjson.dumps(future).decode())
    if lie == "old":
        await _behave(world, socket)
        return
    while frame := orjson.loads(await socket.receive()):
        if frame["type"] == "welcome" and lie != "ack" and frame["resume"]["outcome"] != "reset":
            world.fail(f"a cursor that is a lie was taken as {frame['resume']['outcome']}")
        if frame["type"] == "live" and lie == "ack":
            await asyncio.sleep(rng.random())
            beyond = f"{server.log.epoch}.{server.log.head.position + 1000}.00000000"
            await socket.send(orjson.dumps({"type": "ack", "cursor": beyond}).decode())
            await _sent_away(world, socket)
            return
        if frame["type"] == "live" and lie != "ack":
            return


async def _behave(world: World, socket: ClientEnd) -> None:
    while frame := orjson.loads(await socket.receive()):
        if frame["type"] in ("events", "live") and frame["cursor"] not in world.rogues_cursors:
            world.rogues_cursors.append(frame["cursor"])
        if frame["type"] == "events":
            await socket.send(orjson.dumps({"type": "ack", "cursor": frame["cursor"]}).decode())


async def _sent_away(world: World, socket: ClientEnd) -> None:
    try:
        async with asyncio.timeout(3):
            while True:
                await socket.receive()
    except TimeoutError:
        if not socket.disturbed:
            world.fail("a client that lies is not sent away")
