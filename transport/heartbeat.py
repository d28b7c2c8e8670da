"""Is the other end still there, and how well? The ping schedule of one connection."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from transport.frames import FrameError, Heartbeat, Quality

INTERVAL_S = 25.0
TIMEOUT_S = 10.0
JITTER = 0.1
MISSES_MAX = 2
POOR_RTT_MS = 500.0
_RTT_WEIGHT = 0.25

ANNOUNCED = Heartbeat(interval_ms=int(INTERVAL_S * 1000), timeout_ms=int(TIMEOUT_S * 1000))
"""What ``welcome`` tells the client."""


class Beat(Enum):
    """What is to be done when a heartbeat is due."""

    REST = auto()
    PING = auto()
    PING_AGAIN = auto()  # the one before was missed
    GIVE_UP = auto()


class Pulse:
    """Pings every 25 s ± 10 %, waits 10 s; any frame is life; two misses in a row are the end.

    A missed ping is repeated at once instead of an interval later: 27.5 + 10 + 10 s keeps a
    half-open peer under the 2.5 intervals of G11. ``random`` returns numbers from 0 to 1; set
    ``heard_at`` whenever a frame comes in, of whatever kind.
    """

    __slots__ = ("_random", "_sent_at", "_waiting", "due", "heard_at", "id", "missed", "rtt_ms")

    def __init__(self, random: Callable[[], float], now: float) -> None:
        self._random = random
        self.heard_at = self._sent_at = now
        self._waiting = False
        self.id = 0
        self.missed = 0
        self.rtt_ms: float | None = None
        self.due = now + self._interval_s()

    def _interval_s(self) -> float:
        return INTERVAL_S * (1 + JITTER * (2 * self._random() - 1))

    @property
    def quality(self) -> Quality:
        """``poor`` while pings go missing or take long."""
        slow = self.rtt_ms is not None and self.rtt_ms > POOR_RTT_MS
        return "poor" if self.missed or slow else "good"

    def answer(self, id_: int, now: float) -> float | None:
        """A pong came; returns the round trip in ms where it answers the newest ping.

        Raises :class:`FrameError` for an id that was never sent.
        """
        if not 0 < id_ <= self.id:
            raise FrameError("a pong without its ping")
        if not self._waiting or id_ != self.id:
            return None
        sample = (now - self._sent_at) * 1000
        known = sample if self.rtt_ms is None else self.rtt_ms
        self.rtt_ms = round(known + _RTT_WEIGHT * (sample - known), 3)
        self._rest(now)
        return round(sample, 3)

    def _rest(self, now: float) -> None:
        self._waiting = False
        self.missed = 0
        self.due = max(now, self._sent_at + self._interval_s())

    def beat(self, now: float) -> Beat:
        """What is due at ``now``; after a PING the frame with the new :attr:`id` is to be sent."""
        if now < self.due:
            return Beat.REST
        if not self._waiting:
            return self._ping(now, Beat.PING)
        if self.heard_at >= self._sent_at:  # no pong, yet other frames: alive
            self._rest(now)
            return Beat.REST
        self.missed += 1
        if self.missed >= MISSES_MAX:
            self.due = float("inf")
            return Beat.GIVE_UP
        return self._ping(now, Beat.PING_AGAIN)

    def _ping(self, now: float, beat: Beat) -> Beat:
        self.id += 1
        self._waiting = True
        self._sent_at = now
        self.due = now + TIMEOUT_S
        return beat
