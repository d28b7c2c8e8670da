"""One at a time: what a thousand ask for at once is done between everything else."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable


class Turnstile:
    """Lets one step through in each turn of the event loop, in the order they came.

    After a restart all clients come back within a second or two. A handshake is about a millisecond
    of work: two thousand of them in one turn would keep webhooks, heartbeats and everybody else
    waiting for seconds. Between two turns the loop serves whatever else is ready.
    """

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._turning = False

    def __len__(self) -> int:
        return len(self._waiting)

    def enter(self, step: Callable[[], None]) -> None:
        """Do the step now, where this turn had none yet, or when it is its turn."""
        if self._turning:
            self._waiting.append(step)
        else:
            self._let_through(step)

    def _let_through(self, step: Callable[[], None]) -> None:
        self._turning = True
        asyncio.get_running_loop().call_soon(self._turn)
        step()

    def _turn(self) -> None:
        self._turning = False
        if self._waiting:
            self._let_through(self._waiting.popleft())
