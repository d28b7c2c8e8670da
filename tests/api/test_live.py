"""/v1/ws as the house wires it: who is let in, what they get, and when it ends."""

from __future__ import annotations

import asyncio

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from api.control import call
from tests.api.serving import Place, chat, connect, hello, order, post, receive


def test_a_session_gets_the_events_of_its_inboxes(client: TestClient, place: Place) -> None:
    """From the webhook to the frame."""
    with connect(client) as socket:
        assert hello(socket, place.tokens["ana"])["type"] == "welcome"
        post(client, "orders", order("not-for-ana"))
        post(client, "support", chat("s-1"))
        [event] = receive(socket, "events")["events"]
        assert event["data"]["message_id"] == "s-1"


def test_a_revoked_token_ends_its_session(client: TestClient, place: Place) -> None:
    """Without waiting for an event (G21)."""
    with connect(client) as socket:
        assert hello(socket, place.tokens["ana"])["type"] == "welcome"
        asyncio.run(call(place.folder, "revoke_token", token=place.tokens["ana"]))
        assert receive(socket, "bye")["code"] == 4503
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
        assert closed.value.code == 4503


def test_a_session_follows_its_users_inboxes(client: TestClient, place: Place) -> None:
    """Another inbox from the next session on, and this one ends at once (G21)."""
    with connect(client) as socket:
        hello(socket, place.tokens["ana"])
        asyncio.run(call(place.folder, "add_user", name="ana", role="member", inboxes=["orders"]))
        assert receive(socket, "bye")["code"] == 4411
    post(client, "support", chat("no-longer-hers"))
    with connect(client) as socket:
        hello(socket, place.tokens["ana"])
        post(client, "orders", order("hers-now"))
        [event] = receive(socket, "events")["events"]
        assert event["data"]["message_id"] == "hers-now"


def test_a_bad_token_is_4501(client: TestClient, place: Place) -> None:
    """Which tells the client not to come back with it."""
    with connect(client) as socket:
        answer = hello(socket, f"{place.tokens['ana']}x")
        assert (answer["type"], answer["code"]) == ("bye", 4501)


@pytest.mark.parametrize(
    ("headers", "let_in"),
    [
        ({}, True),
        ({"Origin": "http://localhost:8080"}, True),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "http://localhost:8080.evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Host": "evil.example"}, False),
    ],
)
def test_a_page_of_another_origin_is_refused_before_the_upgrade(
    client: TestClient, place: Place, headers: dict[str, str], let_in: bool
) -> None:
    """And so is another host name; no Origin is no browser."""
    if let_in:
        with connect(client, **headers) as socket:
            assert hello(socket, place.tokens["ana"])["type"] == "welcome"
        return
    with pytest.raises((WebSocketDisconnect, WebSocketDenialResponse)), connect(client, **headers):
        pass
