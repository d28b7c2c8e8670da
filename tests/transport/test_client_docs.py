"""docs/client-python.md: every example runs, every name exists."""

from __future__ import annotations

import asyncio
import inspect
import re
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.transport.fake_server import PATIENCE_S, FakeServer
from transport import client_errors
from transport.client import Inbox, connect
from transport.client_session import State
from transport.cursor_store import SqliteCursorStore

PAGE = (Path(__file__).parents[2] / "docs" / "client-python.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def example(name: str) -> Any:
    """The function of this name, from the example that defines it."""
    (code,) = (code for code in EXAMPLES if f"async def {name}(" in code)
    namespace: dict[str, Any] = {"__name__": "example"}
    exec(compile(code, "client-python.md", "exec"), namespace)  # noqa: S102 - our own page
    return namespace[name]


def against_a_server(function: Any, *arguments: Any, handled: int, epoch: str = "e1") -> FakeServer:
    """Run an example until the server has heard that it handled so many events, and stop it."""

    async def scenario() -> FakeServer:
        async with asyncio.timeout(PATIENCE_S), FakeServer() as server:
            server.epoch = epoch
            await server.commit(handled + 1)
            task = asyncio.create_task(function(server.url, "a token", *arguments))
            await server.until(lambda: server.acks[-1:] >= [handled])
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            return server

    return asyncio.run(scenario())


def test_the_first_example_prints_events(capsys: pytest.CaptureFixture[str]) -> None:
    """What one pastes first has to work."""
    against_a_server(example("main"), handled=3)
    assert capsys.readouterr().out.count("message.received") >= 3


def test_the_transaction_example_stores_effect_and_cursor(tmp_path: Path) -> None:
    """And both agree."""
    with closing(sqlite3.connect(tmp_path / "app.db")) as db:
        db.execute("CREATE TABLE messages (position INTEGER)")
        against_a_server(example("keep"), db, handled=3)
        stored = [row[0] for row in db.execute("SELECT position FROM messages")]
        last = SqliteCursorStore(db).load()
        assert last is not None
        assert stored == list(range(1, last.position + 1))


def test_the_reset_example_starts_over() -> None:
    """Run on its own, without a reset, it only collects."""
    known: dict[int, str] = {}
    against_a_server(example("follow"), known, handled=3)
    assert list(known)[:3] == [1, 2, 3]


def test_the_sync_example_is_complete() -> None:
    """Run without anything skipped, it only collects; `sync` itself is tested beside the API."""
    known: dict[int, str] = {}
    against_a_server(example("complete"), known, handled=3)
    assert list(known)[:3] == [1, 2, 3]


def test_each_example_is_run_by_a_test() -> None:
    """A new example needs a test above."""
    names = [re.findall(r"^async def (\w+)", code, re.MULTILINE) for code in EXAMPLES]
    assert names == [["main"], ["keep"], ["follow"], ["complete"]]


def test_every_option_attribute_error_and_state_is_on_the_page() -> None:
    """Complete for whoever uses the client; `window` aside, what tests inject is left out."""
    injected = {"url", "device", "backoff", "open_socket", "clock", "rng"}
    options = set(inspect.signature(connect).parameters) - injected
    attributes = {name for name in vars(Inbox) if not name.startswith("_")}
    bases = {"ClientError", "Interrupted"}
    errors = {
        name
        for name, cls in vars(client_errors).items()
        if inspect.isclass(cls) and issubclass(cls, Exception) and name not in bases
    }
    names = options | attributes | errors | {state.value for state in State}
    assert {name for name in names if not re.search(rf"\b{name}\b", PAGE)} == set()
