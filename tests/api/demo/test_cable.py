"""The visitor's cable: what is cut, for whom, and that it comes back."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as dial
from websockets.exceptions import ConnectionClosedError
from websockets.typing import Subprotocol

from api.demo import stage
from api.demo.cable import Cable
from api.house import House
from api.settings import Settings
from tests.api.serving import Place, connect, hello, serving
from transport.frames import SUBPROTOCOL

BROWSER = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def client(place: Place) -> Iterator[TestClient]:
    """A client at the far end of a cable that is out for 0.3 s."""
    with serving(place.folder) as client:
        house: House = client.app_state["house"]
        cable = Cable(house.hub, pulled_s=0.3)
        client.app.routes.append(cable.route)  # type: ignore[attr-defined]
        client.app = cable.around(client.app)  # type: ignore[assignment]
        yield client


def pull(client: TestClient, place: Place, user: str) -> None:
    """Pull it as this user."""
    answer = client.post("/v1/demo/cable", headers=place.headers(user))
    assert answer.json() == {"seconds": 0.3}


def test_the_visitors_sockets_are_dropped_without_a_word(tmp_path: Path) -> None:
    """No bye and no close frame, as if the cable were out; other users' sockets stay."""

    async def scenario() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        async with stage.serving(listener, Settings(data=tmp_path / "data", port=port)) as house:
            keys = await stage.furnish(house.records)
            mine = await opened(port, keys.visitor)
            other = await opened(port, keys.agents["ana", "laptop"])
            await asyncio.to_thread(pull_over_http, port, keys.visitor)
            with pytest.raises(ConnectionClosedError) as dropped:
                await mine.recv()
            assert dropped.value.rcvd is None
            assert {connection.user for connection in house.hub.connections} == {"ana"}
            await other.close()

    asyncio.run(scenario())


async def opened(port: int, token: str) -> ClientConnection:
    """A live session."""
    connection = await dial(f"ws://127.0.0.1:{port}/v1/ws", subprotocols=[Subprotocol(SUBPROTOCOL)])
    first = {"type": "hello", "token": token, "device": "browser", "cursor": None}
    await connection.send(json.dumps(first))
    while json.loads(await connection.recv())["type"] != "live":
        pass
    return connection


def pull_over_http(port: int, token: str) -> None:
    """Pull the cable as the holder of this token."""
    url = f"http://127.0.0.1:{port}/v1/demo/cable"
    headers = {"Authorization": f"Bearer {token}"}
    with urlopen(Request(url, method="POST", headers=headers), timeout=10) as answer:
        assert json.load(answer)["seconds"] > 0


def test_a_browser_gets_no_new_socket_while_the_cable_is_out(
    client: TestClient, place: Place
) -> None:
    """The players are no browsers, and do."""
    pull(client, place, "ana")
    with pytest.raises(WebSocketDisconnect), connect(client, **BROWSER):
        pass
    with connect(client) as player:
        assert hello(player, place.tokens["otto"])["type"] == "welcome"


def test_a_browsers_request_is_answered_when_the_cable_is_back(
    client: TestClient, place: Place
) -> None:
    """Late, and whole."""
    pull(client, place, "ana")
    answer = client.get("/v1/me", headers={**place.headers("ana"), **BROWSER})
    assert answer.json()["user"] == "ana"


def test_a_stranger_cannot_pull_it(client: TestClient) -> None:
    """It takes a token."""
    assert client.post("/v1/demo/cable").status_code == 401
