"""What a session sent and the device has not yet handled."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from eventstore.cursor import Cursor
from transport.page import Extent


def _position(cursor: Cursor) -> int:
    return cursor.position


class InFlight:
    """Sent events in order, oldest first, as extents of shared pages: no object per event."""

    __slots__ = ("_extents", "_first", "bytes", "events")

    def __init__(self) -> None:
        # A list and not a deque: an empty deque weighs 600 bytes, and most sessions are idle.
        self._extents: list[Extent] = []
        self._first = 0  # how many events of the oldest extent are gone already
        self.events = 0
        self.bytes = 0

    @property
    def first(self) -> Cursor | None:
        """The oldest event held."""
        return self._extents[0].cursors[self._first] if self._extents else None

    @property
    def last(self) -> Cursor | None:
        """The newest event held."""
        return self._extents[-1].cursors[-1] if self._extents else None

    def push(self, extent: Extent) -> None:
        """Remember that these events were sent after all the others."""
        self._extents.append(extent)
        self.events += len(extent.cursors)
        self.bytes += extent.ends[-1]

    def at(self, position: int) -> Cursor | None:
        """The cursor of the event held at exactly this position, None if there is none."""
        for number, extent in enumerate(self._extents):
            if extent.cursors[-1].position >= position:
                start = 0 if number else self._first
                cursor = extent.cursors[bisect_left(extent.cursors, position, start, key=_position)]
                return cursor if cursor.position == position else None
        return None

    def take_oldest(self, until: Cursor) -> int:
        """Let go of the oldest extent if it ends with just this cursor: how many events it had.

        0 where it does not. What nearly every ack asks for: pages are acknowledged as they came.
        """
        if not self._extents:
            return 0
        extent, first = self._extents[0], self._first
        if extent.last is not until:
            if extent.last != until:
                return 0
            extent.last = until  # a frame is read once for all who send it: one object from now on
        ends = extent.ends
        count, size = len(ends), ends[-1]
        if first:
            count -= first
            size -= ends[first - 1]
            self._first = 0
        self.events -= count
        self.bytes -= size
        del self._extents[0]
        return count

    def take_until(self, position: int) -> tuple[Cursor | None, int]:
        """Let go of all events up to ``position``: the last one's cursor, and how many went."""
        last: Cursor | None
        if self._extents and self._extents[-1].cursors[-1].position <= position:
            last, count = self._extents[-1].cursors[-1], self.events
            self._extents.clear()
            self._first = self.events = self.bytes = 0
            return last, count
        last = None
        before = self.events
        while self._extents and (cursor := self._take_from_oldest(position)) is not None:
            last = cursor
        return last, before - self.events

    def _take_from_oldest(self, position: int) -> Cursor | None:
        extent, start = self._extents[0], self._first
        cursors, ends = extent.cursors, extent.ends
        if cursors[-1].position <= position:
            self.take_oldest(cursors[-1])
            return cursors[-1]
        stop = bisect_right(cursors, position, start, key=_position)
        if stop == start:
            return None
        self.events -= stop - start
        self.bytes -= ends[stop - 1] - (ends[start - 1] if start else 0)
        self._first = stop
        return cursors[stop - 1]

    def put_before(self, later: InFlight) -> None:
        """Append all that ``later`` holds; it must not be used any more."""
        if later._extents and later._first:
            oldest, first = later._extents[0], later._first
            gone = oldest.ends[first - 1]
            rest = Extent(oldest.cursors[first:], tuple(end - gone for end in oldest.ends[first:]))
            later._extents[0] = rest
        self._extents += later._extents
        self.events += later.events
        self.bytes += later.bytes
