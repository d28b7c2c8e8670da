"""``sync()``: the history by HTTP, in verified pages, without a connection that is kept.

For a script that runs now and then, and for what a device's offline queue has skipped. It blocks; a
coroutine calls it in a thread (``await asyncio.to_thread(list, sync(...))``). It does not retry:
asking again from the last page's cursor is always right.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import NoReturn
from urllib.parse import urlencode, urlsplit

import orjson
from attrs import evolve

from eventstore.cursor import Cursor, CursorMalformed
from transport.client_errors import HistoryReset, SyncRefused, SyncUnverified, Unauthorized
from transport.client_socket import retry_after_s, websocket_url
from transport.frames import Reset
from transport.sync_page import SyncPage, read_page

TIMEOUT_S = 30.0
PAGE_EVENTS = 500
ANSWER_BYTES_MAX = 64 * 1024 * 1024
_RESET_REASONS = ("epoch_changed", "ahead_of_log", "history_differs")


def sync(
    url: str,
    token: str,
    *,
    cursor: Cursor | None = None,
    since: datetime | None = None,
    until: Cursor | None = None,
    limit: int = PAGE_EVENTS,
    timeout_s: float = TIMEOUT_S,
) -> Iterator[SyncPage]:
    """The events after ``cursor``, or since a time, or all, a page at a time, until none is left.

    With ``until``, up to there: ``sync(url, token, cursor=skipped.after, until=skipped.cursor)`` is
    what was skipped. ``timeout_s`` is how long the server may be silent. Raises ``HistoryReset``,
    ``Unauthorized``, ``SyncRefused``, ``SyncUnverified``; ``OSError`` for the network;
    ``ValueError`` for a ``url`` that is none, and for ``cursor`` and ``since`` together.
    """
    if cursor is not None and since is not None:
        raise ValueError("cursor or since, not both")
    if since is not None and since.tzinfo is None:
        raise ValueError("a time needs its zone")
    first = {} if since is None else {"since": since.astimezone(UTC).isoformat()}
    return _pages(_Source(url, token, timeout_s), first, cursor, until, limit)


def _pages(
    source: _Source, first: dict[str, str], cursor: Cursor | None, until: Cursor | None, limit: int
) -> Iterator[SyncPage]:
    with closing(source):
        while True:
            start = first if cursor is None else {"cursor": str(cursor)}
            page = read_page(source.get({"limit": str(limit)} | start), cursor)
            cursor = page.cursor
            if until is not None and cursor.position >= until.position:
                wanted = [each for each in page.events if each.position <= until.position]
                yield evolve(page, events=tuple(wanted))
                return
            yield page
            if page.up_to_date:
                return


class _Source:
    """One connection to one server, kept from page to page."""

    def __init__(self, url: str, token: str, timeout_s: float) -> None:
        address = urlsplit(websocket_url(url))
        secure = address.scheme == "wss"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        self._connection = kind(address.netloc, timeout=timeout_s)
        self._path = address.path.removesuffix("/ws") + "/sync"
        self._headers = {"Authorization": f"Bearer {token}"}

    def get(self, query: dict[str, str]) -> bytes:
        """The body of a 200; raises as :func:`sync` says for any other answer."""
        try:
            self._connection.request(
                "GET", f"{self._path}?{urlencode(query)}", headers=self._headers
            )
            response = self._connection.getresponse()
            body = response.read(ANSWER_BYTES_MAX + 1)
        except http.client.HTTPException as error:
            raise ConnectionError(f"{type(error).__name__}: {error}") from error
        if len(body) > ANSWER_BYTES_MAX:
            raise SyncUnverified("the answer is larger than 64 MiB; ask with a smaller limit")
        if response.status != http.client.OK:
            _refused(response.status, body, retry_after_s(response.headers.get("Retry-After", "")))
        return body

    def close(self) -> None:
        """Let the connection go."""
        self._connection.close()


def _refused(status: int, body: bytes, again_after_s: float) -> NoReturn:
    """Raise what a refusal means."""
    try:
        problem = orjson.loads(body)
        detail = str(problem.get("detail") or problem.get("title") or "")
    except (orjson.JSONDecodeError, AttributeError):
        problem, detail = {}, ""
    if status == http.client.UNAUTHORIZED:
        raise Unauthorized(status, detail)
    if status == http.client.GONE and problem.get("reason") in _RESET_REASONS:
        try:
            raise HistoryReset(Reset(Cursor.parse(problem["reset_to"]), problem["reason"]))
        except (KeyError, TypeError, CursorMalformed):
            pass
    raise SyncRefused(status, detail, again_after_s)
