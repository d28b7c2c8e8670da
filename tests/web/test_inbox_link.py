"""A link that works and is slow: the server measures it, the page says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.web.house import MISSING, House, opened
from tests.web.looking import live, pill

QUICK = ("-m", "tests.web.poor_link_server", "serve", "--host", "127.0.0.1", "--port", "0")
SLOW_PONGS = """
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (text) {
  if (!window.slow || !text.includes('"pong"')) send.call(this, text);
  else setTimeout(() => this.readyState === 1 && send.call(this, text), 900);
};
"""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A server that asks for signs of life every half second."""
    if MISSING is not None:
        pytest.skip(MISSING)
    with opened(tmp_path / "data", QUICK) as house:
        yield house


def test_late_pongs_make_the_connection_a_slow_one_and_prompt_ones_a_live_one(
    house: House, page: Page
) -> None:
    """By the server's verdict, with the round trip and its line in the popover."""
    page.add_init_script(SLOW_PONGS)
    page.goto(house.link())
    live(page)
    page.evaluate("window.slow = true")
    expect(pill(page)).to_contain_text("Slow connection")
    pill(page).click()
    popover = page.locator("#connection")
    expect(popover).to_contain_text("Round trip")
    expect(popover.get_by_role("img")).to_be_visible()
    page.evaluate("window.slow = false")
    expect(pill(page)).to_contain_text("Live", timeout=60_000)
