"""For everybody: no finding of axe on any view, and everything by keyboard alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest
from playwright.sync_api import Page, expect

from tests.web.conftest import Profile
from tests.web.house import ROOT, House
from tests.web.looking import bubbles, live, open_row, pill, row

AXE = ROOT / "web/node_modules/axe-core/axe.min.js"
CHECKED = """async tags => {
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
    return (await axe.run({runOnly: tags})).violations;
}"""
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def findings(page: Page) -> list[str]:
    """What axe has against the page as it is now, in light and in dark: rule and element."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text())
    return [
        f"{scheme} {violation['id']}: {node['target']} {node['failureSummary']}"
        for scheme in ("light", "dark")
        for violation in violations(page, scheme)
        for node in violation["nodes"]
    ]


def violations(page: Page, scheme: Literal["light", "dark"]) -> Any:
    """The same in one of the two, as axe has it, once its colours are on the page."""
    page.emulate_media(color_scheme=scheme)
    return page.evaluate(CHECKED, TAGS)


def every_view(page: Page, house: House) -> Iterator[str]:
    """Leads from one view to the next, from signing in to signing out, and names each."""
    page.goto(house.url)
    expect(page.get_by_label("Access token")).to_be_visible()
    yield "signing in"
    page.goto(house.link())
    live(page)
    expect(row(page, "Beatriz")).to_be_visible()
    yield "list"
    pill(page).click()
    expect(page.locator("#connection")).to_be_visible()
    yield "connection"
    page.context.set_offline(True)
    expect(pill(page)).to_contain_text("Offline")
    yield "offline, the popover open"
    page.context.set_offline(False)
    live(page)
    page.keyboard.press("Escape")
    expect(page.locator("#connection")).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    expect(page.locator("#user")).to_be_visible()
    yield "menu"
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    yield "list of keys"
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Sync", exact=True).click()
    expect(page.locator(".toast")).to_be_visible()
    yield "synced"
    page.get_by_label("Search names and messages").fill("caption")
    expect(page.get_by_role("option")).to_have_count(1)
    yield "searched"
    page.get_by_role("button", name="Clear the search").click()
    open_row(page, "Beatriz")
    expect(page.locator(".bubble").last).to_be_visible()
    yield "conversation with a message of every kind"
    page.get_by_role("button", name="Details").click()
    expect(page.get_by_role("complementary", name="Details")).to_be_visible()
    yield "details"
    page.get_by_role("complementary").get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Access token")).to_be_visible()
    yield "signed out"


KINDS: tuple[dict[str, Any], ...] = (
    {"type": "text", "text": {"body": "hello, see https://example.com"}},
    {"type": "image", "image": {"id": "1", "mime_type": "image/jpeg", "caption": "a caption"}},
    {"type": "audio", "audio": {"id": "2", "mime_type": "audio/ogg", "voice": True}},
    {"type": "video", "video": {"id": "3", "mime_type": "video/mp4"}},
    {
        "type": "document",
        "document": {"id": "4", "mime_type": "application/pdf", "filename": "a.txt"},
    },
    {"type": "sticker", "sticker": {"id": "5", "mime_type": "image/webp", "animated": True}},
    {"type": "location", "location": {"latitude": -23.5, "longitude": -46.6, "name": "Here"}},
    {
        "type": "contacts",
        "contacts": [{"name": {"formatted_name": "Zoe"}, "phones": [{"phone": "+1 555 0100"}]}],
    },
    {
        "type": "order",
        "order": {
            "catalog_id": "1",
            "product_items": [
                {
                    "product_retailer_id": "SKU-1",
                    "quantity": 2,
                    "item_price": 9.5,
                    "currency": "BRL",
                }
            ],
        },
    },
    {"type": "button", "button": {"payload": "yes", "text": "Yes, please"}},
    {
        "type": "system",
        "system": {"type": "user_changed_number", "body": "A new number"},
    },
    {"type": "unsupported", "errors": [{"code": 131051, "title": "Message type unknown"}]},
    {"type": "poll_of_the_future"},
)
SHOWN = (
    *("hello, see", "Photo", "Voice message", "Video", "a.txt", "Sticker", "Here", "Zoe", "SKU-1"),
    *("Yes, please", "A new number", "Message type unknown", "poll_of_the_future"),
)
"""What is to be read of each of them."""


def furnished(house: House) -> None:
    """Every kind of message in one conversation, and a second conversation."""
    house.post([(1, "Beatriz Nogueira", kind) for kind in KINDS])
    answer = house.echo("Good morning")
    house.report(answer, "read")
    house.say("second", contact=2, name="Caio Tavares")


@pytest.mark.parametrize("size", [(1440, 900), (390, 844)], ids=["desktop", "phone"])
def test_axe_finds_nothing_on_any_view(
    house: House, profile: Profile, size: tuple[int, int]
) -> None:
    """WCAG 2.2 AA and the best practices, in light and dark, wide and narrow."""
    furnished(house)
    page = profile(*size).new_page()
    found = {view: findings(page) for view in every_view(page, house)}
    assert len(found) == 11
    assert found == {view: [] for view in found}


def test_every_kind_of_message_is_shown_as_what_it_is(house: House, page: Page) -> None:
    """And a kind that nobody knows yet is named, not hidden."""
    furnished(house)
    page.goto(house.link())
    open_row(page, "Beatriz")
    scroll: Callable[[int], Any] = page.locator(".messages").evaluate
    for words in SHOWN:
        for _ in range(40):
            if page.locator(".messages").get_by_text(words).first.is_visible():
                break
            scroll("box => { box.scrollTop -= 200 }")  # type: ignore[arg-type]
            page.wait_for_timeout(50)
        else:
            raise AssertionError(f"{words} is nowhere")
        scroll("box => { box.scrollTop = box.scrollHeight }")  # type: ignore[arg-type]


def test_everything_is_done_by_keyboard(house: House, page: Page) -> None:
    """From signing in to signing out, without a pointer."""
    house.say("first", contact=1, name="Beatriz Nogueira")
    house.say("second", contact=2, name="Caio Tavares")
    page.goto(house.url)
    expect(page.get_by_label("Access token")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.type(house.tokens["ana"])
    page.keyboard.press("Enter")
    live(page)
    expect(page.get_by_role("option")).to_have_count(2)
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(bubbles(page)).to_have_text(["first"])
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    expect(bubbles(page)).to_have_text(["second"])
    page.keyboard.press("d")
    expect(page.get_by_role("complementary", name="Details")).to_be_visible()
    page.keyboard.press("d")
    page.keyboard.press("Escape")
    expect(page.get_by_text("Choose a conversation")).to_be_visible()
    expect(page.get_by_role("listbox")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(bubbles(page)).to_have_text(["first"])
    page.keyboard.press("s")
    expect(page.locator(".toast")).to_contain_text("Everything is up to date")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_single_keys_can_be_switched_off(house: House, page: Page) -> None:
    """For whoever speaks to the machine (WCAG 2.1.4); the choice outlives a reload."""
    house.say("first")
    page.goto(house.link())
    live(page)
    page.keyboard.press("?")
    page.get_by_label("Shortcuts of a single key").uncheck()
    page.keyboard.press("Escape")
    page.reload()
    live(page)
    page.keyboard.press("?")
    page.keyboard.press("/")
    page.wait_for_timeout(300)
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_label("Search names and messages")).not_to_be_focused()
