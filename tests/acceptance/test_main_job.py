"""From a provider's webhook to an acknowledged message, over real sockets (issue line by line)."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from itertools import chain
from pathlib import Path
from typing import Any

import httpx2

from eventstore.cursor import Cursor
from tests.acceptance.world import (
    Agent,
    furnish,
    listening,
    malote,
    recorded,
    run,
    running,
    signed,
    until,
    visible,
    whatsapp_body,
)
from transport.cursor_store import SqliteCursorStore

SAMPLES = Path(__file__).parent.parent / "samples" / "whatsapp"
REPEATS = 50
ID_CARRIERS = ("messages", "statuses", "message_echoes")


def recorded_webhooks() -> dict[str, bytes]:
    """Every recorded or made payload, messages' ids made unique (the recordings share one id)."""
    bodies = {}
    for file in sorted(SAMPLES.parent.glob("whatsapp*/*.json")):
        for name, payload in json.loads(file.read_text()).items():
            case = f"{file.stem}.{name}"
            value = payload["entry"][0]["changes"][0]["value"]
            for told in chain(*(value.get(kind, []) for kind in ID_CARRIERS)):
                told["id"] = f"wamid.{case}"
            bodies[case] = json.dumps(payload).encode()
    return bodies


def mixed_batch() -> bytes:
    """Text, image, reaction, location, reply, a type of the future; statuses out of order."""

    def message(kind: str, content: dict[str, Any]) -> dict[str, Any]:
        return {
            "from": "5511955501234",
            "from_user_id": "BR.1",
            "id": f"wamid.mixed.{kind}",
            "timestamp": "1763800000",
            "type": kind,
            kind: content,
        }

    reply = {"type": "list_reply", "list_reply": {"id": "row-1", "title": "Tomorrow"}}
    statuses = [
        {"id": "wamid.out", "status": status, "timestamp": at, "recipient_id": "5511955501234"}
        for status, at in [
            ("read", "1763800009"),
            ("sent", "1763800001"),
            ("delivered", "1763800005"),
        ]
    ]
    return whatsapp_body(
        {
            "messages": [
                message("text", {"body": "Olá"}),
                message("image", {"id": "1", "mime_type": "image/jpeg", "sha256": "x"}),
                message("reaction", {"message_id": "wamid.mixed.text", "emoji": "👍"}),
                message("location", {"latitude": -23.5, "longitude": -46.6}),
                message("interactive", reply),
                message("hologram", {"depth": 3}),
            ],
            "statuses": statuses,
        }
    )


async def post_concurrently(url: str, bodies: list[bytes]) -> list[dict[str, Any]]:
    """Post all of them at once; every answer must be 200."""
    limits = httpx2.Limits(max_connections=64)
    async with httpx2.AsyncClient(timeout=60, limits=limits) as client:
        answers = await asyncio.gather(
            *(
                client.post(f"{url}/webhooks/support", content=body, headers=signed(body))
                for body in bodies
            )
        )
    assert {answer.status_code for answer in answers} == {200}
    return [answer.json() for answer in answers]


def test_webhooks_posted_fifty_times_arrive_once_in_order_everywhere(tmp_path: Path) -> None:
    """Two connected clients and one that comes later: the same messages, once, in log order."""
    data = tmp_path / "data"
    tokens = furnish(data, "ana", "bruno", "clara")
    agents = {name: Agent.make(tmp_path, name, token) for name, token in tokens.items()}
    webhooks = [*recorded_webhooks().values(), mixed_batch()]

    async def scenario() -> None:
        with running(data) as server:
            async with httpx2.AsyncClient() as client:
                answer = await client.get(
                    f"{server.url}/v1/sync?since=1970-01-01T00:00:00Z&limit=1",
                    headers={"Authorization": f"Bearer {tokens['clara']}"},
                )
            beginning = Cursor.parse(answer.json()["after"])
            async with listening(server.url, agents["ana"], agents["bruno"]):
                answers = await post_concurrently(server.url, webhooks * REPEATS)
                receipts = {json.dumps(answer["receipts"]) for answer in answers}
                assert len(receipts) == len(webhooks), "a repeat got another receipt"
                SqliteCursorStore(agents["clara"].database).save(beginning)
                async with listening(server.url, agents["clara"]):
                    expected = [row[0] for row in visible(data)]
                    for agent in agents.values():
                        await until(
                            lambda agent=agent: len(agent.positions) >= len(expected),
                            f"{agent.name} has everything",
                        )
            for agent in agents.values():
                assert agent.positions == expected

    run(scenario)
    messages = [message for _, type_, message in recorded(data) if type_ == "message.received"]
    assert len(messages) == len(set(messages)), "a message was stored twice"
    assert {f"wamid.mixed.{kind}" for kind in ("text", "image", "reaction", "hologram")} <= set(
        messages
    )
    assert acknowledged(data) >= {"client:ana/ana", "client:bruno/bruno", "client:clara/clara"}
    malote(data, "verify")


def acknowledged(data: Path) -> set[str]:
    """The devices whose acks are in the log."""
    database = sqlite3.connect(f"file:{data / 'log.db'}?mode=ro", uri=True)
    query = "SELECT DISTINCT stream FROM events WHERE type = 'delivery.acknowledged'"
    devices = {row[0] for row in database.execute(query)}
    database.close()
    return devices


def test_a_message_with_a_known_id_and_another_content_changes_nothing(tmp_path: Path) -> None:
    """G2: 2xx, the first receipt, the first body; the difference is recorded once."""
    data = tmp_path / "data"
    furnish(data)
    bodies = [
        whatsapp_body(
            {"messages": [{"id": "wamid.1", "from": "1", "type": "text", "text": {"body": text}}]}
        )
        for text in ("first", "second")
    ]

    async def scenario() -> None:
        with running(data) as server:
            [first] = await post_concurrently(server.url, bodies[:1])
            again = await post_concurrently(server.url, bodies[1:] * 3)
            for answer in again:
                assert answer["receipts"] == first["receipts"]

    run(scenario)
    types = [type_ for _, type_, _ in recorded(data)]
    assert types.count("message.received") == 1
    assert types.count("webhook.duplicated") == 1
    database = sqlite3.connect(data / "log.db")
    query = "SELECT data ->> '$.content.body' FROM events WHERE type = 'message.received'"
    assert database.execute(query).fetchall() == [("first",)]
    database.close()
