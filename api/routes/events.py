"""GET /v1/events: the events of /v1/ws as server-sent events; ``id`` is the cursor.

A stream is a cursor over the log and nothing else: a slow client is behind, and costs no memory.
Before every page it is asked again who is listening, and what they may see.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

from attrs import define
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from api.auth import Principal, bearer_token
from api.house import House
from api.problems import CURSOR_MALFORMED, Problem
from api.routes import query
from api.routes.cursors import taken
from eventstore.cursor import Cursor, CursorMalformed
from eventstore.tail import Visible
from transport.frames import ResetReason

PAGE_EVENTS = 200
PAGE_BYTES = 256 * 1024
RECHECK_S = 2.0
"""How often a quiet stream asks whether it still may: well below the 5 s of G21."""


async def get_events(request: Request, _: Principal) -> Response:
    """Streams from ``Last-Event-ID`` on, or from the head."""
    house: House = request.state.house
    query.parameters(request)
    cursor, greeting = house.log.cursor, b": malote\n\n"
    if (asked := _last_event_id(request)) is not None:
        start = await taken(house.log, asked)
        cursor = start.cursor
        greeting = _reset(cursor, start.reason) if start.reason else greeting
    stream = EventStream(house, bearer_token(request), cursor.position)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(
        stream.run(greeting), media_type="text/event-stream; charset=utf-8", headers=headers
    )


def _last_event_id(request: Request) -> Cursor | None:
    text = request.headers.get("last-event-id", "")
    try:
        return Cursor.parse(text) if text else None
    except CursorMalformed:
        raise Problem(CURSOR_MALFORMED, "Last-Event-ID is not a cursor") from None


@define
class EventStream:
    """One listener: where it is in the log, and since when it has been silent."""

    house: House
    token: str
    position: int
    _spoke_at: float = 0.0

    async def run(self, greeting: bytes) -> AsyncIterator[bytes]:
        """The bytes of the stream, until the server stops or the listener may no longer listen."""
        yield self._spoken(greeting)
        while not self.house.stopping.is_set():
            principal = self.house.gate.principal(self.token)
            if principal is None:
                return
            if page := await self._page(principal):
                yield self._spoken(_events(page))
                continue
            await self._wait(principal.inboxes)
            if self._silence_left_s <= 0:
                yield self._spoken(b":\n\n")

    async def _page(self, principal: Principal) -> Sequence[Visible]:
        head = self.house.log.head.position
        page = await self.house.log.read_visible(
            self.position, PAGE_EVENTS, principal.inboxes, bytes_max=PAGE_BYTES
        )
        self.position = page[-1].position if page else max(self.position, head)
        return page

    @property
    def _silence_left_s(self) -> float:
        return self._spoke_at + self.house.settings.sse_heartbeat_s - time.monotonic()

    def _spoken(self, data: bytes) -> bytes:
        self._spoke_at = time.monotonic()
        return data

    async def _wait(self, inboxes: frozenset[str]) -> None:
        """Until there is news, the server stops, or it is time to ask or to speak again."""
        patience_s = max(0.0, min(RECHECK_S, self._silence_left_s))
        reasons = (
            asyncio.ensure_future(self.house.stopping.wait()),
            asyncio.ensure_future(self.house.hub.wait_beyond(self.position, inboxes)),
        )
        try:
            await asyncio.wait(reasons, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for reason in reasons:
                reason.cancel()
            await asyncio.gather(*reasons, return_exceptions=True)


def _events(page: Sequence[Visible]) -> bytes:
    return b"".join(b"id: %b\ndata: %b\n\n" % (str(e.cursor).encode(), e.body) for e in page)


def _reset(cursor: Cursor, reason: ResetReason) -> bytes:
    text = str(cursor)
    return f'id: {text}\nevent: reset\ndata: {{"cursor":"{text}","reason":"{reason}"}}\n\n'.encode()
