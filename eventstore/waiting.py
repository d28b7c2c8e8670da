"""The appends that wait to be written: a bounded queue that gives whatever waits as one group."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from attrs import define

from eventstore.draft import Draft, Receipt


@define(eq=False)
class Waiting:
    """One append, encoded, and where its receipts go once it is durable."""

    drafts: Sequence[Draft]
    data: Sequence[bytes]
    bytes: int
    receipts: asyncio.Future[list[Receipt]]

    def resolve(self, receipts: list[Receipt]) -> None:
        """Answer, unless the caller was cancelled meanwhile (its append counts all the same)."""
        if not self.receipts.done():
            self.receipts.set_result(receipts)

    def refuse(self, error: Exception) -> None:
        """Answer that it failed, or that nobody knows."""
        if not self.receipts.done():
            self.receipts.set_exception(error)


_QUIET_TURNS = 2
_TURNS_MAX = 16
"""Turns of the event loop: a request that has arrived becomes an append within two of them."""
_JOINING_MAX_S = 0.002
"""Where turns take long, those that wait for the commit have waited enough."""


class Queue:
    """First in, first out; bounded by drafts and bytes, although one append always finds room."""

    def __init__(self, *, drafts_max: int, bytes_max: int) -> None:
        self._drafts_max = drafts_max
        self._bytes_max = bytes_max
        self._appends: deque[Waiting] = deque()
        self._drafts = 0
        self._bytes = 0
        self._changed = asyncio.Event()
        self.closed = False

    def __len__(self) -> int:
        return self._drafts

    def put(self, append: Waiting) -> bool:
        """Take the append, or say that there is no room."""
        drafts, size = self._drafts + len(append.drafts), self._bytes + append.bytes
        if self._appends and (drafts > self._drafts_max or size > self._bytes_max):
            return False
        self._appends.append(append)
        self._drafts, self._bytes = drafts, size
        self._changed.set()
        return True

    async def take(self, drafts_max: int) -> list[Waiting]:
        """Wait for appends; give those that wait, up to ``drafts_max``; nothing once closed.

        An append larger than ``drafts_max`` comes alone.
        """
        while not self._appends and not self.closed:
            self._changed.clear()
            await self._changed.wait()
        await self._let_join(drafts_max)
        group: list[Waiting] = []
        count = 0
        while self._appends:
            size = len(self._appends[0].drafts)
            if group and count + size > drafts_max:
                break
            count += size
            group.append(self._pop())
        return group

    async def _let_join(self, drafts_max: int) -> None:
        """Let what has arrived already become appends: no timer, a few turns of the event loop.

        A commit costs about as much for one append as for fifty. Without this, the requests that
        came in during a commit, and are not read yet, miss the next one by a few microseconds.
        """
        quiet = 0
        time = asyncio.get_running_loop().time
        until = time() + _JOINING_MAX_S
        for _ in range(_TURNS_MAX):
            if quiet == _QUIET_TURNS or self._drafts >= drafts_max or self.closed:
                return
            if time() > until:
                return
            before = self._drafts
            await asyncio.sleep(0)
            quiet = quiet + 1 if self._drafts == before else 0

    def drain(self) -> list[Waiting]:
        """Everything that waits, at once."""
        return [self._pop() for _ in range(len(self._appends))]

    def close(self) -> None:
        """Let ``take`` give what is left and then nothing."""
        self.closed = True
        self._changed.set()

    def _pop(self) -> Waiting:
        append = self._appends.popleft()
        self._drafts -= len(append.drafts)
        self._bytes -= append.bytes
        return append
