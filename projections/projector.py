"""Keeps the rows up with the log: catch up, checkpoint, rebuild, as-of, and the reads.

The log is the truth and never waits for any of this. A commit only wakes the fold; the fold reads
the log from its own checkpoint, a page at a time, and commits a page's rows together with the new
checkpoint. Whatever goes wrong here (a full disk, a bug in a projection) is kept in
:attr:`Projector.trouble`, tried again, and refuses no webhook; answers just stand at an older
cursor, and say so.

Each of the three connections has a thread: one that folds, one that answers, and one that answers
about the past; so that no question waits for a page, nor a page for a question.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar

from eventstore.events import RecordedEvent
from eventstore.log import EventLog
from projections import PROJECTIONS
from projections.access import ACCESS, Access, everything, snapshot
from projections.fold import Folded
from projections.lanes import Lane, Reader, ReaderClosed
from projections.projection import Answer, Projection, Query
from projections.reading import digests, open_reader
from projections.store import MEMORY, Lot, Store, discard, is_corrupt, open_store

T = TypeVar("T")

PAGE_EVENTS = 1_000
RETRY_PAUSE_S = 1.0
GATHER_S = 0.1
PURGE_TRIES = 20
FOLDED_MAX = 200_000
"""For one answer, some ten seconds' worth."""

HISTORIES_MAX = 2
"""Questions that are answered at a time by folding the log into memory."""

OnProgress = Callable[[str, int, int], None]
"""Called with a projection's name, its position and the head, after each page at the start."""

logger = logging.getLogger(__name__)


def _tell_nobody(*_: object) -> None:
    pass


class ProjectionsBehind(Exception):
    """The fold is in trouble or over, so the position waited for is not being reached."""


class PositionUnknown(LookupError):
    """The log has no such position yet."""


class HistoryTooLong(Exception):
    """So many events are not folded for an answer; ``position`` is the one asked about."""

    def __init__(self, position: int) -> None:
        super().__init__(f"up to {position} are more than the {FOLDED_MAX:,} events folded at once")
        self.position = position


class Projector:
    """The rows of every projection, folded up to ``position``.

    ``access`` is the newest snapshot of the access projection; ``on_access`` is called with each
    new one, before anybody hears of the position that brought it. ``trouble`` is why the fold does
    not get on, None while it does.
    """

    def __init__(
        self,
        log: EventLog,
        path: Path,
        projections: Sequence[Projection],
        writer: Lane,
        store: Store,
    ) -> None:
        self.position = 0
        self.access = Access()
        self.on_access: Callable[[Access], None] = _tell_nobody
        self.trouble: Exception | None = None
        self._log = log
        self._path = path
        self._projections = {projection.name: projection for projection in projections}
        self._writer = writer
        self._now, self._past = Reader("read", path), Reader("past", path)
        self._store = store
        self._damaged = False
        self._woken = asyncio.Event()
        self._asked = asyncio.Event()
        self._moved = asyncio.Condition()
        self._folding = asyncio.Lock()
        self._rebuilding = asyncio.Lock()
        self._histories = asyncio.Semaphore(HISTORIES_MAX)

    # --- life ---

    @classmethod
    async def open(
        cls,
        path: Path,
        log: EventLog,
        *,
        projections: Sequence[Projection] = PROJECTIONS,
        on_progress: OnProgress = _tell_nobody,
    ) -> Projector:
        """Open or create the file and catch up with the log, from 0 where the version changed.

        A file that is damaged, or of another log, is folded anew. Raises sqlite3.Error and OSError
        for a file that cannot be made, LogUnavailable where the log cannot be read.
        """
        writer = Lane("fold")
        try:
            store = await writer.run(open_store, path, projections, log.epoch)
        except BaseException:
            writer.end()
            raise
        projector = cls(log, path, projections, writer, store)
        try:
            await projector._start(on_progress)
        except BaseException:
            await projector.close()
            raise
        return projector

    async def _start(self, on_progress: OnProgress) -> None:
        await self._leave_other_histories()
        while lot := await self._fold_next():
            for name in lot.names:
                on_progress(name, self._store.cursors[name].position, self._log.head.position)
        await self._settle()
        await self._refresh()

    async def _leave_other_histories(self) -> None:
        """Rows that stand at a point this log never had are of a log that was restored since."""
        strangers = [
            name
            for name, cursor in self._store.cursors.items()
            if await self._log.cursor_at(cursor.position) != cursor
        ]
        if strangers:
            await self._writer.run(self._store.start_over, strangers)

    async def close(self) -> None:
        """Close the file, after what is being folded and answered; who waits is told so."""
        await self._stumble(ProjectionsBehind("the projections are closed"))
        for reader in (self._now, self._past):
            await reader.close()
            reader.end()
        await self._writer.run(self._store.close)
        self._writer.end()

    # --- folding ---

    def wake(self) -> None:
        """The log has grown. Only a hint: the fold reads on from its own checkpoint."""
        self._woken.set()

    async def run(self) -> None:
        """Fold whatever the log commits, for ever; what fails is in ``trouble``, and tried again.

        No exception leaves here: the projections being behind must not take the server down.
        """
        while True:
            try:
                if self._damaged:
                    await self._begin_anew()
                await self._refresh()
                await self._follow()
            except Exception as error:
                logger.exception("the projections do not get on, at position %d", self.position)
                await self._stumble(error)
                await asyncio.sleep(RETRY_PAUSE_S)

    async def _follow(self) -> None:
        """Fold what comes, until the file is found damaged."""
        while not self._damaged:
            self._woken.clear()
            self._asked.clear()
            while await self._fold_next():
                pass
            await self._settle()
            folded_at = asyncio.get_running_loop().time()
            await self._woken.wait()
            await self._gather(until=folded_at + GATHER_S)

    async def _gather(self, until: float) -> None:
        """Under load let commits gather: a page costs hardly more with a hundred events than one.

        After a quiet moment there is no pause, and whoever waits for a position ends it.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._asked.wait()

    async def _fold_next(self) -> Lot | None:
        """Fold one page of those furthest behind; None once there is nothing to fold."""
        async with self._folding:
            lot = self._store.next_lot
            page = await self._log.read(lot.after, PAGE_EVENTS, until=lot.until)
            if not page:
                return None
            folded, access = await self._writer.run(self._fold_page, page, lot.names)
        for position, reason in folded.skipped.items():
            logger.warning("event %d is skipped by %s: %s", position, lot.names, reason)
        await self._arrive(access)
        return lot

    def _fold_page(
        self, page: Sequence[RecordedEvent], names: Sequence[str]
    ) -> tuple[Folded, Access | None]:
        folded = self._store.fold(page, names)
        return folded, self._read_access() if folded.statements.get(ACCESS.name) else None

    def _read_access(self) -> Access:
        if ACCESS.name not in self._projections:
            return Access()
        return snapshot(self._store.fetch(everything()).rows)

    async def _refresh(self) -> None:
        """Tell again what stands: a task that was cancelled, or failed, may not have."""
        await self._arrive(await self._writer.run(self._read_access))

    async def _arrive(self, access: Access | None) -> None:
        if access is not None:
            self.access = access
            self.on_access(access)
        async with self._moved:
            self.position = self._store.position
            self._moved.notify_all()

    async def _settle(self) -> None:
        """Caught up: there is something to read, and no trouble."""
        for reader in (self._now, self._past):
            if not reader.is_open:
                await reader.open()
        self.trouble = None

    async def _stumble(self, error: Exception) -> None:
        if isinstance(error, sqlite3.Error) and is_corrupt(error):
            self._damaged = True
        async with self._moved:
            self.trouble = error
            self._moved.notify_all()

    async def _begin_anew(self) -> None:
        """The file was damaged under our hands: it is only derived, so make another."""
        async with self._folding:
            await self._now.close()
            await self._past.close()
            self._store = await self._writer.run(self._replace_store)
        self._damaged = False

    def _replace_store(self) -> Store:
        self._store.close()
        discard(self._path)
        return open_store(self._path, tuple(self._projections.values()), self._log.epoch)

    @property
    def skipped(self) -> int:
        """How many events this release cannot read; 0 unless a newer one wrote to the log."""
        return self._store.skipped

    async def purge(self) -> bool:
        """Leave nothing in the file of what was erased up to here; False if a reader holds it."""
        for _ in range(PURGE_TRIES):
            if await self._writer.run(self._store.purge):
                return True
            await asyncio.sleep(GATHER_S)
        return False

    # --- reading ---

    async def wait_for(self, position: int) -> None:
        """Return once everything up to ``position`` is folded: read your own writes.

        Raises :class:`ProjectionsBehind` where that is not getting on.
        """
        self._asked.set()
        async with self._moved:
            await self._moved.wait_for(
                lambda: self.position >= position or self.trouble is not None
            )
        if self.position < position:
            raise ProjectionsBehind(f"at {self.position}, not {position}") from self.trouble

    async def fetch(self, query: Query[T]) -> Answer[T]:
        """Answer from the newest rows, with the cursor at which they stand (G10).

        Raises :class:`ProjectionsBehind` while a damaged file is being made anew.
        """
        return await self._ask(self._now, query)

    async def _ask(self, reader: Reader, query: Query[T]) -> Answer[T]:
        try:
            return await reader.fetch(query)
        except ReaderClosed as error:
            raise ProjectionsBehind(str(error)) from self.trouble
        except sqlite3.DatabaseError as error:
            if not is_corrupt(error):
                raise
            self._damaged = True
            self.wake()
            raise ProjectionsBehind("the projections are damaged") from error

    async def fetch_as_of(self, position: int, query: Query[T]) -> Answer[T]:
        """Answer as of a position what was answered there, the same at any time (G14).

        From the rows of today where the question says how, or else by folding the log up to there.
        Raises :class:`PositionUnknown` beyond the head, :class:`HistoryTooLong` where that would be
        too much, :class:`ProjectionsBehind`.
        """
        cursor = await self._log.cursor_at(position)
        if cursor is None:
            raise PositionUnknown(f"there is no position {position} yet")
        past = query.at(position, await self._log.recorded_at(position) or 0)
        if past is None:
            if position > FOLDED_MAX:
                raise HistoryTooLong(position)
            return await self.fold_as_of(position, query)
        await self.wait_for(position)
        return Answer((await self._ask(self._past, past)).rows, cursor)

    async def fold_as_of(self, position: int, query: Query[T]) -> Answer[T]:
        """Answer as of a position of the log by folding it up to there with the same ``evolve``."""
        chosen = [self._projections[name] for name in query.reads]
        async with self._histories:
            lane = Lane("history")
            store = await lane.run(Store, MEMORY, chosen, self._log.epoch)
            try:
                await self._fold_up_to(lane, store, position)
                return await lane.run(store.fetch, query)
            finally:
                lane.end(store.close)

    async def _fold_up_to(self, lane: Lane, store: Store, until: int) -> None:
        while (lot := store.next_lot).after < until:
            page = await self._log.read(lot.after, PAGE_EVENTS, until=until)
            await lane.run(store.fold, page, lot.names)

    async def digests(self) -> dict[str, str]:
        """The canonical digest of each projection, all at one position."""
        return await asyncio.to_thread(self._digests)

    def _digests(self) -> dict[str, str]:
        with closing(open_reader(self._path)) as db:
            return digests(db, tuple(self._projections))

    # --- rebuilding ---

    async def rebuild(self, names: Sequence[str] = ()) -> dict[str, str]:
        """Fold these projections (default: all) anew, put the rows in place, give their digests.

        The fold goes to a file beside, while reading and folding go on; only putting it in place
        makes the fold wait. Raises KeyError for a name that is none.
        """
        chosen = [self._projections[name] for name in names or self._projections]
        path = self._path.with_name(f"{self._path.name}.rebuild")
        async with self._rebuilding:
            lane = Lane("rebuild")
            await lane.run(discard, path)
            scratch = await lane.run(Store, path, chosen, self._log.epoch)
            try:
                await self._fold_up_to(lane, scratch, self._store.position)
                async with self._folding:
                    await self._fold_up_to(lane, scratch, self._store.position)
                    await self._writer.run(self._store.adopt, scratch)
                await self._refresh()
                return await lane.run(scratch.digests)
            finally:
                await lane.run(_put_away, scratch, path)
                lane.end()


def _put_away(scratch: Store, path: Path) -> None:
    scratch.close()
    discard(path)
