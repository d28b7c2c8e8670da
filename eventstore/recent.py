"""The newest events as they were committed, for who follows the log closely.

A cache of the log, never a second truth, like the tail, which holds what members see and how they
see it; this holds all events, as :meth:`EventLog.read` gives them. Without it the projections would
fetch from the disk, as JSON, what was in memory a tenth of a second ago.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from itertools import islice

from eventstore.compaction import BEATS
from eventstore.erasure import without_data
from eventstore.events import RecordedEvent


class Recent:
    """All events above position ``since``, in order; bounded by events and by bytes of data."""

    def __init__(self, since: int, *, events_max: int, bytes_max: int) -> None:
        self._events: deque[RecordedEvent] = deque()
        self._events_max = events_max
        self._bytes_max = bytes_max
        self._bytes = 0
        self.since = since

    def extend(self, events: Sequence[RecordedEvent]) -> None:
        """Take newly committed events, in order; the oldest leave when it is over a bound."""
        for event in events:
            self._events.append(event)
            self._bytes += _size(event)
        while len(self._events) > self._events_max or self._bytes > self._bytes_max:
            oldest = self._events.popleft()
            self._bytes -= _size(oldest)
            self.since = oldest.position

    def erase(self, positions: Collection[int]) -> None:
        """Hold these events without their data."""
        for position in positions:
            index = position - self.since - 1
            if 0 <= index < len(self._events):
                self._bytes -= _size(self._events[index])
                self._events[index] = without_data(self._events[index])

    def compact(self, after: int, until: int) -> None:
        """Hold the heartbeats with ``after`` < position <= ``until`` without their data."""
        start, end = max(0, after - self.since), max(0, until - self.since)
        beats = [each.position for each in islice(self._events, start, end) if each.type in BEATS]
        self.erase(beats)

    def read(
        self,
        after: int,
        until: int,
        limit: int,
        bytes_max: int,
        *,
        streams: Collection[str] | None = None,
        types: Collection[str] | None = None,
    ) -> list[RecordedEvent] | None:
        """Events with ``after`` < position <= ``until``; None if older ones are missing here.

        Of these streams and types, or of all. At most ``limit``, and ``bytes_max`` bytes of data,
        but one event always fits.
        """
        if after < self.since:
            return None
        page: list[RecordedEvent] = []
        size = 0
        start = after - self.since  # positions have no gaps
        for event in islice(self._events, start, start + until - after):
            if streams is not None and event.stream not in streams:
                continue
            if types is not None and event.type not in types:
                continue
            if size >= bytes_max or len(page) >= limit:
                break
            page.append(event)
            size += _size(event)
        return page


def _size(event: RecordedEvent) -> int:
    return len(event.data or b"")
