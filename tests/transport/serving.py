"""A real server on a real port around the real log, for tests of sockets."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from websockets.asyncio.client import ClientConnection, connect

from eventstore.draft import Receipt
from eventstore.log import EventLog
from tests.transport.pages import message
from transport.frames import CloseCode
from transport.hub import Grant, Hub, Refused
from transport.server import uvicorn_config
from transport.websocket import websocket_endpoint

ORIGINS = ("https://inbox.example", "http://localhost:8080")


class Site:
    """Where it listens, and what is behind it."""

    def __init__(self, log: EventLog, hub: Hub, server: uvicorn.Server, port: int) -> None:
        self.log = log
        self.hub = hub
        self.server = server
        self.port = port

    @property
    def url(self) -> str:
        """The WebSocket's address."""
        return f"ws://127.0.0.1:{self.port}/v1/ws"

    def connect(self, **options: Any) -> connect:
        """The websockets client, speaking our protocol."""
        options = {"subprotocols": ["malote.v1"], "compression": None, "proxy": None} | options
        return connect(self.url, **options)

    async def append(self, *numbers: int, text: str = "hello") -> list[Receipt]:
        """Messages, in one commit."""
        return await self.log.append([message(number, text=text) for number in numbers])

    async def recorded(self, type_: str) -> list[dict[str, Any]]:
        """The data of all events of one type."""
        events = await self.log.read(0, 10_000)
        return [json.loads(event.data or b"null") for event in events if event.type == type_]


def admit(token: str) -> Grant:
    """Everybody but the bad is let in; the token is the user's name."""
    if token == "bad":
        raise Refused(CloseCode.UNAUTHORIZED, "the token is not valid")
    return Grant(token, frozenset({"a"}), token, None)


async def no_floor(_user: str, _device: str) -> None:
    """No device was ever seen."""


async def echo(request: Request) -> Response:
    """Say how much came."""
    return PlainTextResponse(str(len(await request.body())))


async def endless(_request: Request) -> Response:
    """A response without end, for peers that do not read it."""

    async def body() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536
            await asyncio.sleep(0)  # send() does not wait any more once the peer is gone

    return StreamingResponse(body())


@asynccontextmanager
async def site(folder: Path, *, ours: bool = True, **settings: Any) -> AsyncIterator[Site]:
    """Serve, under our protocol classes or under stock uvicorn, until the block is left."""
    log = await EventLog.open(folder / "data")
    hub = Hub(log, boot="boot1")
    log.on_commit = hub.committed
    endpoint = websocket_endpoint(hub, admit=admit, ack_floor=no_floor, allowed_origins=ORIGINS)
    app = Starlette(
        routes=[
            WebSocketRoute("/v1/ws", endpoint),
            Route("/echo", echo, methods=["POST", "GET"]),
            Route("/endless", endless),
        ]
    )
    config = (
        uvicorn_config(app, lifespan="off", loop="none", **settings)
        if ours
        else uvicorn.Config(
            app, lifespan="off", log_config=None, ws="websockets-sansio", **settings
        )
    )
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(config)
    running = asyncio.create_task(hub.run())
    serving = asyncio.create_task(server._serve([listener]))
    try:
        async with asyncio.timeout(10):
            while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.001)
        yield Site(log, hub, server, listener.getsockname()[1])
    finally:
        await hub.shutdown()
        server.should_exit = True
        await serving
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await log.close()
        listener.close()


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    """Run an async test, for a minute at most."""

    async def bounded() -> None:
        async with asyncio.timeout(60):
            await scenario()

    asyncio.run(bounded())


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition; 20 s are an error."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the condition is somebody else's
            await asyncio.sleep(0.002)


async def hello(client: ClientConnection, user: str = "ana", **fields: Any) -> dict[str, Any]:
    """Say hello and take the welcome."""
    frame = {"type": "hello", "token": user, "device": "laptop", "cursor": None} | fields
    await client.send(json.dumps(frame))
    return await frame_of(client, "welcome")


async def frame_of(client: ClientConnection, kind: str) -> dict[str, Any]:
    """The next frame of a type; others are read past."""
    while True:
        frame: dict[str, Any] = json.loads(await client.recv())
        if frame["type"] == kind:
            return frame


async def closed(client: ClientConnection) -> tuple[int | None, list[dict[str, Any]]]:
    """Read until the end: the close code, and the frames before it."""
    frames = [json.loads(text) async for text in _messages(client)]
    await client.wait_closed()
    return client.close_code, frames


async def _messages(client: ClientConnection) -> AsyncIterator[str | bytes]:
    from websockets.exceptions import ConnectionClosed

    while True:
        try:
            yield await client.recv()
        except ConnectionClosed:
            return
