"""For auditors: the inbox as it was, what happened when, and how far the history is signed."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.acceptance.world import malote, recorded
from tests.web.house import House
from tests.web.looking import bubbles, live, open_row, row


def timeline(page: Page) -> Locator:
    """The bar under the top bar."""
    return page.get_by_role("region", name="Timeline")


def head(house: House) -> int:
    """The position of the newest event."""
    return max(position for position, _, _ in recorded(house.server.folder))


def opened(page: Page, house: House, user: str = "aud") -> Locator:
    """The inbox of an auditor, the timeline open."""
    page.goto(house.link(user))
    live(page)
    page.get_by_role("button", name="Timeline").click()
    bar = timeline(page)
    expect(bar.get_by_role("slider", name="Moment")).to_be_visible()
    return bar


def test_an_auditor_goes_back_message_by_message_and_returns(own_house: House, page: Page) -> None:
    """List, messages and position are as of then; what arrives meanwhile is not mixed in."""
    own_house.say("first")
    own_house.say("second", contact=2, name="Caio Tavares")
    own_house.say("third")
    bar = opened(page, own_house)
    open_row(page, "Beatriz")
    expect(bubbles(page)).to_have_text(["first", "third"])
    page.goto(f"{page.url}&at={head(own_house)}")
    expect(bar).to_contain_text("You are looking at")
    expect(bubbles(page)).to_have_text(["first", "third"])
    bar.get_by_role("button", name="Before the last message").click()
    expect(bubbles(page)).to_have_text(["first"])
    expect(row(page, "Caio Tavares")).to_be_visible()
    bar.get_by_role("button", name="Before the last message").click()
    expect(row(page, "Caio Tavares")).to_be_hidden()
    own_house.say("fourth")
    expect(bubbles(page)).to_have_text(["first"])
    bar.get_by_role("button", name="To the next message").click()
    expect(row(page, "Caio Tavares")).to_be_visible()
    page.reload()
    expect(timeline(page)).to_contain_text("You are looking at")
    timeline(page).get_by_role("button", name="Back to now").click()
    expect(bubbles(page)).to_have_text(["first", "third", "fourth"])
    expect(timeline(page)).not_to_contain_text("You are looking at")


def test_the_scrubber_leads_to_a_time_by_keyboard(own_house: House, page: Page) -> None:
    """An hour ago there was nothing; one key leads back to now."""
    own_house.say("first")
    bar = opened(page, own_house)
    slider = bar.get_by_role("slider", name="Moment")
    slider.focus()
    slider.press("Home")
    expect(bar).to_contain_text("You are looking at")
    expect(page.get_by_text("Nothing had arrived yet")).to_be_visible()
    slider.press("End")
    expect(bar).not_to_contain_text("You are looking at")
    expect(row(page, "Beatriz")).to_be_visible()


def test_the_signed_state_is_checked_and_the_checkpoint_proves_the_log_later(
    own_house: House, page: Page, tmp_path: Path
) -> None:
    """What is saved in the browser is what `malote verify` takes."""
    own_house.say("first")
    own_house.ask("checkpoint", sign=True)
    bar = opened(page, own_house)
    bar.get_by_role("button", name="Signed to").click()
    told = page.get_by_role("region", name="Signed history")
    expect(told).to_contain_text("checked in this browser")
    with page.expect_download() as saving:
        told.get_by_role("link", name="Save the checkpoint").click()
    kept = tmp_path / "checkpoint.json"
    saving.value.save_as(kept)
    malote(own_house.server.folder, "verify", "--checkpoint", str(kept))


def test_a_member_has_no_timeline(house: House, page: Page) -> None:
    """Neither a button nor a key."""
    house.say("first")
    page.goto(house.link())
    live(page)
    expect(page.get_by_role("button", name="Timeline")).to_have_count(0)
    page.keyboard.press("t")
    expect(timeline(page)).to_have_count(0)
