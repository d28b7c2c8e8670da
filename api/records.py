"""The part of the house that needs no network: the log, what is derived from it, the secrets.

The command line opens it alone when no server runs, and starts the faster for what it leaves out.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import structlog
from attrs import define, field, frozen

from api.keyring import FILE_NAME, Keyring, KeyringDamaged
from api.signing import FILE_NAME as SIGNING_KEY_FILE
from api.signing import Signer, SigningKeyDamaged
from eventstore.draft import Draft, Receipt
from eventstore.folder import FolderLocked, FolderUnfit
from eventstore.log import EventLog, LogUnavailable
from projections.projector import Projector

PROJECTIONS_FILE = "projections.db"
PROGRESS_EVERY_S = 1.0

_log = structlog.get_logger()


@frozen
class Records:
    """The log, what is derived from it, and the secrets beside it."""

    log: EventLog
    projector: Projector
    keyring: Keyring
    signer: Signer
    asking: asyncio.Lock = field(factory=asyncio.Lock)
    """Held from looking at what is parked to asking for it."""

    async def record(self, *drafts: Draft) -> list[Receipt]:
        """Append, and wait until the projections show it: read your own writes.

        Raises :class:`projections.projector.ProjectionsBehind` where they do not get on; the drafts
        are durable all the same.
        """
        receipts = await self.log.append(drafts, from_reserve=True)
        await self.projector.wait_for(max(receipt.position for receipt in receipts))
        return receipts


@define
class Tasks:
    """Tasks that ought to run for as long as the house stands, and which of them did not."""

    failed: set[str] = field(factory=set)
    _running: dict[str, asyncio.Task[None]] = field(factory=dict)

    def start(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run ``work``; its end before :meth:`stop` is a failure that readiness shows."""
        self._running[name] = asyncio.create_task(self._watch(name, work), name=f"malote {name}")

    async def _watch(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except asyncio.CancelledError:
            raise
        except Exception:
            _log.exception("task crashed", task=name)
        self.failed.add(name)

    async def stop(self) -> None:
        """Cancel them and wait until they are gone."""
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        self._running.clear()


@define
class Progress:
    """Says how far the projections are at the start: nothing about a short one, then at times."""

    _told_at: float = field(factory=time.monotonic)

    def __call__(self, name: str, position: int, head: int) -> None:
        """Called after each page."""
        if time.monotonic() - self._told_at >= PROGRESS_EVERY_S:
            self._told_at = time.monotonic()
            _log.info("folding the log", projection=name, position=position, head=head)


class CannotOpen(Exception):
    """The data folder cannot be served from; the message says why in one line."""


@contextmanager
def _opening(folder: Path) -> Iterator[None]:
    try:
        yield
    except (
        FolderLocked,
        FolderUnfit,
        LogUnavailable,
        KeyringDamaged,
        SigningKeyDamaged,
    ) as trouble:
        raise CannotOpen(str(trouble)) from trouble
    except (OSError, sqlite3.Error) as trouble:
        raise CannotOpen(f"{folder} cannot be opened: {trouble}") from trouble


@asynccontextmanager
async def open_records(folder: Path) -> AsyncIterator[tuple[Records, Tasks]]:
    """Open the data folder, folding in the background; closed in the reverse order.

    Each step is on the stack before the next begins: aiosqlite's threads are not daemons, and one
    that a failed start left open would keep the process from ending.
    Raises :class:`CannotOpen`.
    """
    async with AsyncExitStack() as stack:
        with _opening(folder):
            log = await EventLog.open(folder)
            stack.push_async_callback(log.close)
            keyring = Keyring(folder / FILE_NAME)
            signer = Signer(log, folder / SIGNING_KEY_FILE)
            projector = await Projector.open(folder / PROJECTIONS_FILE, log, on_progress=Progress())
            stack.push_async_callback(projector.close)
        tasks = Tasks()
        stack.push_async_callback(tasks.stop)
        log.on_commit = lambda _: projector.wake()
        tasks.start("projector", projector.run)
        projector.wake()
        yield Records(log, projector, keyring, signer), tasks
