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
    """A frame ready to go: its JSON text, and the WebSocket frame around it, made when asked."""

    __slots__ = ("_wire", "text")

    def __init__(self, text: bytes) -> None:
        self.text = text
        self._wire: bytes | None = None

    @classmethod
    def of(cls, frame: ClientFrame | ServerFrame) -> Packet:
        """Encode a frame that is for one session only."""
        return cls(encode_frame(frame))

    @property
    def wire(self) -> bytes:
        """The bytes for the socket; made once, however many sockets they go to."""
        if self._wire is None:
            self._wire = text_frame(self.text)
        return self._wire


class Extent:
    """Which events a page holds, without their bodies: what a session must remember of it.

    ``ends[i]`` is the size in bytes of the first ``i + 1`` bodies together.
    """

    __slots__ = ("cursors", "ends")

    def __init__(self, cursors: tuple[Cursor, ...], ends: tuple[int, ...]) -> None:
        self.cursors = cursors
        self.ends = ends


class Page:
    """Consecutive visible events after a cursor. Shared by sessions, so never changed."""

    __slots__ = ("_bodies", "_packets", "after", "extent")

    def __init__(self, after: Cursor, extent: Extent, bodies: tuple[bytes, ...]) -> None:
        self.after = after
        self.extent = extent
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

    @property
    def cursor(self) -> Cursor:
        """The last event's own cursor."""
        return self.extent.cursors[-1]

    def __len__(self) -> int:
        return len(self._bodies)

    @property
    def bytes(self) -> int:
        """The size of the bodies together."""
        return self.extent.ends[-1]

    def packet(self, attempt: int) -> Packet:
        """The ``events`` frame of this page; encoded once per attempt number."""
        if (packet := self._packets.get(attempt)) is None:
            text = encode_events(self.after, self.cursor, attempt, self._bodies)
            packet = self._packets[attempt] = Packet(text)
        return packet

    def fitting(self, events_max: int, bytes_max: int) -> Page | None:
        """The longest beginning of this page within both limits, None where nothing fits."""
        if len(self) <= events_max and self.bytes <= bytes_max:
            return self
        count = min(events_max, bisect_right(self.extent.ends, bytes_max))
        if count <= 0:
            return None
        extent = Extent(self.extent.cursors[:count], self.extent.ends[:count])
        return Page(self.after, extent, self._bodies[:count])
