"""For auditors: the life of one message, from the webhook that brought it to each device's ack."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.web.conftest import Profile
from tests.web.house import House, opened
from tests.web.looking import bubbles, live, open_row, row
from tests.web.test_inbox_access import findings
from tests.web.test_operations import REFUSING


def trace(page: Page) -> Locator:
    """The column beside the conversation."""
    return page.get_by_role("complementary", name="Trace")


def device(page: Page, user: str, named: str) -> Locator:
    """A device's part of it."""
    return trace(page).get_by_role("group").filter(has_text=user).filter(has_text=named)


def traced(page: Page, house: House, contact: str, said: str) -> None:
    """The inbox of an auditor, and the trace of the message that says so."""
    page.goto(house.link("aud"))
    live(page)
    open_row(page, contact)
    bubble = page.locator(".bubble").filter(has_text=said)
    bubble.get_by_role("button", name="Trace of the message").click()
    expect(trace(page)).to_contain_text("Stored at position")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[House]:
    """A server in which one device has a message and another put it aside."""
    with opened(tmp_path_factory.mktemp("told") / "data") as house:
        page = browser.new_page()
        page.goto(house.link())
        live(page)
        page.evaluate(REFUSING, house.tokens["ana"])
        house.say("where is my order?")
        expect(row(page, "Beatriz")).to_be_visible()
        page.context.close()
        yield house


def test_a_message_is_followed_from_its_webhook_to_each_device(
    told: House, profile: Profile
) -> None:
    """Who has it since when, and why a device has not; what identifies it can be taken along."""
    context = profile()
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    traced(page, told, "Beatriz", "where is my order?")
    expect(trace(page)).to_contain_text("Webhook from whatsapp")
    expect(trace(page)).to_contain_text("signature verified")
    expect(device(page, "ana", "browser-")).to_contain_text("Acknowledged")
    wall = device(page, "ana", "wall")
    expect(wall).to_contain_text("Put aside")
    expect(wall).to_contain_text("no such screen")
    trace(page).get_by_role("button", name="Copy: SHA-256").click()
    expect(trace(page).get_by_role("status").filter(has_text="Copied")).to_be_visible()
    assert len(page.evaluate("navigator.clipboard.readText()")) == 64


def test_what_becomes_of_it_later_is_a_station_too(told: House, page: Page) -> None:
    """An erasure takes its words, and not the line; the trace is asked for again by a button."""
    told.say("my card number", contact=4, name="Dandara Rocha")
    traced(page, told, "Dandara", "my card number")
    position = int(page.evaluate("new URLSearchParams(location.hash.slice(1)).get('m')"))
    told.ask("redact", position=position, reason="asked by the contact", by="aud")
    expect(page.locator(".bubble")).to_contain_text("This message was erased")
    trace(page).get_by_role("button", name="Look again").click()
    expect(trace(page)).to_contain_text("Its words were erased")
    expect(trace(page)).to_contain_text("asked by the contact")
    page.reload()
    expect(trace(page)).to_contain_text("asked by the contact")


def test_the_trace_is_reached_and_left_by_keyboard(told: House, page: Page) -> None:
    """The message says so to who cannot see it; Escape leads back, and another conversation too."""
    told.say("first", contact=5, name="Elias Monteiro")
    told.say("second", contact=2, name="Caio Tavares")
    page.goto(told.link("aud"))
    live(page)
    open_row(page, "Elias")
    button = page.get_by_role("button", name="Trace of the message")
    button.focus()
    button.press("Enter")
    expect(trace(page)).to_be_visible()
    expect(button).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    expect(trace(page)).to_be_hidden()
    button.press("Enter")
    expect(trace(page)).to_be_visible()
    open_row(page, "Caio")
    expect(bubbles(page)).to_have_text(["second"])
    expect(trace(page)).to_be_hidden()


def test_a_member_has_no_trace(house: House, page: Page) -> None:
    """Neither a button nor by the address."""
    house.say("first")
    page.goto(house.link())
    live(page)
    open_row(page, "Beatriz")
    expect(bubbles(page)).to_have_text(["first"])
    expect(page.get_by_role("button", name="Trace of the message")).to_have_count(0)
    page.goto(f"{page.url}&m=1")
    page.reload()
    expect(bubbles(page)).to_have_text(["first"])
    expect(trace(page)).to_have_count(0)


def test_axe_finds_nothing_in_a_trace(told: House, page: Page) -> None:
    """With every part of it open, wide and narrow."""
    traced(page, told, "Beatriz", "where is my order?")
    for closed in trace(page).locator("details:not([open]) > summary").all():
        closed.click()
    found = {"wide": findings(page)}
    page.set_viewport_size({"width": 390, "height": 844})
    found["narrow"] = findings(page)
    assert found == {"wide": [], "narrow": []}
