"""One server for a worker's tests, one browser for a module's; each has an inbox and a profile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.acceptance.world import Server, running
from tests.web.house import CHROMIUM, MISSING, House, moved_in, opened

WAIT_MS = 30_000
expect.set_options(timeout=WAIT_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that needs the browser has five times as long before it counts as hanging."""
    for item in items:
        if "tests/web/" in item.nodeid and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The machine's Chromium; without one, or without a build, the reason why it is skipped.

    For a module and not for the session: while Playwright runs no other test of this process can
    run an event loop of its own.
    """
    if MISSING is not None:
        pytest.skip(MISSING)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server in which each test has an inbox."""
    with running(tmp_path_factory.mktemp("shared") / "data") as server:
        yield server


@pytest.fixture
def house(request: pytest.FixtureRequest) -> House:
    """An inbox and its member, `ana`."""
    if MISSING is not None:
        pytest.skip(MISSING)
    return moved_in(request.getfixturevalue("shared_server"))


@pytest.fixture
def own_house(tmp_path: Path) -> Iterator[House]:
    """A server with a member, an administrator and an auditor, and nothing else in it."""
    if MISSING is not None:
        pytest.skip(MISSING)
    with opened(tmp_path / "data") as house:
        yield house


Profile = Callable[..., BrowserContext]


@pytest.fixture
def profile(browser: Browser) -> Iterator[Profile]:
    """Makes a browser profile of its own: its tabs share what it stores. No page may crash."""
    made: list[BrowserContext] = []
    errors: list[str] = []

    def make(width: int = 1440, height: int = 900, **more: object) -> BrowserContext:
        still = {"reduced_motion": "reduce"}
        settings = {"locale": "en-GB", "timezone_id": "America/Sao_Paulo", **still, **more}
        context = browser.new_context(viewport={"width": width, "height": height}, **settings)  # type: ignore[arg-type]
        context.set_default_timeout(WAIT_MS)
        context.on("weberror", lambda error: errors.append(str(error.error)))
        made.append(context)
        return context

    yield make
    for context in made:
        context.close()
    assert not errors


@pytest.fixture
def page(profile: Profile) -> Page:
    """One tab in a profile of its own."""
    return profile().new_page()
