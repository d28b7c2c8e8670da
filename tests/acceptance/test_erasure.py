"""A message is erased while three clients are connected, over real processes and sockets.

With a browser as one of them: ``tests/web/test_erasure.py``.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx2

from eventstore.verify import verify
from tests.acceptance.keeper import Keeper, keeping
from tests.acceptance.world import Provider, furnish, malote, run, running, until
from tests.api.test_erasure import bytes_left

ERASED = "wamid.as-long-as-an-address-77"
WORDS = f"message {ERASED}"  # longer than what its neighbours say, in base64 too


def test_an_erased_message_leaves_three_open_clients_and_every_file(tmp_path: Path) -> None:
    """Each is told in order, on its open connection; who comes later gets the tombstone only."""
    data = tmp_path / "data"
    tokens = furnish(data, "ana", "bia", "caio")
    keepers = [Keeper(token, tmp_path / f"{name}.db") for name, token in tokens.items()]

    async def scenario() -> None:
        with running(data) as server:
            provider = Provider(server)
            async with httpx2.AsyncClient() as client, keeping(server.url, keepers):
                for message in ("wamid.0", ERASED, "wamid.2"):
                    await provider.post(client, message)
                last, _ = provider.receipts["wamid.2"]
                await until(lambda: all(it.holds(last) for it in keepers), "three each")
                assert bytes_left(tmp_path, WORDS)
                position, _ = provider.receipts[ERASED]
                done = await asyncio.to_thread(
                    malote, data, "redact", str(position), "--reason", "LGPD", "--json"
                )
                record = json.loads(done)["position"]
                await until(lambda: all(it.holds(record) for it in keepers), "the erasure")
                answer = await client.get(
                    f"{server.url}/v1/sync", headers={"Authorization": f"Bearer {tokens['ana']}"}
                )
                events = {event["position"]: event for event in answer.json()["events"]}
                assert events[position]["data"] is None
                assert events[record]["data"]["positions"] == [position - 1, position]
                assert bytes_left(tmp_path, WORDS) == []
        assert verify(data).fault is None

    run(scenario)
