"""A client that was away for 10,000 events gets the newest of them, and finds the rest."""

from __future__ import annotations

import asyncio
import time
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
TERMS = ("addressed", "acknowledged", "outstanding", "parked", "skipped", "withdrawn")
LOOKED_AT = 5


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


async def account(
    client: httpx2.AsyncClient, url: str, auditor: str, **as_of: int
) -> dict[str, int]:
    """The laptop's account, without the zeros; whenever it is looked at, nothing is left over."""
    answer = await client.get(
        f"{url}/v1/audit/ledger",
        params={"device": "ana/laptop", **as_of},
        headers={"Authorization": f"Bearer {auditor}"},
    )
    assert answer.status_code == 200, answer.text
    [found] = answer.json()["accounts"]
    assert found["residue"] == 0
    return {name: found[name] for name in TERMS if found[name]}


async def comes_to(client: httpx2.AsyncClient, url: str, auditor: str, **expected: int) -> None:
    """Wait until all is recorded and folded, 30 s at most; then the account is this."""
    found, deadline = await account(client, url, auditor), time.monotonic() + 30
    while found != expected and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
        found = await account(client, url, auditor)
    assert found == expected


def test_who_was_away_for_10_000_events_gets_the_newest_and_finds_the_rest_by_sync(
    tmp_path: Path,
) -> None:
    """`skipped` says how many fell out; those, and the 2,000 that came, are all there is, once.

    And the ledger accounts for every one of them, at every step: nothing is left over.
    """
    data = tmp_path / "data"
    tokens = furnish(data, "ana", eva="auditor")
    token, auditor = tokens["ana"], tokens["eva"]
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
                addressed = len(missed) + 1
                await comes_to(
                    client, server.url, auditor,
                    addressed=addressed, acknowledged=1, outstanding=len(missed),
                )  # fmt: skip
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
                await comes_to(
                    client, server.url, auditor,
                    addressed=addressed, acknowledged=QUEUE_MAX + 1, skipped=gap.count,
                )  # fmt: skip
                for position in missed[BATCH :: MISSED // LOOKED_AT]:
                    then = await account(client, server.url, auditor, as_of=position)
                    assert then["outstanding"] == 1 + missed.index(position)
            server.end()

    run(scenario)
