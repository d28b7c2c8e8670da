"""What is asked of the world's server: webhooks, an admin's word, an operator's questions.

Whatever it answers with yes is kept: that is what must never be lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar, cast

from api.parked import NoSuchDevice, request_replay
from eventstore.draft import Draft, Receipt
from eventstore.events import InboxCreated, MemberAdded, TokenIssued
from eventstore.log import LogHalted, LogUnavailable
from projections.projector import ProjectionsBehind
from tests.simulation.apps import App
from tests.simulation.plan import USERS
from tests.simulation.server import Server
from tests.simulation.world import Away, World

REQUEST_TIMEOUT_S = 5.0
T = TypeVar("T")


async def post(world: World, drafts: Sequence[Draft]) -> list[Receipt]:
    """A webhook, or an admin's word. Raises Away."""
    server = world.server
    if server is None or not server.ready:
        raise Away("no server")
    answer: asyncio.Future[list[Receipt]] = world.loop.create_future()
    server.process.spawn(_append(world, server, drafts, answer))
    try:
        async with asyncio.timeout(REQUEST_TIMEOUT_S):
            return await answer
    except TimeoutError:
        raise Away("no answer") from None


async def _append(
    world: World, server: Server, drafts: Sequence[Draft], answer: asyncio.Future[list[Receipt]]
) -> None:
    try:
        receipts = await server.log.append(drafts)
    except LogHalted as error:
        world.fail(f"the log is halted: {error}")
    except LogUnavailable as error:
        if not answer.done():
            answer.set_exception(Away(str(error)))
    else:
        _answered(world, drafts, receipts)
        if not answer.done():
            answer.set_result(receipts)


def _answered(world: World, drafts: Sequence[Draft], receipts: Sequence[Receipt]) -> None:
    """The first byte of a 2xx is out: this is what must never be lost."""
    for draft, receipt in zip(drafts, receipts, strict=True):
        if draft.key is None:
            continue
        first = world.acked.setdefault(draft.key, receipt)
        if (first.position, first.hash) != (receipt.position, receipt.hash):
            world.fail(f"one key, two receipts: {first.position} and {receipt.position}")


async def ask(world: World, question: Callable[[Server], Coroutine[Any, Any, T]]) -> T:
    """Something of the server itself, in its process. Raises Away, and what comes of it."""
    server = world.server
    if server is None or not server.ready:
        raise Away("no server")
    return cast(T, await world.run_in(server.process, question(server)))


async def ask_again(world: World, app: App) -> None:
    """An operator has all that a device put aside delivered again."""

    async def request(server: Server) -> None:
        answer = await request_replay(server.records, (app.user, app.device), None, by="admin")
        world.trace("admin", f"has {app.name} given {answer['positions']} again")

    try:
        await ask(world, request)
    except (Away, NoSuchDevice, LogUnavailable, ProjectionsBehind) as error:
        world.trace("admin", f"cannot ask for {app.name}: {type(error).__name__}")


async def insist(world: World, drafts: Sequence[Draft]) -> list[Receipt]:
    """Repeat until the answer is yes."""
    number = world.next_number()
    world.asking[number] = world.loop.time()
    while True:
        try:
            receipts = await post(world, drafts)
        except Away:
            await asyncio.sleep(0.1 + world.rng.random())
        else:
            del world.asking[number]
            return receipts


async def found(world: World) -> None:
    """The inboxes and people that this world begins with."""
    drafts = [Draft("system", InboxCreated(inbox, "whatsapp")) for inbox in world.plan.inboxes]
    for user in USERS:
        drafts.append(Draft("system", MemberAdded(user, "member", world.plan.inboxes)))
        drafts.append(Draft("system", TokenIssued(user, user)))
    await insist(world, drafts)
