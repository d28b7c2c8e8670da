"""A WebSocket connection without ASGI: bytes in, a plain call; ready frames, straight out.

:class:`DirectChannel` takes the transport over once the handshake and ``hello`` are done, and
everything they needed is let go. There is no queue, no task and no pausing per message. Short text
frames are read here; all other frames go, whole, to websockets' own parser.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from websockets.exceptions import InvalidState
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from transport.arrivals import Arrivals
from transport.connection import Connection
from transport.frames import FRAME_BYTES_MAX, CloseCode
from transport.page import Packet
from transport.wire import FrameSplitter, short_text

STALL_S = 10.0
CLOSING_S = 2.0
FRAGMENTS_MAX = 64
WRITE_HIGH_WATER_BYTES = 64 * 1024

quiet = logging.getLogger("malote.websocket")
"""For websockets, which logs every frame at DEBUG, tokens included (security row 38)."""
quiet.setLevel(logging.WARNING)


class DirectChannel(asyncio.Protocol):
    """The socket of one connection; a :class:`~transport.connection.Channel`.

    A peer that takes nothing for 10 s is aborted, and so is one that does not answer our close in
    2 s: uvicorn would wait for both as long as they like.
    """

    __slots__ = (
        "_arrivals", "_connection", "_connections", "_fragments", "_loop", "_odd", "_open",
        "_splitter", "_timer", "_transport", "writable",
    )  # fmt: skip

    def __init__(
        self,
        transport: asyncio.Transport,
        connections: set[Any],
        loop: asyncio.AbstractEventLoop,
        splitter: FrameSplitter,
        arrivals: Arrivals,
    ) -> None:
        self._transport = transport
        self._connections = connections
        self._arrivals = arrivals
        self._loop = loop
        self._splitter = splitter if splitter.held else None  # there while a frame is incomplete
        self._connection: Connection | None = None
        self._odd: ServerProtocol | None = None
        self._fragments: list[bytes] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._open = True
        self.writable = True

    def attach(self, connection: Connection) -> None:
        """Hand everything that comes in from now on to ``connection``."""
        self._connection = connection

    # --- the channel: outbound -----------------------------------------------------------------

    def send(self, packets: Sequence[Packet]) -> None:
        """Write ready frames, in one go."""
        if not self._open:
            return
        if len(packets) == 1:
            self._transport.write(packets[0].wire)
        else:
            self._transport.write(b"".join([packet.wire for packet in packets]))

    def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake; abort if it takes too long."""
        if not self._open:
            return
        with suppress(InvalidState):  # the peer was faster
            self._parser().send_close(code, reason)
        self._write_out()
        self._closing()

    def abort(self) -> None:
        """Drop the socket and whatever is buffered for it."""
        self._open = False
        self._transport.abort()

    def shutdown(self) -> None:
        """The server stops (called by uvicorn)."""
        if self._open and self._connection is not None:
            self._connection.restart()
        else:
            self.abort()

    def _closing(self) -> None:
        self._open = False
        self._arm(CLOSING_S)

    def _arm(self, timeout_s: float) -> None:
        self._disarm()
        self._timer = self._loop.call_later(timeout_s, self._give_up)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        if self._open and self._connection is not None:
            self._connection.lost(CloseCode.STALLED, "the peer takes nothing")
        self.abort()

    # --- the transport's calls -----------------------------------------------------------------

    def pause_writing(self) -> None:
        """The peer takes less than it is sent: from now it reads the log at its own pace."""
        self.writable = False
        if self._open:
            self._arm(STALL_S)

    def resume_writing(self) -> None:
        """The buffer has drained."""
        self.writable = True
        if self._open:
            self._disarm()
            if self._connection is not None:
                self._connection.drained()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The socket is gone, whoever ended it; what it said last still counts."""
        self._arrivals.handle()
        self._connections.discard(self)
        self._connection_lost("connection lost")

    def _connection_lost(self, reason: str) -> None:
        self._disarm()
        self._open = False
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.lost(CloseCode.ABNORMAL, reason)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self._arrivals.add(self, data)

    def failed(self) -> None:
        """What came could not be handled."""
        self._connection_lost("internal error")
        self._transport.abort()

    def received(self, data: bytes) -> None:
        """Handle what came: nearly always exactly one short text frame."""
        if self._splitter is None and (text := short_text(data)) is not None:
            if self._open and self._connection is not None and self._fragments is None:
                self._connection.received(text)  # written out here: it runs for every ack
            else:
                self._short_text(text)
            return
        for frame in self._split(data):
            text = short_text(frame)
            if text is None:
                self._odd_frame(frame)
            else:
                self._short_text(text)

    def _split(self, data: bytes) -> list[bytes]:
        splitter = self._splitter or FrameSplitter(FRAME_BYTES_MAX)
        frames = splitter.split(data)
        self._splitter = splitter if splitter.held else None
        return frames

    def _short_text(self, text: bytes) -> None:
        if self._fragments is not None:
            self._fail(CloseCode.BAD_FRAME, "a message within a message")
        elif self._open and self._connection is not None:
            self._connection.received(text)

    # --- frames that are not short texts -------------------------------------------------------

    def _parser(self) -> ServerProtocol:
        if self._odd is None:
            self._odd = ServerProtocol(state=OPEN, max_size=FRAME_BYTES_MAX, logger=quiet)
        return self._odd

    def _odd_frame(self, data: bytes) -> None:
        parser = self._parser()
        if parser.eof_sent or parser.parser_exc is not None:
            return  # all was said; what still comes is not read
        parser.receive_data(data)
        events = parser.events_received()
        if parser.parser_exc is not None:
            close = parser.close_sent
            self._ended(close.code if close else 1002, close.reason if close else "")
            return
        for event in events:
            assert isinstance(event, Frame)
            self._take(event, parser)
        self._write_out()

    def _take(self, frame: Frame, parser: ServerProtocol) -> None:
        match frame.opcode:
            case Opcode.TEXT:
                self._fragment(frame, [])
            case Opcode.CONT if self._fragments is not None:
                self._fragment(frame, self._fragments)
            case Opcode.BINARY:
                self._fail(CloseCode.BAD_FRAME, "frames are text")
            case Opcode.CLOSE:
                close = parser.close_rcvd or Close(1005, "")
                self._ended(close.code, close.reason)
            case _:  # pings are answered by the parser, unasked pongs mean nothing; both count
                if self._open and self._connection is not None:
                    self._connection.control_frame()

    def _fragment(self, frame: Frame, fragments: list[bytes]) -> None:
        fragments.append(bytes(frame.data))
        if len(fragments) > FRAGMENTS_MAX:
            self._fail(CloseCode.BAD_FRAME, "too many fragments")
        elif not frame.fin:
            self._fragments = fragments
        else:
            self._fragments = None
            if self._open and self._connection is not None:
                self._connection.received(b"".join(fragments))

    def _fail(self, code: int, reason: str) -> None:
        """The peer broke the protocol below the session's level."""
        if self._open and self._connection is not None:
            self._connection.close(code, reason)

    def _ended(self, code: int, reason: str) -> None:
        """The peer closed, or websockets' parser refused it."""
        self._write_out()
        self._closing()
        self._transport.close()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.lost(code, reason)

    def _write_out(self) -> None:
        if self._odd is not None:
            data = b"".join(self._odd.data_to_send())
            if data:
                self._transport.write(data)


TakeOver = Callable[[], DirectChannel | None]
"""Found in an ASGI scope's extensions under :data:`DIRECT`; None where ASGI has to go on."""
DIRECT = "malote.direct"
