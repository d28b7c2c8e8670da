"""Many WebSocket clients on one core: each says hello and acknowledges every frame it gets.

    python benchmarks/load_client.py PORT CLIENTS malote|naive

Ends when its stdin ends.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

sys.path.insert(0, str(Path(__file__).parent))
from bench_control import pin

HELLO = '{"type":"hello","token":"user%d","device":"laptop","cursor":null}'
ACK = b'{"type":"ack","cursor":"%b"}'
NAIVE_ACK = b'{"type":"ack","cursor":"0123456789abcdef0123456789abcdef.123456.01234567"}'
CURSOR_KEY = b'"cursor":"'
CONNECTING_AT_ONCE = 50


class Client(WSListener):
    """One client; ``malote`` ones acknowledge with the cursor of the frame."""

    def __init__(self, number: int, malote: bool) -> None:
        super().__init__()
        self.number = number
        self.malote = malote

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Say hello."""
        transport.send(WSMsgType.TEXT, (HELLO % self.number).encode())

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Acknowledge."""
        if frame.msg_type != WSMsgType.TEXT:
            return
        if not self.malote:
            transport.send(WSMsgType.TEXT, NAIVE_ACK)
            return
        text = frame.get_payload_as_bytes()
        if text.startswith(b'{"type":"events"'):
            start = text.index(CURSOR_KEY) + len(CURSOR_KEY)
            transport.send(WSMsgType.TEXT, ACK % text[start : text.index(b'"', start)])


async def main(port: int, clients: int, malote: bool) -> None:
    """Connect all, then live until stdin ends."""
    url = f"ws://127.0.0.1:{port}/v1/ws"
    held = []
    for first in range(0, clients, CONNECTING_AT_ONCE):
        numbers = range(first, min(first + CONNECTING_AT_ONCE, clients))
        held += await asyncio.gather(
            *(ws_connect(lambda n=n: Client(n, malote), url) for n in numbers)
        )
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    pin(1)
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "malote"))
