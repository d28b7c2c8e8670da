"""A message is erased while three clients are connected, over real processes and sockets."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx2

from eventstore.verify import verify
from tests.acceptance.world import (
    SECRET,
    Agent,
    Provider,
    listening,
    malote,
    run,
    running,
    text_webhook,
    until,
)

NAMES = ("ana", "bia", "caio")


def test_an_erased_message_leaves_three_open_clients_and_every_file(tmp_path: Path) -> None:
    """Each is told in order, on its open connection; who comes later gets the tombstone only."""
    data = tmp_path / "data"

    async def scenario() -> None:
        malote(data, "inbox", "add", "support", "--provider", "whatsapp", "--secret", SECRET)
        agents = []
        for name in NAMES:
            malote(data, "user", "add", name, "--role", "member", "--inbox", "support")
            token = malote(data, "token", "create", name).strip()
            agents.append(Agent.make(tmp_path, name, token))
        with running(data) as server:
            provider = Provider(server)
            async with httpx2.AsyncClient() as client, listening(server.url, *agents):
                for number in range(3):
                    await provider.post(client, f"wamid.{number}")
                await until(lambda: all(len(a.messages) == 3 for a in agents), "three each")
                position, _ = provider.receipts["wamid.1"]
                done = await asyncio.to_thread(
                    malote, data, "redact", str(position), "--reason", "LGPD", "--json"
                )
                record = json.loads(done)["position"]
                await until(lambda: all(record in a.positions for a in agents), "the erasure")
                late = Agent.make(tmp_path, "late", agents[0].token)
                answer = await client.get(
                    f"{server.url}/v1/sync", headers={"Authorization": f"Bearer {late.token}"}
                )
                events = {event["position"]: event for event in answer.json()["events"]}
                assert events[position]["data"] is None
                assert events[record]["data"]["positions"] == [position - 1, position]
                assert b"message wamid.1" in text_webhook("wamid.1")
                for path in data.rglob("*"):
                    if path.is_file() and not path.is_socket():
                        assert b"message wamid.1" not in path.read_bytes(), path
        assert verify(data).fault is None

    run(scenario)
