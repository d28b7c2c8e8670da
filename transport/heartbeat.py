"""Is the other end still there, and how well? The ping schedule of one connection."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from transport.frames import FrameError, Heartbeat, Quality

INTERVAL_S = 25.0
TIMEOUT_S = 10.0
JITTER = 0.1
PROBE_TIMEOUT_MIN_S = 2.5
MISSES_MAX = 2
POOR_RTT_MS = 500.0
POOR_JITTER_MS = 300.0
TIMEOUT_UNKNOWN_MS = 1000.0
"""RFC 6298, 2.1: what a round trip may take before one was measured."""
_RTT_WEIGHT = 0.25
_JITTER_WEIGHT = 0.25
_PROBE_ROUND_TRIPS = 2.5
# RFC 6298 weighs the round trip with 1/8, for a sample per segment. We have one every 25 s.

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
    half-open peer under the 2.5 intervals of G11. A :meth:`probe` is waited for 2.5 to 10 s only,
    by the round trip: something is amiss already, and a peer that reads nothing is to be gone
    within 12 s (5 for the ack, twice 2.5 for the pong). ``random`` returns numbers from 0 to 1; set
    ``heard_at`` whenever a frame comes in, of whatever kind. ``proven_at`` is when the newest ping
    was sent that found the peer alive; ``waiting`` tells that a pong is awaited.
    """

    __slots__ = (
        "_random", "_sent_at", "_wait_s", "due", "heard_at", "id", "jitter_ms", "missed",
        "proven_at", "rtt_ms", "waiting",
    )  # fmt: skip

    def __init__(self, random: Callable[[], float], now: float) -> None:
        self._random = random
        self.heard_at = self._sent_at = now
        self.waiting = False
        self._wait_s = TIMEOUT_S
        self.id = 0
        self.missed = 0
        self.rtt_ms: float | None = None
        self.jitter_ms = 0.0
        self.proven_at = float("-inf")
        self.due = now + self._interval_s()

    def _interval_s(self) -> float:
        return INTERVAL_S * (1 + JITTER * (2 * self._random() - 1))

    @property
    def quality(self) -> Quality:
        """``poor`` while pings go missing, take long, or take now long and now short."""
        slow = self.rtt_ms is not None and self.rtt_ms > POOR_RTT_MS
        return "poor" if self.missed or slow or self.jitter_ms > POOR_JITTER_MS else "good"

    @property
    def gone(self) -> bool:
        """Whether so many pings in a row were missed that nobody is there."""
        return self.missed >= MISSES_MAX

    @property
    def timeout_s(self) -> float:
        """What a round trip may take (RFC 6298): the smoothed one and four times its jitter."""
        known = TIMEOUT_UNKNOWN_MS if self.rtt_ms is None else self.rtt_ms + 4 * self.jitter_ms
        return known / 1000

    def answer(self, id_: int, now: float) -> float | None:
        """A pong came; returns the round trip in ms where it answers the newest ping.

        Raises :class:`FrameError` for an id that was never sent.
        """
        if not 0 < id_ <= self.id:
            raise FrameError("a pong without its ping")
        if not self.waiting or id_ != self.id:
            return None
        sample = (now - self._sent_at) * 1000
        self._measured(sample)
        self._rest(now)
        return round(sample, 3)

    def _measured(self, sample: float) -> None:
        """Smooth a sample, in ms, into round trip and jitter (RFC 6298, 2.2 and 2.3)."""
        if self.rtt_ms is None:
            self.rtt_ms, self.jitter_ms = round(sample, 3), round(sample / 2, 3)
            return
        off = sample - self.rtt_ms
        self.jitter_ms = round(self.jitter_ms + _JITTER_WEIGHT * (abs(off) - self.jitter_ms), 3)
        self.rtt_ms = round(self.rtt_ms + _RTT_WEIGHT * off, 3)

    def _rest(self, now: float) -> None:
        """The peer is alive."""
        self.proven_at = self._sent_at
        self.waiting = False
        self.missed = 0
        self.due = max(now, self._sent_at + self._interval_s())

    def beat(self, now: float) -> Beat:
        """What is due at ``now``; after a PING the frame with the new :attr:`id` is to be sent."""
        if now < self.due:
            return Beat.REST
        if not self.waiting:
            self._wait_s = TIMEOUT_S
            return self._ping(now, Beat.PING)
        if self.heard_at >= self._sent_at:  # no pong, yet other frames: alive
            self._rest(now)
            return Beat.REST
        self.missed += 1
        if self.gone:
            self.due = float("inf")
            return Beat.GIVE_UP
        return self._ping(now, Beat.PING_AGAIN)

    def probe(self, now: float) -> None:
        """Ping before it is time; the frame with the new :attr:`id` is to be sent."""
        assert not self.waiting
        self._wait_s = min(TIMEOUT_S, max(PROBE_TIMEOUT_MIN_S, _PROBE_ROUND_TRIPS * self.timeout_s))
        self._ping(now, Beat.PING)

    def _ping(self, now: float, beat: Beat) -> Beat:
        self.id += 1
        self.waiting = True
        self._sent_at = now
        self.due = now + self._wait_s
        return beat
