"""Load for the proofs over real sockets: clients that read, a client that does not, a provider.

    python benchmarks/proof_load.py PORT RATE SECONDS INBOX...

posts RATE webhooks a second, to the inboxes in turn, whatever the answers take, and prints
[[began, seconds], …]. The clock is the machine's monotonic one, so that processes can be compared.
"""

from __future__ import annotations

import asyncio
import re
import resource
import socket
import subprocess
import sys
import time
from array import array
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import orjson
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect
from websockets.frames import Frame, Opcode

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.acceptance.world import signed, whatsapp_body

CURSOR = re.compile(rb'"cursor":"([^"]+)"')
SENT_AT = re.compile(rb'"message_id":"wamid\.(\d+)"')
ACK_EVERY_S = 0.1  # 50 frames a second are allowed
ANSWER_TIMEOUT_S = 30.0
IDLE_MAX_S = 5.0
INBOX = "support"
UPGRADE = (
    b"GET /v1/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def hello(token: str, device: str, cursor: str | None) -> bytes:
    """The first frame's text."""
    return orjson.dumps({"type": "hello", "token": token, "device": device, "cursor": cursor})


class Reader(WSListener):
    """A good client: ``delays`` are seconds from the webhook's sending to the event's arrival."""

    def __init__(self, first: bytes) -> None:
        super().__init__()
        self.first = first
        self.live = asyncio.get_running_loop().create_future()
        self.cursor: str | None = None
        self.events = 0
        self.delays = array("d")
        self.ended = False
        self.transport: WSTransport | None = None
        self._unacknowledged = False

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Say hello."""
        self.transport = transport
        transport.send(WSMsgType.TEXT, self.first)

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002 - picows' signature
        """Remember that it ended."""
        self.ended = True
        if not self.live.done():
            self.live.set_exception(ConnectionError("ended before it was live"))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take events, pings and ``live``."""
        if frame.msg_type != WSMsgType.TEXT:
            return
        text = frame.get_payload_as_bytes()
        if text.startswith(b'{"type":"events"'):
            now = time.monotonic()
            sent = SENT_AT.findall(text)
            self.events += len(sent)
            self.delays.extend([now - int(at) / 1e6 for at in sent])
            self._unacknowledged = True
            self.cursor = CURSOR.search(text)[1].decode()  # type: ignore[index]
        elif text.startswith(b'{"type":"live"'):
            self.cursor = self.cursor or CURSOR.search(text)[1].decode()  # type: ignore[index]
            if not self.live.done():
                self.live.set_result(time.monotonic())
        elif text.startswith(b'{"type":"ping"'):
            pong = {"type": "pong", "id": orjson.loads(text)["id"]}
            transport.send(WSMsgType.TEXT, orjson.dumps(pong))

    def leave(self) -> None:
        """Close the socket."""
        if self.transport is not None:
            self.transport.disconnect()

    def acknowledge(self) -> None:
        """What came since it was last called."""
        if self._unacknowledged and not self.ended and self.transport is not None:
            self._unacknowledged = False
            ack = {"type": "ack", "cursor": self.cursor}
            self.transport.send(WSMsgType.TEXT, orjson.dumps(ack))


async def acknowledging(readers: Sequence[Reader]) -> None:
    """Acknowledge for all of them until cancelled."""
    while True:
        for reader in readers:
            reader.acknowledge()
        await asyncio.sleep(ACK_EVERY_S)


async def connected(port: int, hellos: Sequence[bytes]) -> list[Reader]:
    """A reader for each hello, all at once; waits until every one is live."""
    url = f"ws://127.0.0.1:{port}/v1/ws"
    readers = [Reader(first) for first in hellos]
    acks = asyncio.create_task(acknowledging(readers))
    try:
        await asyncio.gather(
            *(ws_connect(lambda r=r: r, url, websocket_handshake_timeout=None) for r in readers)
        )
        await asyncio.wait_for(asyncio.gather(*(r.live for r in readers)), 60)
    finally:
        acks.cancel()
    return readers


async def never_reading(port: int, first: bytes) -> socket.socket:
    """A client that says hello and reads nothing from then on."""
    loop = asyncio.get_running_loop()
    deaf = socket.socket()
    deaf.setblocking(False)
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await loop.sock_connect(deaf, ("127.0.0.1", port))
    await loop.sock_sendall(deaf, UPGRADE)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += await asyncio.wait_for(loop.sock_recv(deaf, 1), ANSWER_TIMEOUT_S)
    assert head.startswith(b"HTTP/1.1 101"), head
    await loop.sock_sendall(deaf, Frame(Opcode.TEXT, first).serialize(mask=True))
    return deaf


def webhook(text: str, inbox: str) -> bytes:
    """A signed request with one message; its id is the time at which it is sent, in µs."""
    message = {
        "from": "5511955501234",
        "id": f"wamid.{time.monotonic_ns() // 1000}",
        "timestamp": "1763800000",
        "type": "text",
        "text": {"body": text},
    }
    body = whatsapp_body({"messages": [message]})
    head = [f"POST /webhooks/{inbox} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    head += [f"{name}: {value}" for name, value in signed(body).items()]
    return "\r\n".join([*head, "", ""]).encode() + body


class Poster:
    """Keep-alive connections to the server, as many as are under way at once."""

    def __init__(self, port: int, inboxes: Sequence[str] = (INBOX,)) -> None:
        self._port = port
        self._inboxes = cycle(inboxes)
        self._idle: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.took: list[tuple[float, float]] = []

    async def post(self, text: str = "Good morning! Is my order on its way?") -> None:
        """One webhook; it must be answered 200."""
        began = time.monotonic()
        reader, writer = await self._streams(began)
        writer.write(webhook(text, next(self._inboxes)))
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), ANSWER_TIMEOUT_S)
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(head.lower().split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
        await reader.readexactly(length)
        self.took.append((began, time.monotonic() - began))
        self._idle.append((time.monotonic(), reader, writer))

    async def _streams(self, now: float) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        # The server lets idle connections go after 10 s; one that is about to be is not taken.
        while self._idle:
            idle_since, reader, writer = self._idle.pop()
            if now - idle_since < IDLE_MAX_S:
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self._port)

    async def run(self, rate: float, seconds: float) -> None:
        """Begin a webhook every 1/rate seconds, also while others are under way."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as posts:
            for number in range(int(rate * seconds)):
                await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
                posts.create_task(self.post())

    def close(self) -> None:
        """Let the connections go."""
        for _, _, writer in self._idle:
            writer.close()


async def provider(
    port: int, rate: float, seconds: float, inboxes: Sequence[str] = (INBOX,)
) -> list[list[float]]:
    """Post from a process of its own, which the clients' work does not slow down."""
    words = [str(Path(__file__)), str(port), str(rate), str(seconds), *inboxes]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, stdout=subprocess.PIPE, limit=2**24
    )
    try:
        printed, _ = await asyncio.wait_for(process.communicate(), seconds + ANSWER_TIMEOUT_S)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0
    took: list[list[float]] = orjson.loads(printed)
    return took


def p99(values: Sequence[float]) -> float:
    """The 99th percentile, nearest rank."""
    assert values
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]


def many_files() -> None:
    """As many sockets as the machine allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def main(port: int, rate: float, seconds: float, inboxes: Sequence[str]) -> None:
    """Post, then print what each took."""
    poster = Poster(port, inboxes)
    await poster.run(rate, seconds)
    poster.close()
    sys.stdout.buffer.write(orjson.dumps(poster.took))


if __name__ == "__main__":
    port, rate, seconds, *inboxes = sys.argv[1:]
    uvloop.run(main(int(port), float(rate), float(seconds), inboxes))
