"""What the world puts in the place of threads, of chance and of sizes, while it lasts.

The sizes of pages are small, so that a short history has many of them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any
from unittest import mock

import eventstore.commit
import eventstore.connection
import eventstore.log
import eventstore.reader
import eventstore.writer
import projections.lanes
import projections.projector
import projections.store
import transport.audience
import transport.hub
import transport.outbox
import transport.recorder
from tests.simulation.disk import Disk, Driver, Thread
from tests.simulation.furnished import FurnishedStore
from tests.simulation.process import PROCESS

_connect = sqlite3.connect
GIB = 1024**3


class _Lock:
    """The lock of a folder that nobody else has; a dead process's is released by the kernel."""

    def __init__(self, folder: Path) -> None:
        """Take it."""

    def release(self) -> None:
        """Give it back."""


def _tracked(*args: Any, **options: Any) -> sqlite3.Connection:
    """A connection that is closed when its process dies."""
    connection: sqlite3.Connection = _connect(*args, **options)
    process = PROCESS.get(None)
    if process is not None:
        process.files.append(connection)
    return connection


@contextmanager
def standing_in(disk: Disk, rng: Random) -> Iterator[None]:
    """Replace them, for as long as this world runs."""
    page = rng.choice((2, 7, 100))
    # Not os.urandom and secrets themselves: Hypothesis and pytest live in this process, too.
    entropy = Random(rng.random())
    secrets = SimpleNamespace(token_hex=lambda size: entropy.randbytes(size).hex())
    replaced: tuple[tuple[Any, str, Any], ...] = (
        (sqlite3, "connect", _tracked),
        (eventstore.connection, "aiosqlite", Driver(disk.new_lane)),
        (eventstore.commit, "os", SimpleNamespace(urandom=entropy.randbytes)),
        (eventstore.writer, "secrets", secrets),
        (eventstore.writer, "CHECKPOINT_PAGES", rng.choice((10, 4096))),
        (eventstore.log, "FolderLock", _Lock),
        (eventstore.log, "free_bytes", lambda _: 0 if disk.weather.full else GIB),
        (eventstore.log, "_PRIMING_PAGE", rng.choice((2, 1_000))),
        (eventstore.reader, "_INBOXES_A_QUERY", rng.choice((1, 200))),
        (projections.lanes, "ThreadPoolExecutor", Thread),
        (projections.projector, "PAGE_EVENTS", rng.choice((3, 1_000))),
        (projections.projector, "Store", FurnishedStore),
        (projections.store, "Store", FurnishedStore),
        (transport.hub, "token_urlsafe", lambda size: entropy.randbytes(size).hex()),
        (transport.hub, "PAGE_EVENTS_MAX", page),
        (transport.audience, "PAGE_EVENTS_MAX", page),
        (transport.audience, "PAGES_MAX", rng.choice((1, 64))),
        (transport.outbox, "BATCH_MAX", rng.choice((1, 1_000))),
        (transport.recorder, "_PAGE", rng.choice((2, 500))),
    )
    with ExitStack() as stack:
        for module, name, value in replaced:
            stack.enter_context(mock.patch.object(module, name, value))
        yield
