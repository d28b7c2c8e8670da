"""A device that keeps no cursor of its own: the log knows where it stands (G7, G9)."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx2
from websockets.asyncio.client import ClientConnection, connect

from tests.acceptance.world import Provider, furnish, run, running

ROUNDS = 30


async def hello(server_url: str, token: str, device: str) -> tuple[ClientConnection, Any]:
    """Open a session without a cursor; the connection and its welcome."""
    socket = await connect(
        f"{server_url.replace('http', 'ws')}/v1/ws", subprotocols=["malote.v1"], compression=None
    )
    await socket.send(json.dumps({"type": "hello", "token": token, "device": device}))
    return socket, json.loads(await socket.recv())


async def next_events(socket: ClientConnection) -> list[str]:
    """The message ids of the next `events` frame."""
    while True:
        frame = json.loads(await socket.recv())
        if frame["type"] == "events":
            return [event["data"].get("message_id") for event in frame["events"]]


def test_a_new_device_that_reconnects_at_once_is_not_taken_for_new_again(tmp_path: Path) -> None:
    """Connected, sent a message, gone before any ack: the next session begins where that one did.

    Rounds and rounds, each with a device of its own, because what would go wrong is a race between
    the reconnect and the record of the first session.
    """
    data = tmp_path / "data"
    tokens = furnish(data, "ana")

    async def scenario() -> None:
        with running(data) as server:
            provider = Provider(server)
            async with httpx2.AsyncClient() as client, asyncio.timeout(60):
                for number in range(ROUNDS):
                    device = f"device-{number}"
                    first, welcome = await hello(server.url, tokens["ana"], device)
                    assert welcome["resume"]["outcome"] == "fresh"
                    await provider.post(client, f"wamid.{number}")
                    second, again = await hello(server.url, tokens["ana"], device)
                    assert again["resume"]["outcome"] == "resumed"
                    assert f"wamid.{number}" in await next_events(second)
                    first.transport.abort()
                    second.transport.abort()

    run(scenario)
