"""Writes what sessions want recorded, without delivery ever waiting for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

from eventstore.codec import encode
from eventstore.draft import Draft
from eventstore.events import Event
from eventstore.log import EventLog, LogUnavailable, wall_clock_us
from transport.figures import DeliveryFigures
from transport.outbox import Outbox

logger = logging.getLogger(__name__)

RECORDS_MAX = 20_000
_PAGE = 500


class Recorder:
    """Appends to the log, many sessions' events at once, and again when the log was away."""

    def __init__(
        self,
        log: EventLog,
        records_max: int = RECORDS_MAX,
        clock: Callable[[], int] = wall_clock_us,
    ) -> None:
        self.figures = DeliveryFigures()
        self._log = log
        self._clock = clock
        self._outbox = Outbox(records_max)
        self._wanted = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []
        self._appending = False

    @property
    def full(self) -> bool:
        """Whether the log is so far behind that there should be no further sessions."""
        return self._outbox.full

    def record(self, stream: str, event: Event) -> None:
        """Take an event; it is appended soon, in order."""
        self.figures.recorded(event, self._clock())
        self._outbox.add(stream, event)
        self._wanted.set()

    async def run(self) -> None:
        """Append until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            waiting, self._waiting = self._waiting, []
            self._appending = True
            await self._append_present()
            self._appending = False
            for future in waiting:
                if not future.done():
                    future.set_result(None)

    async def _append_present(self) -> None:
        """What is there now; what comes meanwhile is for the next turn, or nobody could wait."""
        for _ in range(self._outbox.batches):
            await self._append(self._outbox.take())

    async def flush(self, timeout_s: float) -> bool:
        """Wait until all that was taken so far is in the log; False where the time was over."""
        if not self._outbox.batches and not self._appending:
            return True
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._wanted.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await future
        return future.done() and not future.cancelled()

    async def _append(self, batch: Sequence[Draft]) -> None:
        """Append, however long it takes.

        A failed append may be in the log all the same (G3), and ranges have no key; so we look
        before we append again, or acknowledged events would count twice.
        """
        head = self._log.head.position
        while True:
            try:
                await self._log.append(batch, from_reserve=True)
            except LogUnavailable as error:
                logger.warning("%d session records wait for the log: %s", len(batch), error)
                await asyncio.sleep(error.retry_after_s)
                if not await self._landed(batch[0], head):
                    continue
            return

    async def _landed(self, draft: Draft, after: int) -> bool:
        """Whether an append that began with ``draft`` is in the log beyond that position."""
        data = encode(draft.event)
        while events := await self._log.read(after, _PAGE, streams=[draft.stream]):
            if any((event.type, event.data) == (draft.event.type, data) for event in events):
                return True
            after = events[-1].position
        return False
