"""An asyncio event loop whose time is a number: it jumps to the next timer when nothing is ready.

Everything that runs on it is single-threaded and depends on nothing but the seed, so that one seed
gives one history. Work for threads is done on the loop's own thread, after a virtual delay.

A seed is some six thousand callbacks, most of which do next to nothing, so the turn of the loop and
its handles are written out here: asyncio's own were a sixth of a seed's time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Any

TURNS_AT_ONE_MOMENT_MAX = 50_000


class Stuck(Exception):
    """Nothing is ready and nothing is scheduled, or time does not get on."""


class _Handle(asyncio.Handle):
    """What is to be called; without asyncio's memory of where it was asked for."""

    __slots__ = ("_when",)
    _source_traceback = _repr = None

    def __init__(
        self, loop: VirtualLoop, when: float, callback: Callable[..., object], args: Any,
        context: Context | None,
    ) -> None:  # fmt: skip
        self._loop = loop
        self._when = when
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._context = copy_context() if context is None else context

    def cancel(self) -> None:
        """It is not called any more."""
        self._cancelled = True
        self._callback = self._args = None

    def when(self) -> float:
        """Virtual seconds (asyncio.TimerHandle)."""
        return self._when


class VirtualLoop(asyncio.BaseEventLoop):
    """``rng`` orders tasks that are ready in the same turn; None leaves them in order."""

    def __init__(self, rng: Random | None) -> None:
        super().__init__()
        self._rng = rng
        self._now = 0.0
        self._turns = 0
        self._timers: list[tuple[float, int, _Handle]] = []
        self._number = count().__next__
        self._ready: deque[_Handle] = deque()
        self.on_thread_work: Callable[[Any, Callable[[], Any]], asyncio.Future[Any]] | None = None

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def call_soon(  # type: ignore[override]  # asyncio's has a TypeVarTuple
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """In the next turn."""
        handle = _Handle(self, self._now, callback, args, context)
        self._ready.append(handle)
        return handle

    def call_at(  # type: ignore[override]  # as above, and no TimerHandle, for that is its heap's
        self, when: float, callback: Callable[..., object], *args: Any,
        context: Context | None = None,
    ) -> asyncio.Handle:  # fmt: skip
        """When the time has come."""
        handle = _Handle(self, when, callback, args, context)
        heappush(self._timers, (when, self._number(), handle))
        return handle

    def call_later(  # type: ignore[override]  # as above
        self, delay: float, callback: Callable[..., object], *args: Any,
        context: Context | None = None,
    ) -> asyncio.Handle:  # fmt: skip
        """After so many virtual seconds."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def _run_once(self) -> None:
        """Turn after turn until it is to stop: what is due becomes ready, what is ready is called.

        asyncio calls this for each turn; all turns in one call need look nothing up anew.
        """
        ready, timers, rng, take = self._ready, self._timers, self._rng, self._ready.popleft
        while True:
            if ready:
                self._turns += 1
                if self._turns > TURNS_AT_ONE_MOMENT_MAX:
                    raise Stuck(f"{self._turns} turns at {self._now:.6f}")
            elif not self._stopping:  # type: ignore[attr-defined]  # BaseEventLoop's
                self._jump()
            now = self._now
            while timers and timers[0][0] <= now:
                handle = heappop(timers)[2]
                if not handle._cancelled:
                    ready.append(handle)
            count = len(ready)
            if count > 1 and rng is not None:
                self._permute(rng)
            for _ in range(count):
                handle = take()
                if not handle._cancelled:
                    try:
                        handle._context.run(handle._callback, *handle._args)
                    except (SystemExit, KeyboardInterrupt):
                        raise
                    except BaseException as error:
                        self._failed(handle, error)
            if self._stopping:  # type: ignore[attr-defined]
                return

    def _failed(self, handle: _Handle, error: BaseException) -> None:
        """As asyncio has it: whoever set an exception handler hears of it, and it goes on."""
        message = f"Exception in callback {handle._callback}"
        self.call_exception_handler({"message": message, "exception": error, "handle": handle})

    def _jump(self) -> None:
        """On to the next timer."""
        timers = self._timers
        while timers and timers[0][2]._cancelled:
            heappop(timers)
        if not timers:
            raise Stuck("everybody waits, and for nothing")
        if timers[0][0] > self._now:
            self._now = timers[0][0]
            self._turns = 0

    def _permute(self, rng: Random) -> None:
        """Change the order of the tasks that are ready; plain callbacks stay first in, first out.

        asyncio promises the order of callbacks. Which of two tasks wakes first is, outside, up to
        the network and the disk, so nothing may depend on it.
        """
        ready = self._ready
        steps = [
            index
            for index, handle in enumerate(ready)
            if isinstance(getattr(handle._callback, "__self__", None), asyncio.Task)
        ]
        if len(steps) > 1:
            handles = [ready[index] for index in steps]
            rng.shuffle(handles)
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
