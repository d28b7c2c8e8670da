"""uvicorn's WebSocket protocol: the handshake, and plain ASGI for whoever wants it."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, cast

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request
from websockets.protocol import CONNECTING, OPEN

from transport.arrivals import Arrivals
from transport.direct import CLOSING_S, DIRECT, FRAGMENTS_MAX, STALL_S, DirectChannel, quiet
from transport.frames import FRAME_BYTES_MAX, CloseCode
from transport.wire import FrameSplitter

logger = logging.getLogger(__name__)

_INVALID_UTF8 = 1007


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket until the session starts; then :class:`DirectChannel` takes over.

    An ASGI application that asks for nothing special is served as by uvicorn, except that peers who
    stall, fragment without end or send what is not UTF-8 are dealt with.
    """

    def __init__(self, *args: Any, arrivals: Arrivals, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._arrivals = arrivals
        # At DEBUG websockets logs whole frames, and the first of them is a token.
        self.conn.logger, self.conn.debug = quiet, False
        self.close_timeout = CLOSING_S
        self._splitter = FrameSplitter(FRAME_BYTES_MAX)
        self._taken = False
        self._stalled: asyncio.TimerHandle | None = None

    # --- the handshake -------------------------------------------------------------------------

    def handle_connect(self, event: Request) -> None:
        """Begin the handshake; nothing more is read until the application has accepted."""
        limit = self.config.limit_concurrency
        if limit is not None and len(self.connections) > limit:
            self._refuse_for_lack_of_room()
            return
        super().handle_connect(event)
        if not self.close_sent:
            self.transport.pause_reading()

    def _refuse_for_lack_of_room(self) -> None:
        self.conn.send_response(self.conn.reject(503, "Too many connections\n"))
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.handshake_complete = self.close_sent = True
        self.transport.close()

    async def run_asgi(self) -> None:
        """Run the application; if it took the connection over, its end is not the socket's."""
        extensions: dict[str, Any] = self.scope["extensions"]
        extensions[DIRECT] = self._take_over
        try:
            await self.app(self.scope, self.receive, self.send)
        except ClientDisconnected:
            pass
        except Exception:
            logger.exception("the application failed on a WebSocket")
        if self._taken:
            self.scope.clear()  # type: ignore[attr-defined]  # it holds us, and we hold it
            return
        if not self.handshake_complete:
            self.send_500_response()
        if self.close_timer is None:
            self.transport.close()
            self._abort_later()

    def _take_over(self) -> DirectChannel | None:
        """Give the socket to a direct channel; None when a message is half in already."""
        clean = self.queue.empty() and self.conn.current_size is None and self.writable.is_set()
        if not clean or self.conn.state is not OPEN or self.transport.is_closing():
            return None
        channel = DirectChannel(
            self.transport, self.connections, self.loop, self._splitter, self._arrivals
        )
        self.connections.discard(self)
        self.connections.add(cast(Any, channel))
        self.transport.set_protocol(channel)
        self._taken = True
        return channel

    # --- the plain ASGI way --------------------------------------------------------------------

    async def send(self, message: Any) -> None:
        """As uvicorn's; the peer may speak once it was accepted, and has 2 s to say goodbye."""
        await super().send(message)
        if message["type"] == "websocket.accept" and not self.transport.is_closing():
            self.transport.resume_reading()
        elif message["type"] == "websocket.close":
            self._abort_later()

    async def receive(self) -> Any:
        """As uvicorn's; then what came in the same breath as the last message."""
        message = await super().receive()
        if not self._taken and not self.disconnected:
            self.data_received(b"")
        return message

    def data_received(self, data: bytes) -> None:
        """Bytes came. One message at a time: what is not taken yet stays unread."""
        if self.conn.state is CONNECTING:
            super().data_received(data)
            return
        frames = self._splitter.split(data, 0 if self.read_paused else 1)
        while frames:
            super().data_received(frames[0])
            frames = self._splitter.split(b"", 0 if self.read_paused else 1)

    def send_receive_event_to_app(self) -> None:
        """Hand a message on, if it is what it says it is."""
        if self.curr_msg_data_type == "text" and not _is_utf8(self.frames):
            self._fail(_INVALID_UTF8, "not UTF-8")
        else:
            super().send_receive_event_to_app()

    def handle_cont(self, event: Frame) -> None:
        """Take a fragment, of which empty ones would cost the peer nothing and us memory."""
        if len(self.frames) >= FRAGMENTS_MAX:
            self._fail(CloseCode.BAD_FRAME, "too many fragments")
        else:
            super().handle_cont(event)

    def _fail(self, code: int, reason: str) -> None:
        if not self.close_sent:
            self.conn.fail(code, reason)
            self.handle_parser_exception()

    def handle_parser_exception(self) -> None:
        """Close, and do not wait for ever until that has arrived."""
        super().handle_parser_exception()
        self._abort_later()

    # --- peers that do not read ----------------------------------------------------------------

    def pause_writing(self) -> None:
        """The peer takes less than it is sent."""
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.loop.call_later(STALL_S, self.transport.abort)

    def resume_writing(self) -> None:
        """The buffer has drained."""
        super().resume_writing()
        if not self.close_sent:
            self._no_longer_stalled()

    def _abort_later(self) -> None:
        self._no_longer_stalled()
        self._stalled = self.loop.call_later(CLOSING_S, self.transport.abort)

    def _no_longer_stalled(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        super().connection_lost(exc)
        self._no_longer_stalled()

    def shutdown(self) -> None:
        """The server stops; uvicorn's own goodbye, and an end of patience."""
        super().shutdown()
        self._abort_later()


def _is_utf8(fragments: list[bytes]) -> bool:
    try:
        b"".join(fragments).decode()
    except UnicodeDecodeError:
        return False
    return True
