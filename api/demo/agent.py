"""A simulated agent: the real Python client on a real WebSocket, whose network can fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

import orjson
from attrs import define, field

from eventstore.cursor import Cursor
from transport.backoff import Backoff
from transport.client import connect
from transport.client_session import State
from transport.client_socket import LinkEnded, Socket, open_websocket
from transport.cursor_store import MemoryCursorStore
from transport.link_end import LinkEnd

_ACK = '{"type":"ack"'
BACKOFF = Backoff(base_s=0.2, cap_s=1.0)


OnOpen: TypeAlias = Callable[[str], None]
"""Called with the agent's name when it has a new socket."""

OnAck: TypeAlias = Callable[[str, int], None]
"""Called with the agent's name and the position it acknowledged, when the frame has been sent."""


class WatchedSocket:
    """A socket that tells of every ack that leaves through it."""

    def __init__(self, socket: Socket, on_ack: Callable[[int], None]) -> None:
        self._socket = socket
        self._on_ack = on_ack

    async def send(self, text: str) -> None:
        """Send, then tell."""
        await self._socket.send(text)
        if text.startswith(_ACK):
            self._on_ack(Cursor.parse(orjson.loads(text)["cursor"]).position)

    async def receive(self) -> str | bytes:
        """The next message."""
        return await self._socket.receive()

    async def close(self) -> None:
        """Close it."""
        await self._socket.close()


@define
class Agent:
    """One device of one user; ``handled`` is what its application got, in that order."""

    user: str
    device: str
    token: str
    on_open: OnOpen
    on_ack: OnAck
    handled: list[int] = field(factory=list)
    live: asyncio.Event = field(factory=asyncio.Event)
    _socket: Socket | None = None
    _network: bool = True

    @property
    def name(self) -> str:
        """As in the log's stream."""
        return f"{self.user}/{self.device}"

    async def work(self, url: str) -> None:
        """Take events until cancelled, across every loss of the network."""
        async with connect(
            url,
            self.token,
            device=self.device,
            store=MemoryCursorStore(),
            open_socket=self._open,
            on_state=self._stands,
            backoff=BACKOFF,
        ) as inbox:
            async for event in inbox:
                self.handled.append(event.position)

    async def lose_network(self) -> None:
        """The connection breaks, and no new one comes about until :meth:`find_network`."""
        self._network = False
        if self._socket is not None:
            await self._socket.close()

    def find_network(self) -> None:
        """The client's next attempt succeeds; it makes it by itself."""
        self._network = True

    async def _open(self, url: str) -> Socket:
        if not self._network:
            raise LinkEnded(LinkEnd(reason="no network"))
        socket = await open_websocket(url)
        self.on_open(self.name)
        self._socket = WatchedSocket(socket, lambda position: self.on_ack(self.name, position))
        return self._socket

    def _stands(self, state: State) -> None:
        if state is State.LIVE:
            self.live.set()
        else:
            self.live.clear()
