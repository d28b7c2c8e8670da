"""The Python client's ``sync()`` against our application, over a socket."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from eventstore.cursor import Cursor
from tests.api.serving import Place, chat, furnished, post, serving
from transport import client_sync
from transport.client_errors import HistoryReset, SyncRefused, SyncUnverified, Unauthorized
from transport.client_sync import sync

COUNT = 25


@contextmanager
def in_front_of(client: TestClient) -> Iterator[str]:
    """A socket whose requests the application answers; its URL."""

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.server.asked.append(self.path)  # type: ignore[attr-defined]
            answer = client.get(self.path, headers={"Authorization": self.headers["Authorization"]})
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as door:
        door.asked = []  # type: ignore[attr-defined]
        door.daemon_threads = True
        thread = threading.Thread(target=door.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{door.server_address[1]}"
        finally:
            door.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A furnished folder."""
    return furnished(Path(tmp_path_factory.mktemp("sync")) / "data")


@pytest.fixture(scope="module")
def url(place: Place) -> Iterator[str]:
    """A server on it, with messages in one inbox."""
    with serving(place.folder) as client:
        for number in range(COUNT):
            assert post(client, "support", chat(f"s-{number}")).status_code == 200
        with in_front_of(client) as url:
            yield url


def ids(url: str, token: str, **options: object) -> list[str]:
    """The message ids of all pages."""
    pages = sync(url, token, **options)  # type: ignore[arg-type]
    return [each.data["message_id"] for page in pages for each in page.events if each.data]


def test_all_pages_together_are_the_history(url: str, place: Place) -> None:
    """From the beginning, each once and in order, whatever a page holds; verified on the way."""
    token = place.tokens["ana"]
    for limit in (1, 7, 1000):
        assert ids(url, token, limit=limit) == [f"s-{number}" for number in range(COUNT)]


def test_a_page_leads_to_the_next_run(url: str, place: Place) -> None:
    """Keep the last page's cursor, and the next run has only what is new: here nothing."""
    *_, last = sync(url, place.tokens["ana"], limit=10)
    assert last.up_to_date
    (page,) = sync(url, place.tokens["ana"], cursor=last.cursor)
    assert (page.events, page.after) == ((), last.cursor)
    assert page.cursor.position >= last.cursor.position, "auditors' events may lie between"
    assert [each["id"] for each in last.conversations]


def test_what_was_skipped_is_had_exactly(url: str, place: Place) -> None:
    """`until` ends within a page, and nothing beyond it is handed out a second time."""
    events = [each for page in sync(url, place.tokens["ana"]) for each in page.events]
    after, until = events[3].cursor, events[11].cursor
    for limit in (2, 1000):
        got = ids(url, place.tokens["ana"], cursor=after, until=until, limit=limit)
        assert got == [f"s-{number}" for number in range(4, 12)]


def test_a_time_is_a_place_to_begin(url: str, place: Place) -> None:
    """With any zone; without one it is nobody's time."""
    events = [each for page in sync(url, place.tokens["ana"]) for each in page.events]
    zone = events[20].time.astimezone(datetime.now(UTC).astimezone().tzinfo)
    assert ids(url, place.tokens["ana"], since=zone) == [f"s-{n}" for n in range(20, COUNT)]
    long_ago = datetime(2000, 1, 1, tzinfo=UTC)
    assert len(ids(url, place.tokens["ana"], since=long_ago)) == COUNT
    with pytest.raises(ValueError, match="zone"):
        sync(url, "t", since=datetime(2000, 1, 1))  # noqa: DTZ001 - that is the point


def test_a_cursor_of_another_history_is_a_reset(url: str, place: Place) -> None:
    """Never an empty page (G9); where to go on is in it."""
    beyond = Cursor("another", 10**6, "00000000")
    with pytest.raises(HistoryReset) as caught:
        list(sync(url, place.tokens["ana"], cursor=beyond))
    assert caught.value.reset.reason == "ahead_of_log"
    (page,) = sync(url, place.tokens["ana"], cursor=caught.value.reset.cursor)
    assert page.up_to_date


def test_a_refusal_says_what_it_is(url: str, place: Place) -> None:
    """The token, or the question."""
    with pytest.raises(Unauthorized):
        list(sync(url, "nobody's"))
    with pytest.raises(SyncRefused, match="future") as caught:
        list(sync(url, place.tokens["ana"], since=datetime.now(UTC) + timedelta(days=1)))
    assert caught.value.status == 400


def test_an_answer_is_bounded(url: str, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server cannot fill the memory; a smaller page helps an honest one."""
    monkeypatch.setattr(client_sync, "ANSWER_BYTES_MAX", 2_000)
    with pytest.raises(SyncUnverified, match="smaller limit"):
        list(sync(url, place.tokens["ana"]))


def test_a_server_that_is_not_there_is_an_error_of_the_network() -> None:
    """An `OSError`, as for any other connection."""
    with pytest.raises(ConnectionRefusedError):
        list(sync("http://127.0.0.1:1", "t"))


@pytest.mark.parametrize("url", ["host:1", "http://h/#token=x", ""])
def test_what_is_no_address_is_refused_before_anything_is_sent(url: str) -> None:
    """As by `connect`."""
    with pytest.raises(ValueError, match="form"):
        sync(url, "t")
