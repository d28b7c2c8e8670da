"""What somebody sees who types `make demo` and opens the link: messages, a cable, a recovery."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.web.house import MISSING
from tests.web.looking import live, pill

LINK = re.compile(r"http://127\.0\.0\.1:\d+/#token=[\w-]+")
ENDS_S = "120"


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[str]:
    """The demo at a human pace, a little hurried; the link that it prints."""
    if MISSING is not None:
        pytest.skip(MISSING)
    words = ("-m", "api.commands", "demo", "--rate", "3", "--seed", "7", "--seconds", ENDS_S)
    with (tmp_path / "printed").open("w+") as printed:
        process = subprocess.Popen(
            [sys.executable, *words],
            env={**os.environ, "MALOTE_DATA": str(tmp_path / "demo")},
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
        try:
            yield link_in(tmp_path / "printed", process)
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
        finally:
            process.kill()
            process.wait()
    assert "lost: 0, verified: yes" in (tmp_path / "printed").read_text()


def link_in(printed: Path, process: subprocess.Popen[bytes]) -> str:
    """The login link, once it is printed."""
    for _ in range(600):
        if found := LINK.search(printed.read_text()):
            return found[0]
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        break
    raise AssertionError(f"no link: {printed.read_text()}")


def received(page: Page) -> int:
    """How many messages the list tells of as unread."""
    told = page.locator(".unread [aria-hidden]").all_inner_texts()
    return sum(int(count) for count in told)


def test_the_printed_link_shows_messages_arrive_and_the_cable_cut_and_recover(
    demo: str, page: Page
) -> None:
    """By clicks alone; and the past and the operations are shown to whoever looks for them."""
    page.goto(demo)
    live(page)
    expect(page.get_by_role("option").first).to_be_visible()
    before = received(page)
    page.wait_for_function(COUNT_ABOVE, arg=before)
    page.get_by_role("button", name="Pull the cable").click()
    expect(page.get_by_role("button", name="Cable pulled")).to_be_disabled()
    expect(pill(page)).to_contain_text(re.compile("Reconnecting · attempt"))
    expect(page.get_by_role("option").first).to_be_visible()
    away = received(page)
    live(page)
    expect(page.get_by_role("button", name="Pull the cable")).to_be_enabled()
    page.wait_for_function(COUNT_ABOVE, arg=away)
    page.get_by_role("button", name="Sync", exact=True).click()
    expect(page.locator(".toast")).to_contain_text("verified")
    page.get_by_role("button", name="Timeline").click()
    expect(page.get_by_role("slider", name="Moment")).to_be_visible()
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("button", name="Operations").click()
    expect(page.get_by_role("row").filter(has_text="bruno")).to_contain_text("phone")


COUNT_ABOVE = """before => [...document.querySelectorAll('.unread [aria-hidden]')]
    .reduce((sum, each) => sum + Number(each.textContent), 0) > before"""
