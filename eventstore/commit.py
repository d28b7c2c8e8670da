"""Group commit by the one writer, and the stop at the first doubt (G1, G3, G4, G16).

Whatever waits becomes one transaction; nobody is answered before its COMMIT returned. The states::

    WRITING ──any exception──▶ REOPENING ──head and chain found as they were──▶ WRITING
       │                           │
       └──── file corrupt ─────────┴──── acknowledged events missing or different ────▶ HALTED

An error while writing means *unknown*, never *not stored*: the group is told so, a new connection
looks at what is there, and what it finds is in the log and announced like any commit. HALTED
refuses appends until a person has looked; nothing is repaired, and reading goes on.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path

from attrs import Factory, define, frozen

from eventstore import reader
from eventstore.apply import Applied, Head, apply, keys_of, keys_of_repeats, order
from eventstore.chain import SALT_BYTES
from eventstore.connection import is_corrupt
from eventstore.events import RecordedEvent
from eventstore.folder import make_private
from eventstore.histogram import Histogram
from eventstore.limits import Limits
from eventstore.mark import HighWaterMark, Mark
from eventstore.recheck import ChainBroken
from eventstore.waiting import Queue, Waiting
from eventstore.writer import Writer

logger = logging.getLogger(__name__)

_REOPEN_PAUSE_S = 0.05
_REOPEN_PAUSE_MAX_S = 5.0
_MARK_EVERY_S = 1.0
GROUP_SIZES = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000)


class LogUnavailable(Exception):
    """Not acknowledged: whether it was stored is unknown, or the log takes nothing just now.

    Repeating with the same key is always safe (G3).
    """

    def __init__(self, reason: str, retry_after_s: float = 1.0) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class LogHalted(LogUnavailable):
    """The file is damaged or its history is not ours: read-only until a person looks."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the log is halted: {reason}", retry_after_s=300.0)


class State(Enum):
    """What happens to appends; the moves are drawn at the top of this file."""

    WRITING = auto()
    REOPENING = auto()
    HALTED = auto()
    CLOSED = auto()


@frozen
class Source:
    """Where the writer writes, and what it needs from outside."""

    path: Path
    factory: type[sqlite3.Connection]
    clock: Callable[[], int]
    limits: Limits


@define
class CommitFigures:
    """What committing came to since this process started."""

    seconds: Histogram = Factory(Histogram)
    events: Histogram = Factory(lambda: Histogram(GROUP_SIZES))
    failures: int = 0


class Committer:
    """Takes groups off the queue, makes them durable, then announces and answers them.

    ``head`` is the newest acknowledged event: the high-water mark that a reopened file must have.
    """

    def __init__(
        self, source: Source, queue: Queue, announce: Callable[[list[RecordedEvent]], None]
    ) -> None:
        self._source = source
        self._mark = HighWaterMark(source.path.parent)
        self._epoch = ""
        self._moved = asyncio.Event()
        self._queue = queue
        self._announce = announce
        self._writer: Writer | None = None
        self._closing = asyncio.Event()
        self.head = Head()
        self.figures = CommitFigures()
        self.state = State.REOPENING
        self.halted_because = ""

    async def start(self) -> None:
        """Open the file and check its newest links; HALTED if they do not fit.

        Raises FolderUnfit, sqlite3.Error.
        """
        if not self._source.path.exists():
            make_private(self._source.path)
        writer = self._writer = await Writer.open(self._source.path, self._source.factory)
        self._epoch = await reader.epoch(writer.fetch)
        self.head = await reader.newest(writer.fetch)
        before = max(0, self.head.position - self._source.limits.recheck_links)
        try:
            await reader.recheck(writer.fetch, before, self._source.limits.recheck_links)
            await self._demand_mark(writer)
        except ChainBroken as error:
            self._keep_wal()
            self.halt(error)
        else:
            await writer.settle()
            self.state = State.WRITING

    async def _demand_mark(self, writer: Writer) -> None:
        """Raise ChainBroken unless the log reaches as far as it once did, and is the same there."""
        mark = self._mark.read()
        if mark is None:
            return
        if mark.epoch != self._epoch:
            logger.warning("the high-water mark is of another log, and says nothing of this one")
            return
        found = await reader.point(writer.fetch, mark.position)
        if found is None or found.hash != mark.hash:
            raise ChainBroken(
                self.head.position + 1 if found is None else mark.position,
                f"the log ends at {self.head.position} and was at {mark.position} before"
                if found is None
                else "another event than the one that was there before",
            )

    def _keep_wal(self) -> None:
        """Closing the last connection deletes the WAL; what is wrong with it is for a person."""
        wal = self._source.path.with_name(self._source.path.name + "-wal")
        with suppress(OSError):
            if wal.stat().st_size:
                wal.with_name(f"{wal.name}.halted-{self.head.position}").hardlink_to(wal)

    async def keep_mark(self) -> None:
        """Note how far the log is, at most once a second, until cancelled."""
        while True:
            await self._moved.wait()
            self._moved.clear()
            mark = Mark(self._epoch, self.head.position, self.head.hash)
            try:
                await asyncio.to_thread(self._mark.write, mark)
            except OSError as error:
                logger.warning("the high-water mark cannot be written: %s", error)
            await asyncio.sleep(_MARK_EVERY_S)

    async def run(self) -> None:
        """Write groups until the queue is closed and empty, or the log halts."""
        while self.state is State.WRITING:
            group = await self._queue.take(self._source.limits.group_drafts_max)
            if not group:
                return
            if self.state is not State.WRITING:  # a reader found the file corrupt meanwhile
                self._refuse(group)
                return
            try:
                applied = await self._write(group)
                self._conclude(group, applied)
                await self._live_writer.checkpoint_if_due(idle=not self._queue)
            except Exception as error:
                await self._stop_and_reopen(group, error)

    async def _write(self, group: Sequence[Waiting]) -> Applied:
        began = asyncio.get_running_loop().time()
        now = self._source.clock()
        entropy = memoryview(os.urandom(SALT_BYTES * sum(len(append.drafts) for append in group)))
        appends = []
        for waiting in group:
            size = SALT_BYTES * len(waiting.drafts)
            appends.append(order(waiting.drafts, waiting.data, now, bytes(entropy[:size])))
            entropy = entropy[size:]
        known = await self._live_writer.known(keys_of(appends))
        if repeats := keys_of_repeats(appends, known):
            known |= await self._live_writer.known(repeats)
        applied = apply(self.head, appends, known)
        await self._live_writer.commit(applied)
        self.figures.seconds.observe(asyncio.get_running_loop().time() - began)
        self.figures.events.observe(len(applied.events))
        return applied

    def _conclude(self, group: Sequence[Waiting], applied: Applied) -> None:
        """The group is durable: advance, tell everybody, and only then answer who waited."""
        self._advance(applied.head, applied.events)
        for append, receipts in zip(group, applied.receipts, strict=True):
            append.resolve(receipts)

    def _advance(self, head: Head, events: list[RecordedEvent]) -> None:
        self.head = head
        if events:
            self._moved.set()
            self._announce(events)

    async def _stop_and_reopen(self, group: Sequence[Waiting], error: Exception) -> None:
        """After this the log writes again, has halted, or is closing."""
        logger.error("write failed, its outcome is unknown: %s", error)
        self.figures.failures += 1
        self.state = State.REOPENING
        if is_corrupt(error):
            self.halt(error)
        self._refuse([*group, *self._queue.drain()])
        pause_s = _REOPEN_PAUSE_S
        while self.state is State.REOPENING and not self._closing.is_set():
            try:
                await self._reopen()
            except (sqlite3.Error, OSError) as again:
                if is_corrupt(again):
                    self.halt(again)
                    return
                logger.warning("the log cannot be reopened yet: %s", again)
                await self._pause(pause_s)
                pause_s = min(2 * pause_s, _REOPEN_PAUSE_MAX_S)
            except Exception as again:
                self.halt(again)

    def _refuse(self, group: Sequence[Waiting]) -> None:
        refusal = self.refusal()
        assert refusal is not None
        for append in group:
            append.refuse(refusal)

    async def _reopen(self) -> None:
        """See with a new connection whether all that was acknowledged is there, and what else.

        Raises ChainBroken if it is not; sqlite3.Error, OSError if that cannot be seen yet.
        """
        await self._drop_writer()
        writer = self._writer = await Writer.open(self._source.path, self._source.factory)
        before = max(0, self.head.position - self._source.limits.recheck_links)
        mark, _ = await reader.recheck(writer.fetch, before, self.head.position - before)
        if mark != self.head:
            raise ChainBroken(self.head.position, "an acknowledged event is gone or another one")
        found = await self._follow_on(writer)
        await writer.settle()
        self.state = State.WRITING
        for head, events in found:
            self._advance(head, events)
        logger.info("log reopened at position %d", self.head.position)

    async def _follow_on(self, writer: Writer) -> list[tuple[Head, list[RecordedEvent]]]:
        """What is stored beyond the head: groups whose outcome was unknown, and is known now."""
        found: list[tuple[Head, list[RecordedEvent]]] = []
        head = self.head
        while True:
            head, events = await reader.recheck(
                writer.fetch, head.position, self._source.limits.recheck_links
            )
            if not events:
                return found
            found.append((head, events))

    @property
    def purged(self) -> bool:
        """Whether nothing that was erased is left in the log's files."""
        return self._writer is not None and self._writer.purged

    @property
    def _live_writer(self) -> Writer:
        assert self._writer is not None
        return self._writer

    def halt(self, error: Exception) -> None:
        """Take nothing more until a person has looked at the file."""
        self.state = State.HALTED
        self.halted_because = str(error)
        logger.critical("log halted, it only reads from now on: %s", error)

    def refusal(self) -> LogUnavailable | None:
        """Why nothing can be appended now; None if something can."""
        match self.state:
            case State.WRITING:
                return None
            case State.REOPENING:
                return LogUnavailable("the log is being reopened after a failed write")
            case State.HALTED:
                return LogHalted(self.halted_because)
            case State.CLOSED:
                return LogUnavailable("the log is closed")

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)

    async def _drop_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer.close()

    def stop(self) -> None:
        """Take what waits and then end; give up on reopening."""
        self._queue.close()
        self._closing.set()

    async def close(self) -> None:
        """Close the connection, after ``run`` has ended."""
        sound = self.state is State.WRITING
        self.state = State.CLOSED
        self._refuse(self._queue.drain())
        await self._drop_writer()
        if sound and self.head.position:
            with suppress(OSError):
                self._mark.write(Mark(self._epoch, self.head.position, self.head.hash))
