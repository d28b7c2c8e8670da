"""What one would write first: Starlette on stock uvicorn, a loop of ``send_text``, nothing durable.

It counts an ack from every client for every message, as the other server does.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

sys.path.insert(0, str(Path(__file__).parent))
from bench_control import Took, now, pin, serve, took

clients: list[WebSocket] = []
acks = 0


async def endpoint(websocket: WebSocket) -> None:
    """Take a client and count its acks."""
    global acks
    await websocket.accept()
    await websocket.receive_text()  # its hello
    clients.append(websocket)
    try:
        while True:
            await websocket.receive_text()
            acks += 1
    except WebSocketDisconnect:
        clients.remove(websocket)


async def run(events: int, group: int, size: int) -> Took:
    """Send every message to every client; until the last ack is in."""
    assert group == 1
    text = "x" * size
    wanted = acks + events * len(clients)
    start = now()
    for _ in range(events):
        for websocket in clients:
            await websocket.send_text(text)
        await asyncio.sleep(0)
    while acks < wanted:  # noqa: ASYNC110 - no event to wait for
        await asyncio.sleep(0.001)
    return took(start)


async def connected() -> int:
    """How many clients are there."""
    return len(clients)


if __name__ == "__main__":
    pin(0)
    app = Starlette(routes=[WebSocketRoute("/v1/ws", endpoint)])
    config = uvicorn.Config(app, log_level="warning", lifespan="off", access_log=False)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(serve(config, {"run": run, "connected": connected}))
