"""Simulated sockets between the real client and the real endpoint.

Bytes arrive in order, after a delay, or not at all. A link may be cut (each side learns of it, or
only one), go half-open (what is sent vanishes, and nobody is told), or its client may stall (the
socket is open, and nobody reads). The server's side is the real DirectChannel over a transport of
ours, or the plain ASGI way, as a real server would be called.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from random import Random
from typing import Any

from tests.simulation.pipes import CLOSE, TEXT, Pipe, frames, masked
from tests.simulation.process import Process
from transport.arrivals import Arrivals
from transport.client_socket import LinkEnded
from transport.direct import DIRECT, DirectChannel
from transport.frames import FRAME_BYTES_MAX, CloseCode
from transport.link_end import LinkEnd
from transport.wire import FrameSplitter


class Link:
    """One connection, both ends; ``watch`` is told of each frame as the server sends and gets it.

    ``code`` is how it ended for the client, None while it has not.
    """

    def __init__(
        self, number: int, who: str, loop: asyncio.AbstractEventLoop, rng: Random,
        client: Process, server: Process, watch: Any, high_water: int,
    ) -> None:  # fmt: skip
        self.number = number
        self.who = who
        self.loop = loop
        self.watch = watch
        self.high_water = high_water
        self._rng = rng
        self._latency_s = rng.choice((0.001, 0.02, 0.2))
        self.client = ClientEnd(self, client)
        self.server = ServerEnd(self, server)
        taken = self.server.make_room
        self.up = Pipe(loop, self.delay_s, server, self.server.got, taken)
        self.down = Pipe(loop, self.delay_s, client, self.client.got, taken)
        self.faulty = False
        self.lossy = False
        self.stalled = False

    def delay_s(self) -> float:
        """How long the next frame takes."""
        return self._latency_s * (0.5 + self._rng.random())

    @property
    def open(self) -> bool:
        """Whether either end still holds it."""
        return not (self.client.ended and self.server.ended)

    # --- faults --------------------------------------------------------------------------------

    def cut(self, *, client_told: bool = True, server_told: bool = True) -> None:
        """The connection is reset; who is told notices after a while."""
        self.up.break_()
        self.down.break_()
        if client_told:
            self.loop.call_later(
                self.delay_s(),
                self.client.end,
                LinkEnd(reason="reset"),
                context=self.client.context,
            )
        if server_told:
            self.loop.call_later(
                self.delay_s(), self.server.lose, context=self.server.process.context
            )

    def go_half_open(self, *, up: bool, down: bool) -> None:
        """From now on bytes vanish, one way or both."""
        self.faulty = self.lossy = True
        self.up.vanishing |= up
        self.down.vanishing |= down

    def stall(self) -> None:
        """The client's end reads no more, for now."""
        self.faulty = self.stalled = True
        self.down.held = True

    def swallow(self) -> None:
        """The next events are lost on their way."""
        self.faulty = self.lossy = self.down.swallowing = True

    def heal(self) -> None:
        """The network is well again: a link that lost bytes is reset, one that stalled goes on."""
        if self.lossy or self.up.broken:
            self.cut(client_told=not self.client.ended, server_told=not self.server.ended)
        elif self.down.held:
            self.down.release()
        self.faulty = False


class ClientEnd:
    """The Python client's socket (:class:`transport.client_socket.Socket`)."""

    def __init__(self, link: Link, process: Process) -> None:
        self._link = link
        self._process = process
        self._inbound: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._end: LinkEnd | None = None
        self.accepted = link.loop.create_future()

    @property
    def context(self) -> Any:
        """Whose callbacks these are."""
        return self._process.context

    @property
    def ended(self) -> bool:
        """Whether this side knows that it is over."""
        return self._end is not None

    @property
    def lossy(self) -> bool:
        """Whether bytes of this link vanish: then there are gaps, and they are noticed."""
        return self._link.lossy

    @property
    def disturbed(self) -> bool:
        """Whether this link cannot be expected to bring an answer."""
        link = self._link
        return link.faulty or link.up.broken or not link.server.process.alive

    async def send(self, text: str) -> None:
        """Write a frame; raises LinkEnded."""
        if self._end is not None:
            raise LinkEnded(self._end)
        self._put(TEXT, text.encode())

    async def receive(self) -> bytes:
        """The next frame, or LinkEnded once all that came before the end was read."""
        while not self._inbound:
            if self._end is not None:
                raise LinkEnded(self._end)
            self._news.clear()
            await self._news.wait()
        return self._inbound.popleft()

    async def close(self) -> None:
        """Say goodbye; do not wait for the answer."""
        if self._end is None:
            self._put(CLOSE, (1000).to_bytes(2, "big"))
            self.end(LinkEnd(CloseCode.NORMAL, "closed"))

    def vanish(self) -> None:
        """The process died; the kernel resets the connection."""
        self._end = self._end or LinkEnd(reason="died")
        if not self._link.faulty:
            self._link.cut(client_told=False)

    def _put(self, opcode: int, payload: bytes) -> None:
        if self._process.alive:
            self._link.up.put((opcode, payload))

    def got(self, item: tuple[int, bytes]) -> None:
        """A frame arrived."""
        opcode, payload = item
        if not self.accepted.done():
            self._answered(opcode)
        elif opcode == CLOSE:
            code, reason = int.from_bytes(payload[:2], "big"), payload[2:].decode()
            if self._end is None:
                self._put(CLOSE, payload[:2])
                self.end(LinkEnd(code, reason))
        elif self._end is None:
            self._inbound.append(payload)
            self._news.set()

    def _answered(self, opcode: int) -> None:
        if opcode == CLOSE:
            self._end = LinkEnd(reason="refused", status=403)
            self.accepted.set_exception(LinkEnded(self._end))
        else:
            self.accepted.set_result(None)

    def end(self, end: LinkEnd) -> None:
        """It is over, for this side."""
        if self._end is None:
            self._end = end
            self._news.set()
            if not self.accepted.done():
                self.accepted.set_exception(LinkEnded(end))


class ServerEnd(asyncio.Transport):
    """The server's socket: an asyncio transport for DirectChannel, and ASGI before and without it.

    Masks are zeros: they are not what is simulated here.
    """

    def __init__(self, link: Link, process: Process) -> None:
        super().__init__()
        self.process = process
        self._link = link
        self._channel: DirectChannel | None = None
        self._messages: deque[dict[str, Any]] = deque([{"type": "websocket.connect"}])
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self.ended = False

    # --- ASGI ----------------------------------------------------------------------------------

    async def serve(self, endpoint: Any, arrivals: Arrivals | None) -> None:
        """Call the endpoint, as a server does for one connection; ours has ``arrivals``."""
        extensions = {} if arrivals is None else {DIRECT: partial(self._take_over, arrivals)}
        scope = {
            "type": "websocket", "headers": [], "subprotocols": ["malote.v1"],
            "client": ("10.0.0.1", 1), "extensions": extensions,
        }  # fmt: skip
        await endpoint(scope, self._receive, self._send)
        if self._channel is None:
            self.lose()
            self._link.down.put((CLOSE, (1006).to_bytes(2, "big") + b"gone"))

    def _take_over(self, arrivals: Arrivals) -> DirectChannel | None:
        if self.ended:
            return None
        splitter = FrameSplitter(FRAME_BYTES_MAX)
        self._channel = DirectChannel(self, set(), self._link.loop, splitter, arrivals)
        early, self._messages = self._messages, deque()
        for message in early:  # what came before the hub was ready for it
            self._link.loop.call_soon(self._pass_on, TEXT, message["text"].encode())
        return self._channel

    async def _receive(self) -> dict[str, Any]:
        while not self._messages:
            self._news.clear()
            await self._news.wait()
        return self._messages.popleft()

    async def _send(self, message: dict[str, Any]) -> None:
        await self._room.wait()
        if self.ended:
            raise OSError("the peer has left")
        match message["type"]:
            case "websocket.accept":
                self._link.down.put((TEXT, b""))
            case "websocket.send":
                self._frame(TEXT, message["text"].encode())
            case "websocket.close":
                reason = message.get("reason", "").encode()
                self._frame(CLOSE, int(message.get("code", 1000)).to_bytes(2, "big") + reason)

    # --- the transport of a DirectChannel ------------------------------------------------------

    def write(self, data: Any) -> None:
        """Send whole frames."""
        if not self.ended:
            for opcode, payload in frames(bytes(data)):
                self._frame(opcode, payload)

    def abort(self) -> None:
        """Reset the connection; the channel hears of it in the next turn."""
        if not self.ended and self.process.alive:
            if not self._link.down.vanishing:
                self._link.cut(server_told=False)
            self._link.loop.call_soon(self.lose, context=self.process.context)

    def close(self) -> None:
        """Close after what was written."""
        self._link.loop.call_soon(self.lose, context=self.process.context)

    def _frame(self, opcode: int, payload: bytes) -> None:
        if not self.process.alive:
            return
        if opcode == TEXT:
            self._link.watch.server_sent(self._link, payload)
        self._link.down.put((opcode, payload), len(payload))
        if self._link.down.bytes > self._link.high_water and self._room.is_set():
            self._room.clear()
            if self._channel is not None:
                self._link.loop.call_soon(self._pause, self._channel, context=self.process.context)

    def _pause(self, channel: DirectChannel) -> None:
        if self.process.alive and not self.ended and not self._room.is_set():
            channel.pause_writing()

    def make_room(self) -> None:
        """The peer has taken something."""
        if not self._room.is_set():
            self._link.loop.call_soon(self._relieved, context=self.process.context)

    def _relieved(self) -> None:
        if not self._room.is_set() and self._link.down.bytes <= self._link.high_water:
            paused = self._channel is not None and not self._channel.writable
            self._room.set()
            if paused and self._channel is not None and self.process.alive and not self.ended:
                self._channel.resume_writing()

    # --- what arrives --------------------------------------------------------------------------

    def got(self, item: tuple[int, bytes]) -> None:
        """A frame arrived from the client."""
        opcode, payload = item
        if self.ended:
            return
        if opcode == TEXT:
            self._link.watch.server_got(self._link, payload)
        self._pass_on(opcode, payload)

    def _pass_on(self, opcode: int, payload: bytes) -> None:
        if self.ended or not self.process.alive:
            return
        if self._channel is not None:
            self._channel.data_received(masked(opcode, payload))
        elif opcode == TEXT:
            self._tell({"type": "websocket.receive", "text": payload.decode()})
        else:
            self.ended = True
            self._tell({"type": "websocket.disconnect", "code": int.from_bytes(payload, "big")})

    def _tell(self, message: dict[str, Any]) -> None:
        self._messages.append(message)
        self._news.set()

    def lose(self) -> None:
        """The socket is gone."""
        if self.ended or not self.process.alive:
            return
        self.ended = True
        self._room.set()
        if self._channel is not None:
            self._channel.connection_lost(None)
        else:
            self._tell({"type": "websocket.disconnect", "code": 1006})
