"""One direction of a link, and the frames that travel on it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from tests.simulation.process import Process
from transport.wire import text_frame

TEXT, CLOSE = 1, 8
_EXTENDED = {126: 2, 127: 8}


class Pipe:
    """One direction, to a process. ``held``: arrived, but not taken; ``vanishing``: never arrives.

    ``taken`` is called after each item that left it.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, delay_s: Callable[[], float], to: Process,
        deliver: Callable[[Any], None], taken: Callable[[], None],
    ) -> None:  # fmt: skip
        self._loop = loop
        self._delay_s = delay_s
        self._to = to
        self._deliver = deliver
        self._taken = taken
        self._items: deque[tuple[Any, int]] = deque()
        self._last_at = 0.0
        self._due = 0
        self.bytes = 0
        self.held = False
        self.vanishing = False
        self.swallowing = False
        self.broken = False

    def put(self, item: Any, size: int = 0) -> None:
        """Send; it arrives after all that was sent before."""
        if self.broken:
            return
        self.bytes += size
        if self.vanishing:
            return
        self._last_at = at = max(self._last_at, self._loop.time() + self._delay_s())
        self._items.append((item, size))
        self._loop.call_at(at, self._arrive, context=self._to.context)

    def _arrive(self) -> None:
        if self.held:
            self._due += 1
        elif self._items and not self.broken:
            item, size = self._items.popleft()
            self.bytes -= size
            if self.swallowing and b'"events"' in item[1]:
                self.swallowing = False
            elif self._to.alive:
                self._deliver(item)
            self._taken()

    def release(self) -> None:
        """Take what was held back."""
        self.held = False
        due, self._due = self._due, 0
        for _ in range(due):
            self._arrive()

    def break_(self) -> None:
        """What is under way is lost, and nothing more comes."""
        self.broken = True
        self._items.clear()


def frames(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The unmasked frames in these bytes."""
    start = 0
    while start < len(data):
        opcode, size = data[start] & 0x0F, data[start + 1] & 0x7F
        start += 2
        if width := _EXTENDED.get(size, 0):
            size = int.from_bytes(data[start : start + width], "big")
            start += width
        yield opcode, data[start : start + size]
        start += size


def masked(opcode: int, payload: bytes) -> bytes:
    """A client's frame."""
    unmasked = bytearray(text_frame(payload))
    header = len(unmasked) - len(payload)
    unmasked[0] = 0x80 | opcode
    unmasked[1] |= 0x80
    unmasked[header:header] = bytes(4)
    return bytes(unmasked)
