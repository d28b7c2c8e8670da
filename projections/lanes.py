"""Threads of their own for connections of SQLite: what is asked of one is done in order.

A question that takes long must keep neither the event loop nor another connection waiting.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from projections.projection import Answer, Query
from projections.reading import fetch, open_reader

T = TypeVar("T")
P = ParamSpec("P")


def _nothing() -> None:
    pass


class Lane:
    """One thread: what is done on its connection is done one at a time, in the order asked for.

    That holds for what a task asked for that has been cancelled since, too.
    """

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"projections-{name}")

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do it there, after all that was asked for before."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, partial(work, *args, **kwargs))

    def end(self, last: Callable[[], object] = _nothing) -> None:
        """Do this last, whenever that may be, and end the thread."""
        self._thread.submit(last)
        self._thread.shutdown(wait=False)


class ReaderClosed(Exception):
    """There is no file to read from just now."""


class Reader:
    """A read-only connection to the projections' file, in a lane of its own."""

    def __init__(self, name: str, path: Path) -> None:
        self._lane = Lane(name)
        self._path = path
        self._db: sqlite3.Connection | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is something to read from."""
        return self._db is not None

    async def open(self) -> None:
        """Open the file. Raises sqlite3.Error."""
        await self._lane.run(self._open)

    def _open(self) -> None:
        self._db = open_reader(self._path)

    async def fetch(self, query: Query[T]) -> Answer[T]:
        """Answer, after all that was asked before. Raises :class:`ReaderClosed`, sqlite3.Error."""
        return await self._lane.run(self._fetch, query)

    def _fetch(self, query: Query[T]) -> Answer[T]:
        if self._db is None:
            raise ReaderClosed("the projections are being folded anew")
        return fetch(self._db, query)

    async def close(self) -> None:
        """Close the file, after what is being answered; it can be opened again."""
        await self._lane.run(self._close)

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
        self._db = None

    def end(self) -> None:
        """End the thread."""
        self._lane.end()
