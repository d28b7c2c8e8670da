"""The WebSocket endpoint: who may knock, ``hello``, and then bytes between socket and session.

Two ways, one behaviour. Under our own server (:mod:`transport.server`) the socket is taken over and
this coroutine ends with ``hello``; under any other ASGI server it stays and moves the frames.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from contextlib import suppress
from typing import Any

from eventstore.log import LogUnavailable
from transport.connection import Admit, Connection, Refused
from transport.direct import CLOSING_S, DIRECT, WRITE_HIGH_WATER_BYTES, TakeOver
from transport.doorkeeper import BY_CODE, Refusal
from transport.frames import (
    FRAME_BYTES_MAX,
    HELLO_BYTES_MAX,
    SUBPROTOCOL,
    Bye,
    CloseCode,
    FrameError,
    Hello,
    decode_client_frame,
    encode_frame,
)
from transport.hub import Hub
from transport.opening import AckFloor, Opening
from transport.origin import OriginList
from transport.page import Packet

logger = logging.getLogger(__name__)

HELLO_S = 5.0
_TOO_BIG = 1009
_NO_STATUS = 1005

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class _Gone(Exception):
    """The peer left before it said hello."""


class WebSocketEndpoint:
    """The ASGI application behind ``/v1/ws``."""

    def __init__(
        self, hub: Hub, *, admit: Admit, ack_floor: AckFloor, allowed_origins: Iterable[str]
    ) -> None:
        self._hub = hub
        self._admit = admit
        self._ack_floor = ack_floor
        self._origins = OriginList(allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if not self._origins.allows(_headers(scope, b"origin")):
            logger.warning("a WebSocket from a foreign origin was refused")
            self._hub.doors.refused(Refusal.ORIGIN)
            await send({"type": "websocket.close"})  # before accepting: the server answers 403
            return
        offered = scope.get("subprotocols") or [SUBPROTOCOL]
        agreed = SUBPROTOCOL if SUBPROTOCOL in offered and scope.get("subprotocols") else None
        await receive()  # websocket.connect
        await send({"type": "websocket.accept", "subprotocol": agreed})
        try:
            _check_version(offered)
            with self._hub.doors.stranger(_address(scope)):
                opening = await self._opening(receive)
        except _Gone:
            return
        except (Refused, FrameError) as refusal:
            if (counted := BY_CODE.get(refusal.code)) is not None:
                self._hub.doors.refused(counted)
            await _refuse(send, refusal.code, refusal.reason)
        except LogUnavailable as error:
            wait_ms = int(error.retry_after_s * 1000)
            await _refuse(send, CloseCode.OVERLOADED, "the log is not available", wait_ms)
        else:
            await self._serve(opening, scope, receive, send)

    async def _opening(self, receive: Receive) -> Opening:
        return await self._hub.prepare(
            await _hello(receive), admit=self._admit, ack_floor=self._ack_floor
        )

    async def _serve(self, opening: Opening, scope: Scope, receive: Receive, send: Send) -> None:
        address = _address(scope)
        take_over: TakeOver | None = (scope.get("extensions") or {}).get(DIRECT)
        direct = take_over() if take_over is not None else None
        if direct is not None:
            direct.attach(self._hub.open(opening, direct, address))
            return
        channel = AsgiChannel(send)
        connection = self._hub.open(opening, channel, address)
        await channel.run(connection, receive)


def websocket_endpoint(
    hub: Hub, *, admit: Admit, ack_floor: AckFloor, allowed_origins: Iterable[str] = ()
) -> WebSocketEndpoint:
    """The endpoint for ``WebSocketRoute("/v1/ws", …)``.

    ``allowed_origins`` are exact (``https://inbox.example``); raises ValueError for one that is
    none. A request without ``Origin`` is not a browser's, and its token decides.
    """
    return WebSocketEndpoint(hub, admit=admit, ack_floor=ack_floor, allowed_origins=allowed_origins)


def _address(scope: Scope) -> str | None:
    return scope["client"][0] if scope.get("client") else None


def _headers(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]


def _check_version(offered: Sequence[str]) -> None:
    """A close code says more than a failed handshake, which a browser shows to nobody."""
    if SUBPROTOCOL not in offered:
        raise Refused(CloseCode.VERSION_NOT_SUPPORTED, f"this server speaks {SUBPROTOCOL}")


async def _hello(receive: Receive) -> Hello:
    """The first frame, which has to come soon and to be small: nobody knows the peer yet."""
    try:
        async with asyncio.timeout(HELLO_S):
            message = await receive()
    except TimeoutError:
        raise FrameError("no hello within 5 s", CloseCode.STALLED) from None
    if message["type"] == "websocket.disconnect":
        raise _Gone
    text = message.get("text")
    if text is None:
        raise FrameError("frames are text")
    raw = text.encode()
    if len(raw) > HELLO_BYTES_MAX:
        raise FrameError("hello is 4 KiB at most")
    frame = decode_client_frame(raw)
    if not isinstance(frame, Hello):
        raise FrameError("the first frame is hello")
    return frame


async def _refuse(send: Send, code: int, reason: str, retry_after_ms: int | None = None) -> None:
    bye = encode_frame(Bye(code, reason, retry_after_ms)).decode()
    with suppress(OSError):  # Starlette's and uvicorn's name for a peer that has left
        await send({"type": "websocket.send", "text": bye})
        await send({"type": "websocket.close", "code": int(code), "reason": reason})


class AsgiChannel:
    """A :class:`~transport.connection.Channel` over an ASGI server's ``send``.

    What it holds for a slow peer is bounded, because it is not :attr:`writable` above 64 KiB.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._packets: list[Packet] = []
        self._bytes = 0
        self._wanted = asyncio.Event()
        self._ending = asyncio.Event()
        self._close: tuple[int, str] | None = None
        self._aborted = False

    @property
    def writable(self) -> bool:
        """False while more than the high-water mark waits."""
        return self._bytes <= WRITE_HIGH_WATER_BYTES

    def send(self, packets: Sequence[Packet]) -> None:
        """Take frames; the writer sends them."""
        self._packets += packets
        self._bytes += sum(len(packet.text) for packet in packets)
        self._wanted.set()

    def close(self, code: int, reason: str) -> None:
        """Close after what was sent before, if the peer takes that soon."""
        self._close = (code, reason)
        self._wanted.set()
        self._ending.set()

    def abort(self) -> None:
        """End the application's part; the socket is the server's to drop."""
        self._aborted = True
        self._wanted.set()
        self._ending.set()

    async def run(self, connection: Connection, receive: Receive) -> None:
        """Move frames both ways until the connection ends, or a little after we closed it.

        The end does not wait for the writer: a peer that takes nothing holds it for ever, and then
        what waits for somebody whose access was withdrawn would be sent whenever they read on.
        """
        reader = asyncio.create_task(self._read(connection, receive))
        writer = asyncio.create_task(self._write(connection))
        ending = asyncio.create_task(self._ending.wait())
        try:
            await asyncio.wait({reader, writer, ending}, return_when=asyncio.FIRST_COMPLETED)
            if not self._aborted:
                await asyncio.wait({reader}, timeout=CLOSING_S)
        finally:
            ending.cancel()
            reader.cancel()
            writer.cancel()
            ends = await asyncio.gather(reader, writer, return_exceptions=True)
            connection.lost(CloseCode.ABNORMAL, "connection lost")
        for end in ends:
            if isinstance(end, Exception) and not isinstance(end, OSError):
                raise end

    async def _read(self, connection: Connection, receive: Receive) -> None:
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                code, reason = message.get("code") or _NO_STATUS, message.get("reason") or ""
                connection.lost(code, reason)
                return
            text = message.get("text")
            if text is None:
                connection.close(CloseCode.BAD_FRAME, "frames are text")
            elif len(raw := text.encode()) > FRAME_BYTES_MAX:
                connection.close(_TOO_BIG, "a frame is 64 KiB at most")
            else:
                connection.received(raw)

    async def _write(self, connection: Connection) -> None:
        while not self._aborted:
            await self._wanted.wait()
            self._wanted.clear()
            while self._packets and not self._aborted:
                packets, self._packets = self._packets, []
                for packet in packets:
                    await self._send({"type": "websocket.send", "text": packet.text.decode()})
                    self._bytes -= len(packet.text)
                connection.drained()
            if self._close is not None:
                code, reason = self._close
                await self._send({"type": "websocket.close", "code": int(code), "reason": reason})
                return
