"""What is read from the log for a session, encoded once for all sessions at the same cursor."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from eventstore.cursor import Cursor
from eventstore.tail import Visible
from transport.frames import ClientFrame, ServerFrame, encode_events, encode_frame
from transport.wire import text_frame

PAGE_EVENTS_MAX = 100
PAGE_BYTES_MAX = 64 * 1024


class Packet:
    """A frame ready to go: its JSON text, and the WebSocket frame around it, for all sockets."""

    __slots__ = ("text", "wire")

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.wire = text_frame(text)

    @classmethod
    def of(cls, frame: ClientFrame | ServerFrame) -> Packet:
        """Encode a frame that is for one session only."""
        return cls(encode_frame(frame))


class Extent:
    """Which events a page holds, without their bodies: what a session must remember of it.

    ``ends[i]`` is the size in bytes of the first ``i + 1`` bodies together. ``last`` equals the
    last cursor, and is any object that does.
    """

    __slots__ = ("cursors", "ends", "last")

    def __init__(self, cursors: tuple[Cursor, ...], ends: tuple[int, ...]) -> None:
        self.cursors = cursors
        self.ends = ends
        self.last = cursors[-1]


class Page:
    """Consecutive visible events that follow ``after``; ``cursor`` is the last one's own.

    ``events`` and ``bytes`` tell how many and how large. Shared by sessions, so never changed.
    """

    __slots__ = ("_bodies", "_packets", "after", "bytes", "cursor", "events", "extent")

    def __init__(self, after: Cursor, extent: Extent, bodies: tuple[bytes, ...]) -> None:
        self.after = after
        self.cursor = extent.cursors[-1]
        self.extent = extent
        self.events = len(bodies)
        self.bytes = extent.ends[-1]
        self._bodies = bodies
        self._packets: dict[int, Packet] = {}

    @classmethod
    def of(cls, after: Cursor, events: Sequence[Visible]) -> Page:
        """A page of the events that follow ``after``; at least one."""
        assert events
        assert events[0].position > after.position
        bodies = tuple(event.body for event in events)
        ends = tuple(accumulate(map(len, bodies)))
        return cls(after, Extent(tuple(event.cursor for event in events), ends), bodies)

    def packet(self, attempt: int) -> Packet:
        """The ``events`` frame of this page; encoded once per attempt number."""
        if (packet := self._packets.get(attempt)) is None:
            text = encode_events(self.after, self.cursor, attempt, self._bodies)
            packet = self._packets[attempt] = Packet(text)
        return packet

    def fitting(self, events_max: int, bytes_max: int) -> Page | None:
        """The longest beginning of this page within both limits, None where nothing fits."""
        if self.events <= events_max and self.bytes <= bytes_max:
            return self
        count = min(events_max, bisect_right(self.extent.ends, bytes_max))
        return self.beginning(count) if count > 0 else None

    def beginning(self, events: int) -> Page:
        """A page of the first ``events`` events of this one; at least one."""
        extent = Extent(self.extent.cursors[:events], self.extent.ends[:events])
        return Page(self.after, extent, self._bodies[:events])
