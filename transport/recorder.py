"""Writes what sessions want recorded, without delivery ever waiting for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

from eventstore.codec import encode
from eventstore.draft import Draft
from eventstore.events import Event
from eventstore.log import EventLog, LogUnavailable
from transport.outbox import Outbox

logger = logging.getLogger(__name__)

RECORDS_MAX = 20_000
_PAGE = 500


class Recorder:
    """Appends to the log, many sessions' events at once, and again when the log was away."""

    def __init__(self, log: EventLog, records_max: int = RECORDS_MAX) -> None:
        self._log = log
        self._outbox = Outbox(records_max)
        self._wanted = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def full(self) -> bool:
        """Whether the log is so far behind that there should be no further sessions."""
        return self._outbox.full

    def record(self, stream: str, event: Event) -> None:
        """Take an event; it is appended soon, in order."""
        self._outbox.add(stream, event)
        self._wanted.set()
        self._idle.clear()

    async def run(self) -> None:
        """Append until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            while batch := self._outbox.take():
                await self._append(batch)
            self._idle.set()

    async def flush(self, timeout_s: float) -> None:
        """Wait until all is recorded, or the time is over: a lost range only means redelivery."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()

    async def _append(self, batch: Sequence[Draft]) -> None:
        """Append, however long it takes.

        A failed append may be in the log all the same (G3), and ranges have no key; so we look
        before we append again, or acknowledged events would count twice.
        """
        head = self._log.head.position
        while True:
            try:
                await self._log.append(batch)
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
