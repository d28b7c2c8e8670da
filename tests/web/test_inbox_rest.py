"""What is told above the list, the hit that a search leads to, long lists, and other inboxes."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.acceptance.world import malote
from tests.web.conftest import Profile
from tests.web.house import MISSING, House, opened, text
from tests.web.looking import bubbles, live, open_row, pill, row

MANY = 6_000
A_POST = 500


@pytest.fixture
def short_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """A server that keeps five events for a device that is away."""
    if MISSING is not None:
        pytest.skip(MISSING)
    monkeypatch.setenv("MALOTE_QUEUE_EVENTS_MAX", "5")
    with opened(tmp_path / "data") as house:
        yield house


def test_what_was_skipped_comes_by_itself_and_is_verified(
    short_queue: House, profile: Profile
) -> None:
    """Where it cannot come, a quiet row says how many and asks; the lists stay true."""
    context = profile()
    page = context.new_page()
    short_queue.say("before")
    page.goto(short_queue.link())
    live(page)
    context.set_offline(True)
    expect(pill(page)).to_contain_text("Offline")
    for number in range(30):
        short_queue.say(f"text {number}", contact=number % 3 + 1, name=f"Contact {number % 3}")
    context.route("**/v1/sync?**", lambda route: route.abort())
    context.set_offline(False)
    live(page)
    told = page.locator(".notice-row")
    expect(told).to_contain_text("25 older messages are in the history")
    expect(row(page, "Contact 2")).to_contain_text("10 unread")
    context.unroute("**/v1/sync?**")
    with page.expect_response("**/v1/sync?**"):
        context.set_offline(True)
        expect(pill(page)).to_contain_text("Offline")
        context.set_offline(False)
    expect(told).to_be_hidden()
    expect(row(page, "Contact 2")).to_contain_text("10 unread")
    page.get_by_role("button", name="Sync", exact=True).click()
    expect(page.locator(".toast")).to_contain_text("Everything is up to date")
    expect(page.locator(".toast")).to_contain_text("verified")


def test_an_older_backup_put_in_place_is_told_and_shown_as_it_is(
    own_house: House, page: Page, tmp_path: Path
) -> None:
    """What came after the backup is gone, and the page says why instead of pretending."""
    own_house.say("kept")
    page.goto(own_house.link())
    live(page)
    own_house.ask("backup", target=str(tmp_path / "backup.db"))
    own_house.say("after the backup", contact=2, name="Caio Tavares")
    expect(row(page, "Caio Tavares")).to_be_visible()
    own_house.server.end(signal.SIGTERM)
    malote(own_house.server.folder, "restore", str(tmp_path / "backup.db"))
    own_house.server.start(own_house.server.port)
    told = page.locator(".notice-row")
    expect(told).to_contain_text("restored from an older backup")
    expect(row(page, "Caio Tavares")).to_be_hidden()
    expect(row(page, "Beatriz")).to_be_visible()
    live(page)
    told.get_by_role("button", name="Dismiss").click()
    expect(told).to_be_hidden()
    own_house.say("and on it goes", contact=2, name="Caio Tavares")
    expect(row(page, "Caio Tavares")).to_contain_text("and on it goes")


def test_an_inbox_more_is_there_at_once_and_without_a_fuss(house: House, page: Page) -> None:
    """Membership changes end the session; the page comes back with the new list, quietly."""
    house.say("hello")
    noa = {"name": f"noa-{house.inbox}", "role": "member"}
    house.ask("add_user", **noa)
    token = house.ask("create_token", user=noa["name"])["token"]
    page.goto(f"{house.url}/#token={token}")
    live(page)
    expect(page.get_by_text("You do not belong to an inbox yet")).to_be_visible()
    house.ask("add_user", **noa, inboxes=[house.inbox])
    expect(row(page, "Beatriz")).to_contain_text("hello")
    live(page)
    expect(page.locator(".notice-row")).to_have_count(0)


def test_a_search_opens_the_conversation_at_what_it_found(house: House, page: Page) -> None:
    """Far above the end, marked, and it stays there when the search is cleared."""
    house.say("the number is 8841-X")
    for start in range(0, 400, 50):
        house.say(*(f"line {number}" for number in range(start, start + 50)))
    page.goto(house.link())
    live(page)
    page.get_by_label("Search names and messages").fill("8841-x")
    expect(page.get_by_role("option")).to_have_count(1)
    open_row(page, "Beatriz")
    hit = page.locator(".bubble-hit")
    expect(hit).to_have_text(re.compile("the number is 8841-X"))
    expect(hit).to_be_in_viewport()
    page.get_by_role("button", name="Clear the search").click()
    expect(hit).to_be_in_viewport()
    page.get_by_role("button", name="Last message").click()
    expect(bubbles(page).last).to_have_text("line 399")
    expect(bubbles(page).last).to_be_in_viewport()


def test_thousands_of_conversations_scroll_from_the_first_to_the_last(
    house: House, page: Page
) -> None:
    """Some thirty rows are on the page at any time, and a reload shows them from the browser.

    They are written as the page signs in, so that its lists stand far behind the log. How it is
    with 50,000 of them, `make bench` measures.
    """
    for start in range(0, MANY, A_POST):
        contacts = range(start, start + A_POST)
        house.post([(each, f"Contact {each}", text(f"text {each}")) for each in contacts])
    page.goto(house.link())
    live(page)
    expect(row(page, f"Contact {MANY - 1}")).to_be_visible()
    scroll(page, "box.scrollHeight")
    expect(page.locator(".row-name").get_by_text("Contact 0", exact=True)).to_be_visible()
    assert page.get_by_role("option").count() < 60
    scroll(page, f"64 * {MANY // 2}")
    expect(row(page, f"Contact {MANY // 2 - 1}")).to_be_visible()
    page.context.route("**/v1/**", lambda route: route.abort())
    page.reload()
    expect(row(page, f"Contact {MANY - 1}")).to_be_visible()
    expect(page.locator(".list-rows")).to_have_js_property("clientHeight", 64 * MANY)
    print(figures(page))


def scroll(page: Page, to: str) -> None:
    """Bring the list's scroll position there, once the whole list is known."""
    whole = page.locator(".list-rows")
    expect(whole).to_have_js_property("clientHeight", 64 * MANY, timeout=120_000)
    page.locator(".list").evaluate(f"box => {{ box.scrollTop = {to} }}")


def figures(page: Page) -> Any:
    """First paint, rows and memory of the page as it is now."""
    return page.evaluate("""() => ({
        first_paint_ms: performance.getEntriesByName('first-contentful-paint')[0]?.startTime,
        heap_mib: Math.round(performance.memory.usedJSHeapSize / 2 ** 20),
        elements: document.querySelectorAll('*').length,
    })""")
