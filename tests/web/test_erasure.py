"""One message is erased while a browser and two Python clients are connected, and all have it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
from playwright.sync_api import Page, expect

from eventstore.verify import verify
from tests.acceptance.keeper import Keeper, keeping
from tests.acceptance.world import PATIENCE_S, malote, recorded
from tests.api.test_erasure import bytes_left
from tests.web.house import House
from tests.web.looking import bubbles, live, open_row

WORDS = "my address is Rua das Laranjeiras 77"

# All that this origin keeps in the browser.
STORED = """async () => {
    const found = [JSON.stringify(localStorage), JSON.stringify(sessionStorage)];
    for (const { name } of await indexedDB.databases()) {
        const db = await new Promise((done) => {
            indexedDB.open(name).onsuccess = (event) => done(event.target.result);
        });
        for (const store of db.objectStoreNames) {
            found.push(await new Promise((done) => {
                const request = db.transaction(store).objectStore(store).getAll();
                request.onsuccess = () => done(JSON.stringify(request.result));
            }));
        }
        db.close();
    }
    for (const key of await caches.keys()) {
        for (const request of await (await caches.open(key)).keys()) found.push(request.url);
    }
    return found.join();
}"""


@contextmanager
def listening(url: str, keepers: Sequence[Keeper]) -> Iterator[None]:
    """These clients, connected and live, in a thread: Playwright's loop counts as this one's."""
    ready, leave = threading.Event(), threading.Event()

    async def listen() -> None:
        async with keeping(url, keepers):
            ready.set()
            await asyncio.to_thread(leave.wait)

    thread = threading.Thread(target=asyncio.run, args=(listen(),))
    thread.start()
    try:
        assert ready.wait(PATIENCE_S)
        yield
    finally:
        leave.set()
        thread.join()


def trace(house: House, position: int) -> dict[str, Any]:
    """The life of the event there, as an auditor asks for it."""
    answer = httpx2.get(
        f"{house.url}/v1/audit/trace/{position}",
        headers={"Authorization": f"Bearer {house.tokens['aud']}"},
        timeout=30,
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def outcomes(house: House, position: int) -> list[str]:
    """What became of it for each device."""
    return [device["outcome"] for device in trace(house, position)["devices"]]


def until(page: Page, condition: Any) -> None:
    """Wait, and let the browser go on meanwhile."""
    for _ in range(round(PATIENCE_S * 10)):
        if condition():
            return
        page.wait_for_timeout(100)
    raise AssertionError("it never happened")


def test_an_erased_message_leaves_an_open_browser_two_open_clients_and_every_file(
    own_house: House, page: Page, tmp_path: Path
) -> None:
    """Off the screen and out of each store; no byte of it is left; chain and trace are whole."""
    house, folder = own_house, own_house.server.folder
    keepers = [Keeper(house.tokens[user], tmp_path / f"{user}-desk.db") for user in ("ana", "aud")]
    with listening(house.url, keepers):
        page.goto(house.link())
        live(page)
        house.say("Good morning", WORDS, "Thank you")
        open_row(page, "Beatriz")
        expect(bubbles(page)).to_have_text(["Good morning", WORDS, "Thank you"])
        [position] = [at for at, _, message in recorded(folder) if message == house.sent[1]]
        until(page, lambda: all(keeper.holds(position) for keeper in keepers))
        until(page, lambda: WORDS in page.evaluate(STORED))
        until(page, lambda: outcomes(house, position) == ["acknowledged"] * 3)
        before = trace(house, position)
        assert bytes_left(tmp_path, WORDS)

        done = json.loads(malote(folder, "redact", str(position), "--reason", "LGPD", "--json"))
        assert done["purged"] is True
        expect(page.get_by_text("This message was erased")).to_be_visible()
        expect(bubbles(page).filter(has_text=WORDS)).to_have_count(0)
        until(page, lambda: all(keeper.holds(done["position"]) for keeper in keepers))
        until(page, lambda: outcomes(house, done["position"]) == ["acknowledged"] * 3)

        assert WORDS not in page.content()
        assert WORDS not in page.evaluate(STORED)
        assert bytes_left(tmp_path, WORDS) == []
        page.reload()
        open_row(page, "Beatriz")
        expect(bubbles(page).first).to_have_text("Good morning")
        expect(page.get_by_text("This message was erased")).to_be_visible()
        assert WORDS not in page.content()
        demand_whole(before, trace(house, position), done["position"])
        told = malote(folder, "trace", str(position), "--json")
        assert told.count('"outcome":"acknowledged"') >= 3
        assert WORDS not in told
    assert verify(folder).fault is None


def demand_whole(before: dict[str, Any], after: dict[str, Any], record: int) -> None:
    """All that the trace said is still there, but for what was erased; and the erasure is."""
    assert after["devices"] == before["devices"]
    for part in ("event", "webhook"):
        assert (before[part]["redacted"], after[part]["redacted"]) == (False, True)
        for name in ("position", "time", "inbox", "correlation_id", "hash"):
            assert after[part][name] == before[part][name]
    assert after["event"]["data"] is None
    assert record in [event["position"] for event in after["later"]]
