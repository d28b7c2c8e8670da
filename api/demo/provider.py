"""The simulated provider: lively at first, then at a human pace, now and then a burst or a repeat.

It decides when; what is written comes from :mod:`api.simulator`, and every webhook goes over HTTP,
signed, and again until it is answered 2xx.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from attrs import define, field

from api.sender import Delivered, NotDelivered, Refused, Sender
from api.simulator import Simulator

LIVELY_POSTS = 24
BURST = (4, 7)
BURST_CHANCE, REPEAT_CHANCE = 0.05, 0.06
RECEIPTS_KEPT = 10_000


@define
class Provider:
    """Posts until told to stop; ``rate`` posts a second, or a human pace for None."""

    simulator: Simulator
    senders: Sequence[Sender]
    dice: random.Random
    on_answer: Callable[[Delivered], None]
    rate: float | None = None
    posted: int = 0
    failed: int = 0
    receipts: dict[int, str] = field(factory=dict)
    """Position to chain hash, of the newest webhooks answered: the proof that a provider has."""

    stopping: asyncio.Event = field(factory=asyncio.Event)

    async def work(self) -> None:
        """Post until ``stopping``; what is under way then is still seen through."""
        free: asyncio.Queue[Sender] = asyncio.Queue()
        for sender in self.senders:
            free.put_nowait(sender)
        async with asyncio.TaskGroup() as posts:
            while not self.stopping.is_set():
                for _ in range(self._at_once()):
                    body = self.simulator.next(int(time.time()))
                    posts.create_task(self._post(await free.get(), body, free))
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.stopping.wait(), self._pause_s())

    def _at_once(self) -> int:
        burst = self.posted > BURST[1] and self.dice.random() < BURST_CHANCE
        return self.dice.randint(*BURST) if burst else 1

    def _pause_s(self) -> float:
        if self.rate is not None:
            return 1 / self.rate
        if self.posted < LIVELY_POSTS:
            return self.dice.uniform(0.2, 0.9)
        return min(self.dice.expovariate(1 / 2.2) + 0.4, 9.0)

    async def _post(self, sender: Sender, body: bytes, free: asyncio.Queue[Sender]) -> None:
        try:
            await self._deliver(sender, body)
            if self.dice.random() < REPEAT_CHANCE:
                # Its 200 was lost on the way, thinks the provider, and sends the same again.
                await asyncio.sleep(0.8 if self.rate is None else 0.0)
                await self._deliver(sender, body)
        finally:
            free.put_nowait(sender)

    async def _deliver(self, sender: Sender, body: bytes) -> None:
        self.posted += 1
        try:
            delivered = await sender.deliver(body)
        except (Refused, NotDelivered):
            self.failed += 1
            return
        for position, hash_ in delivered.receipts:
            self.receipts[position] = hash_
        while len(self.receipts) > RECEIPTS_KEPT:
            del self.receipts[next(iter(self.receipts))]
        self.on_answer(delivered)
