"""What came in with one turn of the event loop, handled together at its end.

A thousand clients acknowledge a message within milliseconds. Between two reads the kernel drives
from the processor's caches whatever handles an ack, and it took twice as long as in a row: handled
at once, all that a delivery costs was a tenth more.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

logger = logging.getLogger(__name__)

BYTES_MAX = 1024 * 1024


class Receiver(Protocol):
    """Whoever reads a socket."""

    def received(self, data: bytes) -> None:
        """Handle bytes, in the order in which they came."""

    def failed(self) -> None:
        """That raised something it should not have."""


class Arrivals:
    """Shared by the sockets of a loop. Beyond 1 MiB it does not wait for the turn's end."""

    __slots__ = ("_bytes", "_waiting")

    def __init__(self) -> None:
        self._waiting: list[tuple[Receiver, bytes]] = []
        self._bytes = 0

    def add(self, receiver: Receiver, data: bytes) -> None:
        """Have ``data`` handled before the loop waits for the kernel again."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.handle)
        self._waiting.append((receiver, data))
        self._bytes += len(data)
        if self._bytes > BYTES_MAX:
            self.handle()

    def handle(self) -> None:
        """Handle all that waits, now; a fault in one receiver is no other's."""
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        for receiver, data in waiting:
            try:
                receiver.received(data)
            except Exception:
                logger.exception("a connection failed")
                receiver.failed()
