"""A small malote.v1 server on the ``websockets`` library, honest unless told otherwise.

It keeps a list of events in memory, sends what a client may have, counts its window, and notes what
it was told. Faults are asked for: cut links, refused handshakes, frames of a test's own making.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from eventstore.cursor import Cursor
from transport.frames import SUBPROTOCOL

PATIENCE_S = 20.0
TIME = "2026-11-22T14:02:11.123456Z"


def cursor(position: int, epoch: str = "e1") -> Cursor:
    """The cursor of a made-up history; its hash is as good as any."""
    return Cursor(epoch, position, f"{position * 2654435761 % 2**32:08x}")


def event(position: int, epoch: str = "e1", **data: Any) -> dict[str, Any]:
    """An event as it goes over the wire."""
    return {
        "position": position,
        "cursor": str(cursor(position, epoch)),
        "type": "message.received",
        "version": 1,
        "time": TIME,
        "inbox": "support",
        "conversation": "c_1",
        "data": data or {"message_id": f"m{position}"},
    }


def welcome(start: Cursor, outcome: str = "resumed", **changes: Any) -> dict[str, Any]:
    """A welcome that begins at ``start``."""
    return {
        "type": "welcome",
        "session": "s_1",
        "user": "ana",
        "device": "laptop",
        "epoch": start.epoch,
        "server_time": TIME,
        "heartbeat": {"interval_ms": 25_000, "timeout_ms": 10_000},
        "window": {"frames": 100, "bytes": 262_144},
        "resume": {"outcome": outcome, "reason": None, "cursor": str(start), "pending": 0},
    } | changes


def events(after: Cursor, *positions: int, attempt: int = 1) -> dict[str, Any]:
    """An ``events`` frame of these positions, of the history that ``after`` belongs to."""
    return {
        "type": "events",
        "after": str(after),
        "cursor": str(cursor(positions[-1], after.epoch)),
        "attempt": attempt,
        "events": [event(position, after.epoch) for position in positions],
    }


def live(at: Cursor) -> dict[str, Any]:
    """The frame that says: caught up."""
    return {"type": "live", "cursor": str(at), "time": TIME}


class Peer:
    """The server's end of one connection."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.last_sent = cursor(0)
        self.in_flight: list[int] = []
        self.window = 100
        self.is_live = False

    async def send(self, frame: dict[str, Any]) -> None:
        """Write one frame, if anyone is there."""
        with contextlib.suppress(ConnectionClosed):
            await self.socket.send(json.dumps(frame))


class FakeServer:
    """See the top of the file. ``positions`` are the events that exist; the rest is a record."""

    def __init__(self) -> None:
        self.epoch = "e1"
        self.head = 0
        self.hellos: list[dict[str, Any]] = []
        self.acks: list[int] = []
        self.pongs: list[int] = []
        self.refreshed: list[str] = []
        self.put_aside: list[tuple[int, str]] = []
        self.replay_acks: list[tuple[int, list[int]]] = []
        self.closed: list[int | None] = []
        self.origins: list[str | None] = []
        self.refuse: Callable[[Request], tuple[int, dict[str, str]] | None] = lambda _: None
        self.on_hello: Callable[[Peer, dict[str, Any]], Any] | None = None
        self.page = 10
        self.expires_in_ms: int | None = None
        self._peers: list[Peer] = []
        self._moved = asyncio.Event()
        self._server: Server | None = None
        self.port = 0

    # --- life ----------------------------------------------------------------------------------

    async def start(self, port: int = 0) -> None:
        """Listen on loopback; on a free port unless one is given."""
        self._server = await serve(
            self._converse,
            "127.0.0.1",
            port,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            process_request=self._judge,
            compression=None,
            close_timeout=1,
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def stop(self) -> None:
        """Go away: 1001 to whoever is connected."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        """Where to connect."""
        return f"http://127.0.0.1:{self.port}"

    # --- what a test does to it ----------------------------------------------------------------

    async def commit(self, count: int = 1) -> None:
        """So many new events exist; whoever is connected gets them."""
        self.head += count
        for peer in self._peers:
            await self._deliver(peer)

    async def broadcast(self, frame: dict[str, Any]) -> None:
        """Send this frame to whoever is connected, honest or not."""
        for peer in list(self._peers):
            await peer.send(frame)

    async def cut(self, code: int = 1012, reason: str = "") -> None:
        """Close all connections with this code."""
        for peer in list(self._peers):
            await peer.socket.close(code, reason)

    def tear(self) -> None:
        """Reset all connections without a close."""
        for peer in list(self._peers):
            peer.socket.transport.abort()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something this server notes down."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._moved.clear()
                await self._moved.wait()

    # --- what it does --------------------------------------------------------------------------

    def _judge(self, connection: ServerConnection, request: Request) -> Response | None:
        self.origins.append(request.headers.get("Origin"))
        refusal = self.refuse(request)
        if refusal is None:
            return None
        status, headers = refusal
        response = connection.respond(status, "no\n")
        response.headers.update(headers)
        return response

    async def _converse(self, socket: ServerConnection) -> None:
        peer = Peer(socket)
        self._peers.append(peer)
        try:
            async for frame in _frames(socket):
                await self._take(peer, frame)
                self._moved.set()
        finally:
            self._peers.remove(peer)
            self.closed.append(socket.close_code)
            self._moved.set()

    async def _take(self, peer: Peer, frame: dict[str, Any]) -> None:
        match frame["type"]:
            case "hello":
                self.hellos.append(frame)
                if self.on_hello is None:
                    await self.greet(peer, frame)
                else:
                    await self.on_hello(peer, frame)
            case "ack":
                position = Cursor.parse(frame["cursor"]).position
                self.acks.append(position)
                peer.in_flight = [p for p in peer.in_flight if p > position]
                await self._deliver(peer)
            case "nack":
                self.put_aside.append((frame["position"], frame["reason"]))
            case "replay_ack":
                self.replay_acks.append((frame["request"], frame["positions"]))
            case "pong":
                self.pongs.append(frame["id"])
            case "refresh":
                self.refreshed.append(frame["token"])
                await peer.send({"type": "refreshed", "expires_in_ms": self.expires_in_ms})

    async def greet(self, peer: Peer, hello: dict[str, Any]) -> None:
        """Welcome a client and send what it has not got."""
        peer.window = hello["window"]["frames"]
        start = cursor(self.acks[-1] if self.acks else 0, self.epoch)
        if hello["cursor"] is not None:
            start = Cursor.parse(hello["cursor"])
        if start.epoch == self.epoch:
            await peer.send(welcome(start, expires_in_ms=self.expires_in_ms))
        else:
            start = cursor(self.head, self.epoch)
            resume = {"reason": "epoch_changed", "cursor": str(start), "pending": 0}
            await peer.send(welcome(start, resume={"outcome": "reset", **resume}))
        peer.last_sent = start
        await self._deliver(peer)

    async def _deliver(self, peer: Peer) -> None:
        while (room := peer.window - len(peer.in_flight)) > 0:
            first = peer.last_sent.position + 1
            positions = range(first, min(self.head, first + min(room, self.page) - 1) + 1)
            if not positions:
                break
            after, peer.last_sent = peer.last_sent, cursor(positions[-1], self.epoch)
            peer.in_flight += positions
            await peer.send(events(after, *positions))
        if not peer.is_live and peer.last_sent.position >= self.head:
            peer.is_live = True
            await peer.send(live(peer.last_sent))


async def _frames(socket: ServerConnection) -> AsyncIterator[dict[str, Any]]:
    with contextlib.suppress(ConnectionClosed):
        while True:
            yield json.loads(await socket.recv())
