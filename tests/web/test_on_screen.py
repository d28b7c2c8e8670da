"""For auditors: the inbox as one device had it at a moment, and what it had not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.acceptance.world import recorded
from tests.web.conftest import Profile
from tests.web.house import House, opened
from tests.web.looking import bubbles, live, open_row, pill, row
from tests.web.test_inbox_access import findings
from tests.web.test_operations import REFUSING

LAPTOP = "localStorage.setItem('malote.device', 'laptop')"


def banner(page: Page) -> Locator:
    """Whose screen this is, and how it stood."""
    return page.get_by_role("status", name="Whose screen this is")


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[House]:
    """Ana's laptop had a message, lost its network, missed another; her wall refused the first."""
    with opened(tmp_path_factory.mktemp("lived") / "data") as house:
        page = browser.new_page()
        page.add_init_script(LAPTOP)
        page.goto(house.link())
        live(page)
        page.evaluate(REFUSING, house.tokens["ana"])
        house.say("seen in time")
        expect(row(page, "Beatriz")).to_contain_text("seen in time")
        page.context.set_offline(True)
        expect(pill(page)).to_contain_text("Offline")
        house.say("while she was away", contact=2, name="Caio Tavares")
        page.context.close()
        yield house


def audited(page: Page, house: House, device: str = "ana · laptop") -> None:
    """An auditor looks at that device's screen as it is now."""
    page.goto(house.link("aud"))
    live(page)
    page.get_by_role("button", name="Timeline").click()
    page.get_by_label("Seen by").select_option(label=device)
    expect(banner(page)).to_be_visible()


def test_a_device_is_shown_as_it_was_and_not_as_the_log_was(lived: House, page: Page) -> None:
    """What waited is counted and not shown; back to now leads to everything again."""
    audited(page, lived)
    expect(banner(page)).to_contain_text("This is what ana had on laptop")
    expect(banner(page)).to_contain_text("1 event was waiting")
    open_row(page, "Beatriz")
    expect(bubbles(page)).to_have_text(["seen in time"])
    expect(row(page, "Caio Tavares")).to_have_count(0)
    page.get_by_role("button", name="Back to now").click()
    expect(banner(page)).to_have_count(0)
    expect(row(page, "Caio Tavares")).to_be_visible()


def test_a_message_that_was_put_aside_is_not_passed_off_as_shown(lived: House, page: Page) -> None:
    """It is there for the auditor, marked, with the reason in words."""
    audited(page, lived, "ana · wall")
    open_row(page, "Beatriz")
    bubble = page.locator(".bubble").filter(has_text="seen in time")
    expect(bubble).to_contain_text("Not on this screen: put aside")


def test_before_its_first_session_a_device_showed_nothing(lived: House, page: Page) -> None:
    """The moment and the device are in the address; a reload keeps both."""
    page.goto(lived.link("aud"))
    live(page)
    first = min(at for at, kind, _ in recorded(lived.server.folder) if kind == "token.issued")
    page.goto(f"{lived.url}/#at={first}&on=ana%2Flaptop")
    expect(banner(page)).to_contain_text("laptop of ana was not here yet")
    expect(page.get_by_role("option").filter(has=page.locator(".row-name"))).to_have_count(0)
    page.reload()
    expect(banner(page)).to_contain_text("laptop of ana was not here yet")
    page.get_by_label("Seen by").select_option(label="Everything recorded")
    expect(banner(page)).to_have_count(0)
    expect(page.get_by_text("You are looking at")).to_be_visible()


def test_portuguese_says_whose_screen_it_is(lived: House, profile: Profile) -> None:
    """In words of its own."""
    page = profile(locale="pt-BR").new_page()
    page.goto(lived.link("aud"))
    page.goto(f"{lived.url}/#on=ana%2Flaptop")
    told = page.get_by_role("status", name="De quem é esta tela")
    expect(told).to_contain_text("Isto é o que ana tinha em laptop")
    expect(told).to_contain_text("1 evento esperava")


def test_axe_finds_nothing_on_somebodys_screen(lived: House, page: Page) -> None:
    """With a message that was missing on it, wide and narrow."""
    audited(page, lived, "ana · wall")
    found = {"list": findings(page)}
    open_row(page, "Beatriz")
    expect(page.locator(".bubble-lacking")).to_be_visible()
    found["wide"] = findings(page)
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.locator(".bubble-lacking")).to_be_visible()
    found["narrow"] = findings(page)
    assert found == {view: [] for view in found}
