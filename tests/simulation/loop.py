"""An asyncio event loop whose time is a number: it jumps to the next timer when nothing is ready.

Everything that runs on it is single-threaded and depends on nothing but the seed, so that one seed
gives one history. Work for threads is done on the loop's own thread, after a virtual delay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

TURNS_AT_ONE_MOMENT_MAX = 50_000


class Stuck(Exception):
    """Nothing is ready and nothing is scheduled, or time does not get on."""


class _Jump:
    """Stands where the selector was: waiting for a timer is setting the clock to it."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._turns = 0

    def select(self, timeout: float | None) -> list[Any]:
        """Called once a turn, before the timers that are due become ready."""
        if timeout is None:
            raise Stuck("everybody waits, and for nothing")
        if timeout > 0:
            self._turns = 0
            self._loop.jump()
            return []
        self._turns += 1
        if self._turns > TURNS_AT_ONE_MOMENT_MAX:
            raise Stuck(f"{self._turns} turns at {self._loop.time():.6f}")
        self._loop.permute()
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """``rng`` orders tasks that are ready in the same turn; None leaves them in order."""

    def __init__(self, rng: Random | None) -> None:
        super().__init__()
        self._rng = rng
        self._now = 0.0
        self._selector = _Jump(self)
        self._clock_resolution = 1e-9
        self.on_thread_work: Callable[[Any, Callable[[], Any]], asyncio.Future[Any]] | None = None

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def jump(self) -> None:
        """On to the next timer."""
        self._now = max(self._now, self._scheduled[0]._when)  # type: ignore[attr-defined]  # ours

    def permute(self) -> None:
        """Change the order of the tasks that are ready; plain callbacks stay first in, first out.

        asyncio promises the order of callbacks. Which of two tasks wakes first is, outside, up to
        the network and the disk, so nothing may depend on it.
        """
        ready = self._ready  # type: ignore[attr-defined]  # BaseEventLoop's, a deque of handles
        if self._rng is None or len(ready) < 2:
            return
        steps = [index for index, handle in enumerate(ready) if _is_task_step(handle)]
        if len(steps) > 1:
            handles = [ready[index] for index in steps]
            self._rng.shuffle(handles)
            for index, handle in zip(steps, handles, strict=True):
                ready[index] = handle

    def run_in_executor(  # type: ignore[override]  # a future of ours, awaited like any
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """What was to be done in a thread is done here, when the world's disks get round to it."""
        assert self.on_thread_work is not None
        return self.on_thread_work(executor, lambda: func(*args))

    def _process_events(self, event_list: list[Any]) -> None:
        assert not event_list

    def _write_to_self(self) -> None:
        """Nobody calls from another thread, and there is no selector to wake."""


def _is_task_step(handle: asyncio.Handle) -> bool:
    return isinstance(getattr(handle._callback, "__self__", None), asyncio.Task)  # type: ignore[attr-defined]
