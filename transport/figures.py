"""What delivery has done since this process started, in plain numbers.

Almost all of it is counted where a session's events go to be recorded, at most about once a second
for each session, so that the path of a message pays nothing for it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from eventstore.events import (
    ClientConnected,
    ClientDisconnected,
    DeliveryAcknowledged,
    DeliveryParked,
    DeliveryReplayAcknowledged,
    DeliveryReplayed,
    DeliveryRetried,
    DeviceExpired,
    Event,
    HeartbeatAnswered,
    HeartbeatMissed,
    QueueTrimmed,
)
from eventstore.histogram import Histogram

COMMITS_REMEMBERED = 4_096
"""At least so many, and at most twice as many."""
GAPS = ("reset", "queue_limit", "expired", "device_expired")
"""Why a device does not get something: another history, too much, too old, too long away."""


class DeliveryFigures:
    """Counts by what sessions record; times in µs since the Unix epoch, latencies in seconds."""

    def __init__(self) -> None:
        self.acknowledged = 0
        self.retried = 0
        self.parked = 0
        self.skipped = 0
        self.heartbeats_missed = 0
        self.openings: Counter[str] = Counter({"resumed": 0, "fresh": 0, "reset": 0})
        self.gaps: Counter[str] = Counter(dict.fromkeys(GAPS, 0))
        self.replayed: Counter[str] = Counter({"sent": 0, "acknowledged": 0})
        self.devices_expired = 0
        self.closings: Counter[int] = Counter()
        self.ack_seconds = Histogram()
        self.round_trip_seconds = Histogram()
        self._commits: list[int] = []  # positions, and when each was recorded
        self._times: list[int] = []
        self._coalesced = False

    def committed(self, position: int, recorded_at: int) -> None:
        """A commit with events for members ends at this position."""
        self._commits.append(position)
        self._times.append(recorded_at)
        if len(self._commits) >= 2 * COMMITS_REMEMBERED:
            del self._commits[:COMMITS_REMEMBERED], self._times[:COMMITS_REMEMBERED]

    @contextmanager
    def coalesced(self) -> Iterator[None]:
        """Acks recorded meanwhile waited for it: how long they took is not measured by them."""
        self._coalesced = True
        try:
            yield
        finally:
            self._coalesced = False

    def recorded(self, event: Event, now_us: int) -> None:
        """A session has this recorded."""
        match event:
            case DeliveryAcknowledged():
                self.acknowledged += event.count
                if not self._coalesced:
                    self._measure(event.until, now_us)
            case HeartbeatAnswered():
                self.round_trip_seconds.observe(event.rtt_ms / 1000)
            case HeartbeatMissed():
                self.heartbeats_missed += 1
            case ClientConnected():
                self.openings[event.outcome] += 1
                self.gaps["reset"] += event.outcome == "reset"
            case ClientDisconnected():
                self.closings[event.code] += 1
            case DeliveryRetried():
                self.retried += 1
            case DeliveryParked():
                self.parked += 1
            case DeliveryReplayed():
                self.replayed["sent"] += len(event.positions)
            case DeliveryReplayAcknowledged():
                self.replayed["acknowledged"] += len(event.positions)
            case DeviceExpired():
                self.devices_expired += 1
                self.skipped += event.count
                self.gaps["device_expired"] += event.count > 0
            case QueueTrimmed():
                self.skipped += event.count
                self.gaps[event.reason] += event.reason != "reset"  # its session says so, too
            case _:
                pass

    def _measure(self, until: int, now_us: int) -> None:
        # The ack of a device that caught up is no measure of delivery, and not remembered here.
        if (committed_at := self.committed_from(until)) is not None:
            self.ack_seconds.observe(max(0, now_us - committed_at) / 1_000_000)

    def committed_from(self, position: int) -> int | None:
        """When the event at a position, or the first for members after it, was committed.

        None where that is not remembered: it was long ago, or never.
        """
        at = bisect_left(self._commits, position)
        if at == len(self._commits) or position < self._commits[0]:
            return None
        return self._times[at]

    def waiting_since(self, position: int) -> int | None:
        """When the oldest event beyond a position came; of old ones, the oldest remembered."""
        if self._commits and position < self._commits[0]:
            return self._times[0]
        return self.committed_from(position + 1)
