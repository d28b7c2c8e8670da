"""The world's disk: the real SQLite, asked on the loop's thread at seeded virtual times.

It stands where aiosqlite's and the projector's threads were. As there, what was asked for is done
even if whoever asked was cancelled, and one connection's work is done in the order asked for. Work
takes two times: until it is done, and until anybody hears of it. A crash may fall into either.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from attrs import define

from tests.simulation.process import PROCESS, Process

Work = Callable[[], Any]
_SHM = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it


def folder_in_memory() -> tempfile.TemporaryDirectory[str]:
    """Where a sync costs nothing, if the machine has such a place."""
    where = _SHM if os.access(_SHM, os.W_OK) else None
    return tempfile.TemporaryDirectory(prefix="malote-", dir=where)


@define
class Weather:
    """How the disk is just now. ``fail`` is asked before and after each write of the log."""

    slow_s: float = 0.002
    stall: float = 0.0  # how likely a piece of work takes up to ``stall_s``
    stall_s: float = 1.0
    fails: float = 0.0  # how likely a write of the log fails
    crash_in: int | None = None  # after so many pieces of work the server dies
    full: bool = False


class Lane:
    """One connection's or one thread's work, in order."""

    def __init__(self, disk: Disk, process: Process) -> None:
        self._disk = disk
        self._process = process
        self._free_at = 0.0

    def do(self, work: Work, *, write: bool = False) -> asyncio.Future[Any]:
        """Have it done; of a process that is dead nothing is done, and nobody is told."""
        loop, disk = asyncio.get_running_loop(), self._disk
        answer = loop.create_future()
        done_at = max(loop.time(), self._free_at) + disk.takes_s()
        self._free_at = told_at = done_at + disk.takes_s()

        def execute() -> None:
            if not self._process.alive or disk.struck("before"):
                return
            tell = _outcome(answer, disk.failing(work) if write else work)
            if not disk.struck("after"):
                loop.call_at(told_at, self._tell, answer, tell)

        loop.call_at(done_at, execute, context=self._process.context)
        return answer

    def _tell(self, answer: asyncio.Future[Any], tell: Callable[[], None]) -> None:
        if self._process.alive and not answer.done():
            tell()


class AtOnce:
    """A lane of no disk and no process: what is asked for is done, in no time."""

    def do(self, work: Work, *, write: bool = False) -> asyncio.Future[Any]:  # noqa: ARG002
        """Done already."""
        answer = asyncio.get_running_loop().create_future()
        _outcome(answer, work)()
        return answer


def _outcome(answer: asyncio.Future[Any], work: Work) -> Callable[[], None]:
    try:
        result = work()
    except Exception as error:
        failure = error
        return lambda: answer.set_exception(failure)
    return lambda: answer.set_result(result)


class Disk:
    """Shared by all generations of the server; ``on_strike`` is how it kills the present one."""

    def __init__(self, rng: Random, on_strike: Callable[[str], bool]) -> None:
        self.weather = Weather()
        self._rng = rng
        self._on_strike = on_strike
        self._threads: dict[int, Lane] = {}

    def takes_s(self) -> float:
        """How long the next half of a piece of work takes."""
        weather, rng = self.weather, self._rng
        if weather.stall and rng.random() < weather.stall:
            return rng.random() * weather.stall_s
        return rng.random() * weather.slow_s

    def struck(self, when: str) -> bool:
        """Whether the server dies at this very piece of work."""
        left = self.weather.crash_in
        if left is None:
            return False
        if left > 0:
            self.weather.crash_in = left - 1
            return False
        self.weather.crash_in = None
        return self._on_strike(when)

    def failing(self, work: Work) -> Work:
        """The same, or one that fails; it may have been done all the same (G3)."""
        if not self.weather.fails or self._rng.random() >= self.weather.fails:
            return work
        done = self._rng.random() < 0.5

        def fail() -> Any:
            if done:
                work()
            raise sqlite3.OperationalError("disk I/O error")

        return fail

    def new_lane(self) -> Lane:
        """For a connection or a thread of the present process."""
        return Lane(self, PROCESS.get())

    def on_thread(self, executor: Any, work: Work) -> asyncio.Future[Any]:
        """``loop.run_in_executor``: a thread is a lane, asyncio's own pool another."""
        if not isinstance(executor, Thread):
            return self.new_lane().do(work)
        if executor.lane is None:
            executor.lane = self.new_lane()
        return executor.lane.do(work)


class Thread:
    """Stands where the projector has its ThreadPoolExecutor of one."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.lane: Lane | None = None

    def submit(self, work: Work) -> None:
        """Only ever the last thing a lane does."""
        work()

    def shutdown(self, *, wait: bool = True) -> None:
        """There is nothing to end."""


class Connection:
    """Stands where aiosqlite's connection was; as much of it as the log uses."""

    def __init__(self, lane: Lane | AtOnce, raw: sqlite3.Connection) -> None:
        self._lane = lane
        self._raw = raw

    async def execute_fetchall(self, sql: str, parameters: Any = ()) -> list[Any]:
        """All rows of one statement."""
        write = sql.lstrip().startswith("INSERT") or "wal_checkpoint" in sql
        rows: list[Any] = await self._lane.do(
            lambda: self._raw.execute(sql, parameters).fetchall(), write=write
        )
        return rows

    async def execute(self, sql: str, parameters: Any = ()) -> None:
        """One statement."""
        await self._lane.do(lambda: _closed(self._raw.execute(sql, parameters)), write=True)

    async def executescript(self, sql: str) -> None:
        """Many."""
        await self._lane.do(lambda: _closed(self._raw.executescript(sql)))

    async def commit(self) -> None:
        """Durable, or unknown."""
        await self._lane.do(self._raw.commit, write=True)

    async def close(self) -> None:
        """Close the file; of a dead process it was closed by the kernel."""
        if PROCESS.get().alive:
            await self._lane.do(self._raw.close)


def _closed(cursor: sqlite3.Cursor) -> None:
    cursor.close()


class Driver:
    """Stands where ``import aiosqlite`` was; each connection has a lane of its own."""

    def __init__(self, new_lane: Callable[[], Lane | AtOnce]) -> None:
        self._new_lane = new_lane

    async def connect(self, database: str, **options: Any) -> Connection:
        """Open on the loop's thread, like everything else."""
        lane = self._new_lane()
        raw = await lane.do(lambda: sqlite3.connect(database, **options))
        return Connection(lane, raw)
