"""What the contacts write, and how their provider brings it."""

from __future__ import annotations

import asyncio

import orjson

from eventstore.draft import Draft, idempotency_key
from eventstore.events import Contact, MessageReceived, Text, WebhookReceived
from tests.simulation.asking import insist
from tests.simulation.world import World

CALM_WEBHOOK_EVERY_S = 4.0


async def write_messages(world: World) -> None:
    """Contacts write, in bursts; the provider repeats what got no answer, and at times more."""
    number = 0
    while True:
        every_s = CALM_WEBHOOK_EVERY_S if world.calm else world.plan.webhook_every_s
        await asyncio.sleep(world.rng.expovariate(1 / every_s))
        burst = world.rng.choice(world.plan.bursts)
        inbox = world.rng.choice(world.plan.inboxes)
        numbers = range(number, number + burst)
        number += burst
        world.spawn(_deliver(world, webhook(inbox, numbers)))


def webhook(inbox: str, numbers: range) -> list[Draft]:
    """One webhook with so many messages."""
    stream, contact = f"inbox:{inbox}", Contact("5511")
    body = orjson.dumps(list(numbers))
    key = idempotency_key(inbox, "webhook.received", body.decode())
    drafts = [Draft(stream, WebhookReceived("whatsapp", body), key=key)]
    for number in numbers:
        message = MessageReceived(f"m{number}", contact, Text("hello"))
        key = idempotency_key(inbox, "message", message.message_id)
        drafts.append(Draft(stream, message, "c_1", key, cause=0))
    return drafts


async def _deliver(world: World, drafts: list[Draft]) -> None:
    await insist(world, drafts)
    if world.rng.random() < 0.2:
        await asyncio.sleep(world.rng.random() * 5)
        for receipt in await insist(world, drafts):
            if not receipt.duplicate:
                world.fail(f"a repeat was recorded as new, at {receipt.position}")
