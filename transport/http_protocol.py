"""uvicorn's HTTP protocol with deadlines, for requests and for peers that do not read."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from transport.direct import CLOSING_S, STALL_S
from transport.turnstile import Turnstile

REQUEST_S = 10.0
IDLE_S = 10
HEAD_BYTES_MAX = 64 * 1024


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's HTTP with deadlines: a request has 10 s to arrive, and nobody idles for longer.

    At every moment a timer runs, unless the application is at work (security row 15); a peer that
    does not take its answer is aborted after 10 s.
    """

    def __init__(self, *args: Any, turnstile: Turnstile, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._turnstile = turnstile
        self._timer: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._arriving = False  # a request began and has not ended
        self._in_head = False
        self._head_bytes = 0

    # --- deadlines -----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """A peer connected; it has as long as an idle one to say something."""
        super().connection_made(transport)
        self._arm(IDLE_S)

    def on_message_begin(self) -> None:
        """The first byte of a request: the clock runs, whatever trickles in after it."""
        super().on_message_begin()
        self._arriving = self._in_head = True
        self._head_bytes = 0
        self._arm(REQUEST_S)

    def on_headers_complete(self) -> None:
        """The head is in; the body has what is left of the time."""
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is in; how long the answer takes is the application's affair."""
        self._arriving = False
        super().on_message_complete()
        if self.cycle is None or not self.cycle.response_complete:
            self._disarm()
        else:
            self._arm(IDLE_S)

    def on_response_complete(self) -> None:
        """The answer is out: idle again, unless the next request has begun."""
        super().on_response_complete()
        if not self._arriving and not self.pipeline:
            self._arm(IDLE_S)

    def _arm(self, timeout_s: float) -> None:
        self._disarm()
        self._timer = self.loop.call_later(timeout_s, self._too_late)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_late(self) -> None:
        if self.transport.is_closing():
            self.transport.abort()
            return
        if self._arriving:
            self._answer(b"408 Request Timeout")
        self.transport.close()
        self._arm(CLOSING_S)

    def _answer(self, status: bytes) -> None:
        """Say why we close, unless another answer is half out."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete or not cycle.response_started:
            self.transport.write(
                b"HTTP/1.1 %b\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status
            )

    def data_received(self, data: bytes) -> None:
        """Bytes came. The parser has no bound of its own for a head that never ends."""
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
                self._answer(b"431 Request Header Fields Too Large")
                self.transport.close()
                self._arm(CLOSING_S)

    # --- peers that do not read ----------------------------------------------------------------

    def pause_writing(self) -> None:
        """The peer takes less than it is sent."""
        super().pause_writing()
        self._stalled = self.loop.call_later(STALL_S, self.transport.abort)

    def resume_writing(self) -> None:
        """The buffer has drained."""
        super().resume_writing()
        self._no_longer_stalled()

    def _no_longer_stalled(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self._disarm()
        self._no_longer_stalled()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        """When it is its turn, hand the socket to :class:`WebSocketProtocol`."""
        self._disarm()
        self._arriving = self._in_head = False
        self.transport.pause_reading()
        self._turnstile.enter(self._upgrade)

    def _upgrade(self) -> None:
        """Hand the socket over, and let go of what HTTP needed."""
        if not self.transport.is_closing():
            self.transport.resume_reading()
            super().handle_websocket_upgrade()
        # The parser and we hold each other: without this the collector has to find us.
        self.parser = self.scope = self.headers = self.flow = None  # type: ignore[assignment]
