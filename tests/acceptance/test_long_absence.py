"""A client that was away for 10,000 events gets the newest of them, and finds the rest."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import httpx2

from tests.acceptance.world import furnish, run, running, signed, text_webhook, visible
from transport.client import connect
from transport.cursor_store import MemoryCursorStore
from transport.frames import Skipped

MISSED = 10_000
BATCH = 500
QUEUE_MAX = 2_000


async def post(client: httpx2.AsyncClient, url: str, *message_ids: str) -> None:
    """One webhook with these messages."""
    body = text_webhook(*message_ids)
    answer = await client.post(f"{url}/webhooks/support", content=body, headers=signed(body))
    assert answer.status_code == 200, answer.text


async def synced(
    client: httpx2.AsyncClient, url: str, token: str, gap: Skipped
) -> list[dict[str, Any]]:
    """What /v1/sync has between the two ends of what was skipped."""
    cursor, found = str(gap.after), []
    while int(cursor.split(".")[1]) < gap.cursor.position:
        answer = await client.get(
            f"{url}/v1/sync",
            params={"cursor": cursor, "limit": 500},
            headers={"Authorization": f"Bearer {token}"},
        )
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert page["events"], "the gap is not empty up to its end"
        found += page["events"]
        cursor = page["cursor"]
    return [event for event in found if event["position"] <= gap.cursor.position]


def settled(folder: Path) -> dict[str, int]:
    """How many events the device's records say were acknowledged, and how many were skipped."""
    query = """SELECT type, sum(data ->> '$.count') FROM events
        WHERE stream = 'client:ana/laptop' AND type IN ('delivery.acknowledged', 'queue.trimmed')
        GROUP BY type"""
    database = sqlite3.connect(f"file:{folder / 'log.db'}?mode=ro", uri=True)
    try:
        return dict(database.execute(query).fetchall())
    finally:
        database.close()


def test_who_was_away_for_10_000_events_gets_the_newest_and_finds_the_rest_by_sync(
    tmp_path: Path,
) -> None:
    """`skipped` says how many fell out; those, and the 2,000 that came, are all there is, once.

    And the device's records account for every one of them: nothing is left over.
    """
    data = tmp_path / "data"
    token = furnish(data, "ana")["ana"]
    store, gaps, got = MemoryCursorStore(), list[Skipped](), list[int]()

    async def scenario() -> None:
        with running(data) as server:
            async with httpx2.AsyncClient(timeout=60) as client, asyncio.timeout(150):
                async with connect(server.url, token, device="laptop", store=store) as inbox:
                    await inbox.caught_up()
                    await post(client, server.url, "wamid.first")
                    await anext(inbox)
                    inbox.done()
                begun = store.load()
                assert begun is not None
                for number in range(0, MISSED, BATCH):
                    names = (f"wamid.{number + one}" for one in range(BATCH))
                    await post(client, server.url, *names)
                missed = [row[0] for row in visible(data) if row[0] > begun.position]
                assert len(missed) >= MISSED
                async with connect(
                    server.url, token, device="laptop", store=store, on_skipped=gaps.append
                ) as inbox:
                    while len(got) < QUEUE_MAX:
                        got.append((await anext(inbox)).position)
                    inbox.done()
                [gap] = gaps
                assert (gap.after, gap.reason) == (begun, "queue_limit")
                assert gap.count == len(missed) - QUEUE_MAX
                assert got == missed[-QUEUE_MAX:]
                rest = await synced(client, server.url, token, gap)
                assert [event["position"] for event in rest] == missed[:-QUEUE_MAX]
            server.end()
        counted = settled(data)
        assert counted["queue.trimmed"] == len(missed) - QUEUE_MAX
        assert sum(counted.values()) == len(visible(data))

    run(scenario)
