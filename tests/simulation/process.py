"""What can die: a group of tasks, and whatever they hold, that end together at any await."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any

PROCESS: ContextVar[Process] = ContextVar("process")
"""The process in whose name the present code runs."""

_KILL_TURNS_MAX = 200


class Process:
    """One run of a server or a client. Once dead, nothing it still does has any effect."""

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop) -> None:
        self.name = name
        self.alive = True
        self.files: list[sqlite3.Connection] = []
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self.context = copy_context()
        self.context.run(PROCESS.set, self)
        self._loop = loop

    def spawn(self, coro: Coroutine[Any, Any, Any], name: str | None = None) -> asyncio.Task[Any]:
        """Begin a task of this process."""
        return self._loop.create_task(coro, name=name, context=self.context.copy())

    async def kill(self) -> None:
        """Take effect at once; then let the tasks unwind, in no time and to no effect."""
        self.alive = False
        for _ in range(_KILL_TURNS_MAX):
            if not self.tasks:
                break
            for task in list(self.tasks):
                task.cancel()
            await asyncio.sleep(0)
        assert not self.tasks, f"{self.name} does not die: {list(self.tasks)}"
        for file in self.files:
            file.close()


def make_task(
    loop: asyncio.AbstractEventLoop, coro: Any, *, context: Context | None = None
) -> asyncio.Task[Any]:
    """The loop's task factory: a task belongs to the process that made it."""
    task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, context=context)
    process = (copy_context() if context is None else context).get(PROCESS)
    if process is not None:
        process.tasks[task] = None
        task.add_done_callback(process.tasks.pop)
    return task
