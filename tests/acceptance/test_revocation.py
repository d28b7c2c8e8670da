"""A token is revoked at a random moment under load: the open socket gets nothing new (G21).

20 times; `make proofs` sets MALOTE_PROOFS=full, and then 200.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sqlite3
from pathlib import Path
from typing import Any

import httpx2
import pytest
from attrs import define, field
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from api.control import call
from tests.acceptance.world import Provider, furnish, run, running

REVOCATIONS, OVER_S = (200, 30.0) if os.environ.get("MALOTE_PROOFS") == "full" else (20, 4.0)
REVOKED_WITHIN_US = 5_000_000
POSTS_PER_S = 20
REFUSED = {4501, 4503}


@define
class Holder:
    """One device with a token of its own, and what its socket was given."""

    token: str
    token_id: str
    device: str
    positions: list[int] = field(factory=list)
    cursor: str | None = None
    code: int | None = None

    async def listen(self, url: str, live: asyncio.Event) -> None:
        """Take and acknowledge whatever comes, until the server ends it."""
        async with connect(f"{url.replace('http', 'ws', 1)}/v1/ws") as socket:
            first = {"token": self.token, "device": self.device, "cursor": self.cursor}
            await socket.send(json.dumps({"type": "hello", **first}))
            try:
                async for text in socket:
                    await self.take(json.loads(text), socket, live)
            except ConnectionClosed:
                pass
            self.code = socket.close_code

    async def take(self, frame: dict[str, Any], socket: Any, live: asyncio.Event) -> None:
        """One frame."""
        match frame["type"]:
            case "events":
                self.positions += [event["position"] for event in frame["events"]]
                self.cursor = frame["cursor"]
                await socket.send(json.dumps({"type": "ack", "cursor": self.cursor}))
            case "ping":
                await socket.send(json.dumps({"type": "pong", "id": frame["id"]}))
            case "live":
                self.cursor = self.cursor or frame["cursor"]
                live.set()


async def post_steadily(provider: Provider) -> None:
    """Some messages a second, for ever."""
    async with httpx2.AsyncClient(timeout=30) as client:
        for number in range(1_000_000):
            await provider.post(client, f"wamid.{number}")
            await asyncio.sleep(1 / POSTS_PER_S)


async def revoked_at_random(data: Path, url: str, holder: Holder, after_s: float) -> None:
    """Live first, revoked then, and ended by the server."""
    live = asyncio.Event()
    listening = asyncio.create_task(holder.listen(url, live))
    await asyncio.wait_for(live.wait(), 60)
    await asyncio.sleep(after_s)
    await call(data, "revoke_token", token=holder.token_id)
    await asyncio.wait_for(listening, 60)


def times(data: Path) -> tuple[dict[int, int], dict[str, int]]:
    """When each event was committed, by position; and each revocation, by token; µs."""
    database = sqlite3.connect(f"file:{data / 'log.db'}?mode=ro", uri=True)
    committed = dict(database.execute("SELECT position, recorded_at FROM events"))
    revoked = dict(
        database.execute(
            "SELECT data ->> '$.token', recorded_at FROM events WHERE type = 'token.revoked'"
        )
    )
    database.close()
    return committed, revoked


@pytest.mark.timeout(300)
def test_a_revoked_token_gets_nothing_committed_later_and_cannot_resume(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the log's own times: nothing over 5 s after its revocation; 4503, and refused after it."""
    data = tmp_path / "data"
    furnish(data, "ana")
    rng = random.Random(21)
    holders: list[Holder] = []

    async def scenario() -> None:
        with running(data) as server:
            for number in range(REVOCATIONS):
                made = await call(data, "create_token", user="ana")
                holders.append(Holder(made["token"], made["id"], f"device{number}"))
            posting = asyncio.create_task(post_steadily(Provider(server)))
            moments = [rng.uniform(0, OVER_S) for _ in holders]
            await asyncio.gather(
                *(
                    revoked_at_random(data, server.url, holder, moment)
                    for holder, moment in zip(holders, moments, strict=True)
                )
            )
            posting.cancel()
            await asyncio.gather(posting, return_exceptions=True)
            assert {holder.code for holder in holders} == {4503}
            for holder in holders:
                seen = len(holder.positions)
                await asyncio.wait_for(holder.listen(server.url, asyncio.Event()), 60)
                assert holder.code in REFUSED
                assert len(holder.positions) == seen, "a resume was given events"
            assert server.end() == 0

    run(scenario)
    committed, revoked = times(data)
    assert len(revoked) == REVOCATIONS
    late = [
        committed[position] - revoked[holder.token_id]
        for holder in holders
        for position in holder.positions
    ]
    assert len(late) > REVOCATIONS, "there was no load"
    with capsys.disabled():
        print(
            f"\n{REVOCATIONS} revocations, load {os.getloadavg()[0]:.1f}: {len(late)} events sent,"
            f" the last one committed {max(late) / 1e3:+.0f} ms from its revocation"
        )
    assert max(late) <= REVOKED_WITHIN_US
