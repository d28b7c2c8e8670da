"""For auditors: the inbox as it was, what happened when, and how far the history is signed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.acceptance.world import malote, recorded
from tests.web.house import MISSING, House, opened
from tests.web.looking import bubbles, live, open_row, row


def timeline(page: Page) -> Locator:
    """The bar under the top bar."""
    return page.get_by_role("region", name="Timeline")


def head(house: House) -> int:
    """The position of the newest event."""
    return max(position for position, _, _ in recorded(house.server.folder))


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A server, in which each test has a contact of its own."""
    if MISSING is not None:
        pytest.skip(MISSING)
    with opened(tmp_path_factory.mktemp("seen") / "data") as house:
        yield house


def shown(page: Page, house: House) -> Locator:
    """The inbox of an auditor, the timeline open."""
    page.goto(house.link("aud"))
    live(page)
    page.get_by_role("button", name="Timeline").click()
    bar = timeline(page)
    expect(bar.get_by_role("slider", name="Moment")).to_be_visible()
    return bar


def test_a_moment_that_the_log_has_not_is_told_in_plain_words(seen: House, page: Page) -> None:
    """No parameter's name, and a way back."""
    bar = shown(page, seen)
    page.goto(f"{page.url}#at=999999999")
    expect(bar.get_by_role("alert")).to_contain_text("The log has no such moment.")
    bar.get_by_role("button", name="Back to now").click()
    expect(bar.get_by_role("alert")).to_have_count(0)


def test_an_auditor_goes_back_message_by_message_and_returns(seen: House, page: Page) -> None:
    """List, messages and position are as of then; what arrives meanwhile is not mixed in."""
    seen.say("first")
    seen.say("second", contact=2, name="Caio Tavares")
    seen.say("third")
    bar = shown(page, seen)
    open_row(page, "Beatriz")
    expect(bubbles(page)).to_have_text(["first", "third"])
    page.goto(f"{page.url}&at={head(seen)}")
    expect(bar).to_contain_text("You are looking at")
    expect(bubbles(page)).to_have_text(["first", "third"])
    bar.get_by_role("button", name="Before the last message").click()
    expect(bubbles(page)).to_have_text(["first"])
    expect(row(page, "Caio Tavares")).to_be_visible()
    bar.get_by_role("button", name="Before the last message").click()
    expect(row(page, "Caio Tavares")).to_be_hidden()
    seen.say("fourth")
    expect(bubbles(page)).to_have_text(["first"])
    bar.get_by_role("button", name="To the next message").click()
    expect(row(page, "Caio Tavares")).to_be_visible()
    page.reload()
    expect(timeline(page)).to_contain_text("You are looking at")
    timeline(page).get_by_role("button", name="Back to now").click()
    expect(bubbles(page)).to_have_text(["first", "third", "fourth"])
    expect(timeline(page)).not_to_contain_text("You are looking at")


def test_the_scrubber_leads_to_a_time_by_keyboard(seen: House, page: Page) -> None:
    """An hour ago there was nothing; one key leads back to now."""
    seen.say("first", contact=5, name="Elias Monteiro")
    bar = shown(page, seen)
    slider = bar.get_by_role("slider", name="Moment")
    slider.focus()
    slider.press("Home")
    expect(bar).to_contain_text("You are looking at")
    expect(page.get_by_text("Nothing had arrived yet")).to_be_visible()
    slider.press("End")
    expect(bar).not_to_contain_text("You are looking at")
    expect(row(page, "Elias")).to_be_visible()


def test_the_signed_state_is_checked_and_the_checkpoint_proves_the_log_later(
    seen: House, page: Page, tmp_path: Path
) -> None:
    """What is saved in the browser is what `malote verify` takes."""
    seen.say("first", contact=6, name="Ingrid Halvorsen")
    seen.ask("checkpoint", sign=True)
    bar = shown(page, seen)
    bar.get_by_role("button", name="Signed to").click()
    told = page.get_by_role("region", name="Signed history")
    expect(told).to_contain_text("checked in this browser")
    with page.expect_download() as saving:
        told.get_by_role("link", name="Save the checkpoint").click()
    kept = tmp_path / "checkpoint.json"
    saving.value.save_as(kept)
    malote(seen.server.folder, "verify", "--checkpoint", str(kept))


def test_a_member_has_no_timeline(house: House, page: Page) -> None:
    """Neither a button nor a key."""
    house.say("first")
    page.goto(house.link())
    live(page)
    expect(page.get_by_role("button", name="Timeline")).to_have_count(0)
    page.keyboard.press("t")
    expect(timeline(page)).to_have_count(0)
