"""A server under load says where it is and does what it is told: JSON lines on stdin and stdout."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import uvicorn

Took = tuple[float, float]
"""Seconds on the clock, and seconds of this process's CPU time."""
Command = Callable[..., Awaitable[Any]]


async def serve(config: uvicorn.Config, commands: dict[str, Command]) -> None:
    """Serve on a free port of 127.0.0.1 and answer commands until stdin ends."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    _say({"port": listener.getsockname()[1]})
    while line := await lines.readline():
        name, *arguments = orjson.loads(line)
        _say(await (commands | {"rss": _rss})[name](*arguments))
    server.should_exit = True
    await serving


def _say(value: Any) -> None:
    sys.stdout.buffer.write(orjson.dumps(value) + b"\n")
    sys.stdout.buffer.flush()


async def _rss() -> int:
    """Resident bytes of this process, after a collection."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])  # noqa: ASYNC240 - no disk there
    return pages * os.sysconf("SC_PAGE_SIZE")


def now() -> Took:
    """Both clocks."""
    return time.perf_counter(), time.process_time()


def took(start: Took) -> Took:
    """How far both clocks went since ``start``."""
    clock, cpu = now()
    return clock - start[0], cpu - start[1]


def pin(core: int) -> None:
    """Keep this process on one core, where the platform can."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[core % len(cores)]})
