"""What a person sees of the inbox, as the tests ask for it."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

WAIT_MS = 30_000


def pill(page: Page) -> Locator:
    """The connection's state in words."""
    return page.locator(".pill")


def live(page: Page) -> None:
    """Wait until the page says that it has everything."""
    expect(pill(page)).to_contain_text("Live", timeout=WAIT_MS)


def row(page: Page, name: str) -> Locator:
    """A conversation in the list."""
    return page.get_by_role("option").filter(has_text=name)


def bubbles(page: Page) -> Locator:
    """The messages in the open conversation that exist on the page, in order."""
    return page.locator(".bubble .body")


def open_row(page: Page, name: str) -> None:
    """Open a conversation by a click."""
    row(page, name).click()
    expect(page.locator(".pane-title")).to_contain_text(name)
