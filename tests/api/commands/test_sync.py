"""`malote sync`: the Python client on a command line, against a server on a socket."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from api.commands import main
from api.commands.sync import _human
from tests.transport.fake_server import FakeServer, cursor, event
from transport.inbox_event import InboxEvent

PATIENCE_S = 20


class Server:
    """The tests' server, on a loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.fake = FakeServer()
        self.do(self.fake.start())

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        """Run this over there, and wait for it."""
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    def stop(self) -> None:
        """End it and its thread."""
        self.do(self.fake.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture
def server() -> Iterator[Server]:
    """With five events."""
    it = Server()
    it.do(it.fake.commit(5))
    yield it
    it.stop()


def malote_sync(server: Server, *words: str) -> Result:
    """Run it in this process until it has caught up."""
    line = ["sync", "--once", "--url", server.fake.url, *words]
    return CliRunner().invoke(main, line, env={"MALOTE_TOKEN": "a token"})


def test_everything_is_printed_once_and_in_order(server: Server) -> None:
    """As the protocol's event objects, one a line."""
    result = malote_sync(server, "--json")
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["position"] for line in lines] == [1, 2, 3, 4, 5]
    assert lines[0]["cursor"] == str(cursor(1))
    assert lines[0]["data"] == {"message_id": "m1"}
    assert lines[0]["time"] == "2026-11-22T14:02:11.123456Z"
    server.do(server.fake.until(lambda: server.fake.acks[-1:] == [5]))


def test_the_cursor_file_is_where_the_next_run_begins(server: Server, tmp_path: Path) -> None:
    """The server may have forgotten the device; the file has not."""
    kept = ("--json", "--cursor", str(tmp_path / "cursor.db"))
    assert len(malote_sync(server, *kept).stdout.splitlines()) == 5
    server.fake.acks.clear()
    assert malote_sync(server, *kept).stdout == ""
    server.do(server.fake.commit(2))
    lines = malote_sync(server, *kept).stdout.splitlines()
    assert [json.loads(line)["position"] for line in lines] == [6, 7]


def test_a_reset_is_a_line_of_its_own(server: Server, tmp_path: Path) -> None:
    """Never silently, for programs and for people."""
    file = str(tmp_path / "cursor.db")
    malote_sync(server, "--cursor", file)
    server.fake.epoch = "e2"
    result = malote_sync(server, "--json", "--cursor", file)
    assert json.loads(result.stdout) == {
        "type": "reset",
        "reason": "epoch_changed",
        "cursor": str(cursor(5, "e2")),
        "count": None,
    }
    server.fake.epoch = "e3"
    assert malote_sync(server, "--cursor", file).stdout.startswith("-- reset (epoch_changed)")


def test_people_get_a_line_they_can_read(server: Server) -> None:
    """Position, inbox, type and what it says."""
    first = malote_sync(server).stdout.splitlines()[0]
    for word in ("1", "support", "message.received", "m1"):
        assert word in first.split() or word in first


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "(erased)"),
        (
            {"contact": {"id": "c", "name": "Ana"}, "content": {"body": "hi\x1b[2J"}},
            "Ana: hi\\x1b[2J",
        ),
        ({"contact": {"id": "c"}, "content": {"type": "generic", "text": "paid"}}, "c: paid"),
        ({"status": "read"}, '{"status":"read"}'),
    ],
)
def test_a_line_says_who_and_what(data: dict[str, Any] | None, said: str) -> None:
    """Contents come from strangers: what could move the cursor is escaped."""
    shown = _human(InboxEvent.from_wire(event(1) | {"data": data}))
    assert shown.endswith(f" {said}")


def test_a_refused_token_is_exit_code_1_with_the_reason(server: Server) -> None:
    """Said once, and not tried for ever."""
    server.fake.refuse = lambda _: (401, {})
    result = malote_sync(server)
    assert result.exit_code == 1
    assert "401" in result.output


@pytest.mark.parametrize("words", [["--url", "nonsense"], ["--device", "not a name"]])
def test_a_wrong_option_is_exit_code_2(words: list[str]) -> None:
    """Before anything is sent."""
    line = ["sync", "--url", "http://127.0.0.1:1", *words]
    result = CliRunner().invoke(main, line, env={"MALOTE_TOKEN": "t"})
    assert result.exit_code == 2, result.output


def test_no_token_is_exit_code_2() -> None:
    """It comes from the environment or a file, never from the command line."""
    result = CliRunner().invoke(main, ["sync"], env={"MALOTE_TOKEN": ""})
    assert result.exit_code == 2
    assert "MALOTE_TOKEN" in result.output
