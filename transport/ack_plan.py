"""When a client acknowledges, and that it acknowledges only what came over the present link.

Acks are cumulative, so a slow one costs nothing but window. They are spaced, because the server
takes 50 frames a second and writes each ack down.
"""

from __future__ import annotations

from collections import deque

from eventstore.cursor import Cursor
from transport.frames import Window

ACK_INTERVAL_S = 0.1
ACK_INTERVAL_MIN_S = 0.025
"""With half of the window unacknowledged; 40 a second stay below the server's 50."""


class AckPlan:
    """What is on the way unacknowledged on one link, and when to say what was handled."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._sent: deque[Cursor] = deque()
        self._wanted: Cursor | None = None
        self._acked_at = float("-inf")
        self._events = 0
        self._bytes = 0

    @property
    def outstanding(self) -> int:
        """How many items this link brought that are not acknowledged."""
        return len(self._sent)

    def came(self, cursor: Cursor) -> None:
        """The server sent the item of this cursor, perhaps again."""
        if not self._sent or cursor.position > self._sent[-1].position:
            self._sent.append(cursor)

    def weighed(self, events: int, size: int) -> None:
        """A frame with so many events, of ``size`` bytes, has taken its part of the window."""
        self._events += events
        self._bytes += size

    def brought(self, cursor: Cursor) -> bool:
        """Whether this link brought the item of this cursor, and it is not acknowledged yet."""
        return cursor in self._sent

    def granted(self, window: Window) -> None:
        """The server's window, which is the smaller one where the two differ."""
        self._window = window

    def want(self, cursor: Cursor) -> None:
        """Acknowledge up to here when due, if it is this link's to acknowledge."""
        if self.brought(cursor):
            self._wanted = cursor

    @property
    def due_at(self) -> float | None:
        """When the next ack should go out; None while there is nothing to say."""
        if self._wanted is None:
            return None
        pressing = self._events * 2 >= self._window.frames or self._bytes * 2 >= self._window.bytes
        return self._acked_at + (ACK_INTERVAL_MIN_S if pressing else ACK_INTERVAL_S)

    def take(self, now: float) -> Cursor | None:
        """What to acknowledge now, whether due or not; None where nothing waits for it."""
        cursor, self._wanted = self._wanted, None
        if cursor is None:
            return None
        while self._sent.popleft() != cursor:
            pass
        self._acked_at, self._events, self._bytes = now, 0, 0
        return cursor
