"""A furnished data folder, an application on it and sockets to it, for the tests of handlers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from attrs import field, frozen
from starlette.testclient import TestClient, WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from api import actions
from api.app import create_app
from api.providers import PROVIDERS, Secret
from api.records import open_records
from api.settings import Settings

WHATSAPP_SECRET = "the app secret of the tests"
STANDARD_SECRET = "whsec_dGhlIHNpZ25pbmcgc2VjcmV0IG9mIHRoZSB0ZXN0cw=="
JWT_SECRET = "the secret of a backend of the tests"
SECRETS = {"support": ("whatsapp", WHATSAPP_SECRET), "orders": ("standard", STANDARD_SECRET)}
USERS = {
    "ana": ("member", ["support"]),
    "otto": ("member", ["orders"]),
    "noa": ("member", []),
    "aud": ("auditor", []),
    "adm": ("admin", []),
}


@frozen
class Place:
    """A data folder with two inboxes, five users, and a token for each of them."""

    folder: Path
    tokens: Mapping[str, str] = field(factory=dict)

    def headers(self, user: str) -> dict[str, str]:
        """The header with which this user asks."""
        return {"Authorization": f"Bearer {self.tokens[user]}"}


def furnished(folder: Path) -> Place:
    """Make the inboxes, users and tokens."""

    async def furnish() -> dict[str, str]:
        async with open_records(folder) as (records, _):
            for inbox, (provider, secret) in SECRETS.items():
                await actions.add_inbox(
                    records, id=inbox, provider=provider, secrets=[secret], verify_token="verify-me"
                )
            for user, (role, inboxes) in USERS.items():
                await actions.add_user(records, name=user, role=role, inboxes=inboxes)  # type: ignore[arg-type]
            return {
                user: (await actions.create_token(records, user=user))["token"] for user in USERS
            }

    return Place(folder, asyncio.run(furnish()))


@contextmanager
def serving(folder: Path, *, address: str = "192.0.2.7", **settings: Any) -> Iterator[TestClient]:
    """A client, at this address, of an application on this folder; its lifespan runs."""
    app = create_app(Settings(data=folder, **settings))
    with TestClient(
        app,
        base_url="http://localhost",
        raise_server_exceptions=False,
        client=(address, 50_000),
    ) as client:
        yield client


def order(
    message_id: str, text: str = "hello", contact: str = "c-1"
) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a Standard Webhook with one message."""
    data = {"text": text, "contact": {"id": contact}}
    body = orjson.dumps({"type": "order.made", "data": data})
    return body, signed("orders", body, message_id)


def chat(
    message_id: str, text: str = "hello", contact: str = "5511955501234"
) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a WhatsApp webhook with one text message."""
    message = {
        "from": contact,
        "id": message_id,
        "timestamp": "1763800000",
        "type": "text",
        "text": {"body": text},
    }
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "551155550000", "phone_number_id": "1"},
        "contacts": [{"profile": {"name": "Ana"}, "wa_id": contact}],
        "messages": [message],
    }
    change = {"field": "messages", "value": value}
    envelope = {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}
    body = orjson.dumps(envelope)
    return body, signed("support", body)


def signed(inbox: str, body: bytes, message_id: str | None = None) -> dict[str, str]:
    """The headers with which the inbox's provider would send these bytes."""
    provider, secret = SECRETS[inbox]
    return PROVIDERS[provider].sign(
        body, Secret(secret.encode()), now_s=int(time.time()), id=message_id
    )


def post(client: TestClient, inbox: str, webhook: tuple[bytes, dict[str, str]]) -> Any:
    """Deliver one webhook."""
    body, headers = webhook
    return client.post(f"/webhooks/{inbox}", content=body, headers=headers)


@contextmanager
def connect(client: TestClient, **headers: str) -> Iterator[WebSocketTestSession]:
    """A socket on which nothing was said yet."""
    headers = {"Host": "localhost", **headers}  # the test client has its own idea of ours
    session = client.websocket_connect("/v1/ws", subprotocols=["malote.v1"], headers=headers)
    socket = session.__enter__()
    try:
        yield socket
    finally:
        # It ends an application that is still at work by cancelling it, and now and then says so.
        with suppress(CancelledError):
            session.__exit__(None, None, None)


def hello(socket: WebSocketTestSession, token: str, device: str = "d") -> dict[str, Any]:
    """Say hello; what is answered."""
    frame = {"type": "hello", "token": token, "device": device, "cursor": None}
    socket.send_text(orjson.dumps(frame).decode())
    answer: dict[str, Any] = socket.receive_json()
    return answer


def receive(socket: WebSocketTestSession, kind: str) -> dict[str, Any]:
    """The next frame of this type."""
    while (frame := socket.receive_json())["type"] != kind:
        pass
    found: dict[str, Any] = frame
    return found


@contextmanager
def connected(client: TestClient, place: Place, user: str) -> Iterator[WebSocketTestSession]:
    """A live session of a user's desk, which the server ends."""
    with connect(client) as socket:
        hello(socket, place.tokens[user], "desk")
        receive(socket, "live")
        yield socket
        # Not we: the test client cancels an application that is still at work.
        socket.send_text("that is no frame")
        with pytest.raises(WebSocketDisconnect):
            receive(socket, "no such frame")
