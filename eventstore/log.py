"""The event log of one data folder: append, read, seek, back up.

:class:`EventLog` is the only thing here that other packages use. How appends become durable is in
:mod:`eventstore.commit`, the queries are in :mod:`eventstore.reader`.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from eventstore import backup as backups
from eventstore import reader
from eventstore.apply import Head
from eventstore.backup import restore
from eventstore.chain import GENESIS
from eventstore.codec import encode
from eventstore.commit import CommitFigures, Committer, LogHalted, LogUnavailable, Source, State
from eventstore.compaction import compacted_by
from eventstore.connection import Fetch, Readers, is_corrupt
from eventstore.cursor import Cursor
from eventstore.draft import Draft, Receipt
from eventstore.erasure import demand_erasable, erased_by
from eventstore.events import MessageRedacted, RecordedEvent
from eventstore.folder import FolderLock, free_bytes, log_path, prepare, sync_folder
from eventstore.interchange import HistoryRow
from eventstore.limits import DEFAULT_LIMITS, Limits
from eventstore.recent import Recent
from eventstore.recheck import ChainBroken
from eventstore.tail import Tail, Visible
from eventstore.waiting import Queue, Waiting

__all__ = [
    "EventLog",
    "Head",
    "Limits",
    "LogHalted",
    "LogUnavailable",
    "restore",
    "wall_clock_us",
]

logger = logging.getLogger(__name__)
T = TypeVar("T")
P = ParamSpec("P")

DISK_RETRY_S = 5.0
_DISK_ASKED_EVERY_S = 1.0
_PRIMING_PAGE = 1_000
_PURGE_TRIES = 50
_HISTORY_WALKS, _HISTORY_WALK_EVENTS = 20, 20_000
_HISTORY_BYTES = 4 * 1024 * 1024
_PURGE_PAUSE_S = 0.1


def wall_clock_us() -> int:
    """The wall clock, µs since the Unix epoch, UTC."""
    return time.time_ns() // 1000


class EventLog:
    """One log, owned by this process; every method belongs to the event loop it was opened on.

    ``on_commit`` is called with each group's events after its COMMIT returned and ``head`` and
    ``tail`` advanced, before the appenders are answered: a plain function, and a quick one.
    """

    def __init__(self, folder: Path, source: Source, limits: Limits) -> None:
        """Use :meth:`open`."""
        self.folder = folder
        self.epoch = ""
        self.on_commit: Callable[[Sequence[RecordedEvent]], None] = lambda _events: None
        self._limits = limits
        self._queue = Queue(
            drafts_max=limits.waiting_drafts_max, bytes_max=limits.waiting_bytes_max
        )
        self._committer = Committer(source, self._queue, self._committed)
        self._erasures = 0
        self._awaited: set[asyncio.Future[None]] = set()
        self._disk_asked_at = float("-inf")
        self._disk_free_bytes = 0
        self._resources = AsyncExitStack()

    @classmethod
    async def open(
        cls,
        folder: Path,
        *,
        clock: Callable[[], int] = wall_clock_us,
        limits: Limits = DEFAULT_LIMITS,
        connection_factory: type[sqlite3.Connection] = sqlite3.Connection,
    ) -> EventLog:
        """Take the folder (made, for its owner only, if missing) and open the log in it.

        A log whose newest links do not check opens all the same, with :attr:`writable` False.
        Raises FolderLocked, FolderUnfit, LogHalted (the file is no database any more) and
        LogUnavailable (SQLite cannot open it just now).
        """
        prepare(folder)
        source = Source(log_path(folder), connection_factory, clock, limits)
        log = cls(folder, source, limits)
        async with AsyncExitStack() as resources:
            resources.callback(FolderLock(folder).release)
            try:
                await log._start(resources)
            except sqlite3.Error as error:
                refusal = LogHalted if is_corrupt(error) else LogUnavailable
                raise refusal(f"{source.path}: {error}") from error
            log._resources = resources.pop_all()
        return log

    async def _start(self, resources: AsyncExitStack) -> None:
        resources.push_async_callback(self._committer.close)
        await self._committer.start()
        path = log_path(self.folder)
        sync_folder(self.folder)
        # The writer is closed last: as the file's last connection it moves the WAL into it.
        self._readers = await Readers.open(path, self._limits.readers)
        resources.push_async_callback(self._readers.close)
        self.epoch = await self._ask(reader.epoch)
        await self._prime_tail()
        self._recent = Recent(
            self.head.position,
            events_max=self._limits.recent_events_max,
            bytes_max=self._limits.recent_bytes_max,
        )
        self._task = asyncio.create_task(self._committer.run(), name="malote log writer")
        marking = asyncio.create_task(self._committer.keep_mark(), name="malote log mark")
        resources.callback(marking.cancel)
        logger.info(
            "log open at position %d, SQLite %s", self.head.position, sqlite3.sqlite_version
        )

    async def _prime_tail(self) -> None:
        head, limits = self.head.position, self._limits
        since = max(0, head - limits.tail_events_max)
        self.tail = Tail(
            self.epoch, since, events_max=limits.tail_events_max, bytes_max=limits.tail_bytes_max
        )
        while page := await self._ask(
            reader.visible_everywhere, since, _PRIMING_PAGE, self._limits.page_bytes_max
        ):
            self.tail.extend(page)
            since = page[-1].position

    # --- where it stands ---

    @property
    def head(self) -> Head:
        """The newest durable event; position 0 and GENESIS before the first."""
        return self._committer.head

    @property
    def cursor(self) -> Cursor:
        """The cursor of somebody who has everything."""
        return Cursor.at(self.epoch, self.head.position, self.head.hash)

    @property
    def writable(self) -> bool:
        """Whether appends are taken: not while reopening after a failed write, nor once halted."""
        return self._committer.state is State.WRITING

    @property
    def halted(self) -> bool:
        """Whether it takes nothing until a person has looked at the file."""
        return self._committer.state is State.HALTED

    @property
    def figures(self) -> CommitFigures:
        """What committing came to since this process started."""
        return self._committer.figures

    @property
    def waiting(self) -> int:
        """How many drafts wait to be committed."""
        return len(self._queue)

    @property
    def disk_reserve(self) -> int:
        """How many bytes must stay free, or nothing is appended (G15)."""
        return self._limits.disk_reserve_bytes

    @property
    def disk_is_low(self) -> bool:
        """Whether that is not so just now."""
        return self._disk_free() < self.disk_reserve

    # --- writing ---

    async def append(self, drafts: Sequence[Draft], *, from_reserve: bool = False) -> list[Receipt]:
        """Record the drafts, all or none; return when they are durable, with a receipt for each.

        ``from_reserve`` is for what keeps the rest going on a full disk: acks, connections, who may
        see what. It may use three quarters of the reserve that stops everybody else (G15).
        A caller that is cancelled may find its drafts in the log all the same (G3). Raises
        ValueError for a ``cause`` that is no earlier draft, TypeError for data that is not JSON,
        LogUnavailable.
        """
        append = self._prepare(drafts)
        refusal = self._committer.refusal() or self._refusal_for_disk(from_reserve)
        if refusal is not None:
            raise refusal
        if not drafts:
            return []
        if not self._queue.put(append):
            raise LogUnavailable("too many appends wait for the disk")
        return await append.receipts

    async def redact(
        self,
        position: int,
        *,
        reason: str,
        by: str,
        also: Collection[int] = (),
        about: Collection[int] = (),
        correlation_id: str | None = None,
    ) -> tuple[Receipt, Sequence[int]]:
        """Erase the content of an event, and of others ``also``, for good; record that it was done.

        The record names those that are ``about`` it and stay, without the ones that are erased.
        Returns when it is durable and out of memory, with the receipt of the ``message.redacted``
        and the positions it names; out of the log's files as well, unless a reader that does not
        end keeps it there (:attr:`purged`). Raises CannotErase, LogUnavailable.
        """
        asked = sorted({position, *also})
        found = [event for each in asked for event in await self.read(each - 1, 1, until=each)]
        left = demand_erasable(asked, found)
        staying = tuple(sorted(set(about).difference(asked)))
        redacted = MessageRedacted(tuple(event.position for event in left), reason, by, staying)
        conversation = next((event.conversation for event in left if event.conversation), None)
        draft = Draft(left[0].stream, redacted, conversation, correlation_id=correlation_id)
        [receipt] = await self.append([draft], from_reserve=True)
        await self._purge()
        return receipt, redacted.positions

    @property
    def purged(self) -> bool:
        """Whether nothing that was erased is left in the log's files."""
        return self._committer.purged

    async def _purge(self) -> None:
        """Have the writer try until it is, for some seconds: a reader may hold the WAL."""
        for _ in range(_PURGE_TRIES):
            nothing = self._prepare(())
            if self._committer.refusal() is not None or not self._queue.put(nothing):
                return
            await nothing.receipts  # the checkpoint of the group before is over by then
            if self.purged:
                return
            await asyncio.sleep(_PURGE_PAUSE_S)

    def _prepare(self, drafts: Sequence[Draft]) -> Waiting:
        """Encode here, on the caller's account: what cannot be written must not fail a group."""
        for index, draft in enumerate(drafts):
            if draft.cause is not None and not 0 <= draft.cause < index:
                raise ValueError(f"draft {index} cannot be caused by draft {draft.cause}")
        data = [encode(draft.event) for draft in drafts]
        receipts = asyncio.get_running_loop().create_future()
        return Waiting(drafts, data, sum(map(len, data)), receipts)

    def _refusal_for_disk(self, from_reserve: bool) -> LogUnavailable | None:
        """G15: below the reserve nothing is taken, and again as soon as there is space."""
        least = self.disk_reserve // 4 if from_reserve else self.disk_reserve
        if self._disk_free() >= least:
            return None
        return LogUnavailable("the disk is full", retry_after_s=DISK_RETRY_S)

    def _disk_free(self) -> int:
        now = asyncio.get_running_loop().time()
        if now - self._disk_asked_at >= _DISK_ASKED_EVERY_S:
            self._disk_asked_at = now
            self._disk_free_bytes = free_bytes(self.folder)
        return self._disk_free_bytes

    def _committed(self, events: list[RecordedEvent]) -> None:
        self.tail.extend(events)
        self._recent.extend(events)
        if erased := erased_by(events):
            self.tail.erase(erased)
            self._recent.erase(erased)
            self._erasures += 1
        for after, until in compacted_by(events):
            self._recent.compact(after, until)
        for grown in self._awaited:
            if not grown.done():
                grown.set_result(None)
        try:
            self.on_commit(events)
        except Exception:
            # The events are durable whatever became of the announcement, and are answered so.
            logger.exception("on_commit failed at position %d", self.head.position)

    # --- reading ---

    async def read(
        self,
        after: int,
        limit: int,
        *,
        until: int | None = None,
        streams: Collection[str] | None = None,
        types: Collection[str] | None = None,
    ) -> list[RecordedEvent]:
        """Events with ``after`` < position <= ``until`` (default: head), in order.

        The newest come from memory, older ones from the disk. A page ends early when it weighs
        16 MiB; only an empty one says that there is no more.
        """
        until = self.head.position if until is None else min(until, self.head.position)
        if after >= until or limit <= 0:
            return []
        held = self._recent.read(
            after, until, limit, self._limits.page_bytes_max, streams=streams, types=types
        )
        if held is not None:
            return held
        return await self._unerased(
            lambda: self._ask(
                reader.page, after, until, limit, streams, types, self._limits.page_bytes_max
            )
        )

    async def history(
        self, after: int, limit: int, until: int, *, stream: str = "*", type_: str = "*"
    ) -> tuple[list[HistoryRow], int]:
        """Events with their commitments, for auditors; and up to where was looked.

        ``stream`` and ``type_`` are GLOBs. A walk for something rare ends after so many events, and
        a page at its weight: only where ``until`` was reached is there no more.
        """
        until, rows = min(until, self.head.position), list[HistoryRow]()
        for _ in range(_HISTORY_WALKS):
            if after >= until or len(rows) >= limit:
                break
            last, left = min(after + _HISTORY_WALK_EVENTS, until), limit - len(rows)
            found = await self._unerased(
                partial(self._ask, reader.history, after, last, left, stream, type_, _HISTORY_BYTES)
            )
            rows += found
            after = found[-1].event.position if found else last
        return rows, after

    async def wait_beyond(self, position: int) -> None:
        """Return once the log has an event beyond a position."""
        while self.head.position <= position:
            grown = asyncio.get_running_loop().create_future()
            self._awaited.add(grown)
            try:
                await grown
            finally:
                self._awaited.discard(grown)

    async def read_visible(
        self,
        after: int,
        limit: int,
        inboxes: frozenset[str],
        *,
        bytes_max: int = DEFAULT_LIMITS.page_bytes_max,
    ) -> list[Visible]:
        """What members of these inboxes see after a position: from the tail, else from the disk.

        At most ``limit`` events and about ``bytes_max`` bytes, but one event always fits.
        """
        held = self.tail.read(after, limit, inboxes, bytes_max)
        if held is not None:
            return held
        page = await self._unerased(
            lambda: self._ask(
                reader.visible_page, after, self.head.position, limit, inboxes, bytes_max
            )
        )
        return [Visible.of(event, self.epoch) for event in page]

    async def read_raw(
        self, positions: Sequence[int], *, bytes_max: int = DEFAULT_LIMITS.page_bytes_max
    ) -> list[RecordedEvent]:
        """The events at these positions, in order, about ``bytes_max`` bytes at most."""
        return await self._unerased(lambda: self._ask(reader.page_at, positions, bytes_max))

    async def read_at(
        self, positions: Sequence[int], *, bytes_max: int = DEFAULT_LIMITS.page_bytes_max
    ) -> list[Visible]:
        """What members see at these positions, in order, about ``bytes_max`` bytes at most.

        Positions without an event, or with one that is not for members, are left out.
        """
        page = await self.read_raw(positions, bytes_max=bytes_max)
        return [Visible.of(event, self.epoch) for event in page if event.for_members]

    async def count_visible(
        self, after: int, inboxes: frozenset[str], *, most: int, until: int | None = None
    ) -> int:
        """How many events members of these inboxes see after a position; ``most`` at most.

        Up to ``until``, a position, or to the head.
        """
        held = self.tail.count(after, inboxes, most, until)
        if held is not None:
            return held
        until = self.head.position if until is None else min(until, self.head.position)
        return await self._ask(reader.visible_count, after, until, inboxes, most)

    async def newest_visible(self, nth: int, inboxes: frozenset[str]) -> int:
        """The position of the ``nth`` newest event they see, counted from 1; 0 if there is none."""
        held = self.tail.newest(inboxes, nth)
        if held is not None:
            return held
        return await self._ask(reader.visible_nth_newest, self.head.position, inboxes, nth)

    async def visible_head(self, inboxes: frozenset[str]) -> int:
        """The position of the newest event members of these inboxes see, 0 if there is none."""
        held = self.tail.newest(inboxes)
        if held is not None:
            return held
        return await self._ask(reader.visible_newest, self.head.position, inboxes)

    async def cursor_at(self, position: int) -> Cursor | None:
        """The cursor at a position; None beyond the head."""
        if position == self.head.position:
            return self.cursor
        if position == 0:
            return Cursor.at(self.epoch, 0, GENESIS)
        if not 0 < position < self.head.position:
            return None
        if (held := self.tail.at(position)) is not None:
            return held.cursor
        found = await self._ask(reader.point, position)
        return None if found is None else Cursor.at(self.epoch, position, found.hash)

    async def recorded_at(self, position: int) -> int | None:
        """When the event at a position was recorded, µs; None where there is none."""
        if not 0 < position <= self.head.position:
            return None
        if (held := self.tail.at(position)) is not None:
            return held.recorded_at
        found = await self._ask(reader.point, position)
        return None if found is None else found.recorded_at

    async def position_at(self, time_us: int) -> int:
        """The last position recorded at or before a time (µs), 0 if none: a binary search."""
        low, high = 0, self.head.position
        while low < high:
            middle = (low + high + 1) // 2
            found = await self._ask(reader.point, middle)
            if found is not None and found.recorded_at <= time_us:
                low = middle
            else:
                high = middle - 1
        return low

    async def backup(self, target: Path) -> Head:
        """Write a consistent copy to a new file, mode 0600; it holds all acknowledged before."""
        return await backups.backup(log_path(self.folder), target)

    async def _unerased(self, read: Callable[[], Awaitable[T]]) -> T:
        """What was being read while an erasure landed is read again."""
        while True:
            before = self._erasures
            found = await read()
            if self._erasures == before:
                return found

    async def _ask(
        self,
        query: Callable[Concatenate[Fetch, P], Awaitable[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """What a query gives; one that finds the file damaged halts the log (G16)."""
        try:
            return await query(self._readers.fetch, *args, **kwargs)
        except (sqlite3.DatabaseError, ChainBroken) as error:
            if is_corrupt(error):
                self._committer.halt(error)
                raise LogHalted(str(error)) from error
            raise

    async def close(self) -> None:
        """Write what waits, then close everything and give the folder back."""
        self._committer.stop()
        try:
            await self._task
        finally:
            await self._resources.aclose()
