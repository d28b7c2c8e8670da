"""GET /v1/audit/events: the raw history, as a page, as a stream of all of it, or followed live.

A stream is a cursor over the log and nothing else, like all the others. Before every page it is
asked again whether the listener is still an auditor.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import orjson
from attrs import define
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from api.auth import AUDITORS, Principal, bearer_token
from api.house import House
from api.problems import BAD_REQUEST, Problem
from api.routes import query
from eventstore.interchange import FORMATS, HistoryRow
from eventstore.log import EventLog

PAGE_EVENTS = 500
PAGE_EVENTS_MAX = 1_000
RECHECK_S = 2.0
"""How often a quiet stream asks whether it still may."""

NDJSON, SSE = "application/x-ndjson", "text/event-stream"
_END = 2**63 - 1


async def get_history(request: Request, _: Principal) -> Response:
    """What happened, in order, with all that it takes to check it."""
    house: House = request.state.house
    given = query.parameters(
        request,
        after=query.position,
        since=query.time_us,
        until=_position_or_time,
        stream=_pattern,
        type=_pattern,
        limit=query.page_limit(PAGE_EVENTS_MAX),
        format=_one_of("ndjson", "cloudevents"),
        follow=_one_of("true", "false"),
    )
    reading = await _reading(house, bearer_token(request), given)
    accepted = request.headers.get("accept", "")
    if SSE in accepted:
        return _stream(reading.sse(), SSE)
    if reading.follow or NDJSON in accepted:
        return _stream(reading.lines(), NDJSON)
    return await _page(reading, given.get("limit", PAGE_EVENTS))


def _stream(content: AsyncIterator[bytes], media_type: str) -> Response:
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(content, media_type=media_type, headers=headers)


async def _page(reading: Reading, limit: int) -> Response:
    after = reading.position
    events = b",".join(await reading.page(limit))
    rest = {"after": after, "position": reading.position, "has_more": not reading.at_end}
    body = b'{"events":[%b],%b' % (events, orjson.dumps(rest)[1:])
    return Response(body, media_type="application/json")


async def _reading(house: House, token: str, given: Mapping[str, Any]) -> Reading:
    log = house.log
    after = given.get("after", 0)
    if "since" in given:
        # Events at that very moment belong to "since", hence the one before it.
        after = max(after, await log.position_at(given["since"] - 1))
    follow = given.get("follow") == "true"
    if follow and "until" in given:
        raise Problem(BAD_REQUEST, "follow or until, not both")
    return Reading(
        house,
        token,
        after,
        _END if follow else await _until(log, given.get("until")),
        given.get("stream", "*"),
        given.get("type", "*"),
        FORMATS[given.get("format", "ndjson")],
        follow,
    )


async def _until(log: EventLog, given: tuple[str, int] | None) -> int:
    match given:
        case None:
            return log.head.position
        case ("time", time_us):
            return await log.position_at(time_us)
        case (_, position):
            return min(position, log.head.position)


@define
class Reading:
    """One reader: where it is in the log, and what it wants of it."""

    house: House
    token: str
    position: int
    until: int
    stream: str
    type: str
    line: Callable[[HistoryRow, str], bytes]
    follow: bool

    @property
    def at_end(self) -> bool:
        """Whether there is no more, for now."""
        return self.position >= min(self.until, self.house.log.head.position)

    async def page(self, limit: int) -> Sequence[bytes]:
        """The next events, encoded; none need not mean that there are no more."""
        log = self.house.log
        rows, self.position = await log.history(
            self.position, limit, self.until, stream=self.stream, type_=self.type
        )
        return [self.line(row, log.epoch) for row in rows]

    async def lines(self) -> AsyncIterator[bytes]:
        """All of it, a line each."""
        async for page in self._pages():
            yield b"".join(line + b"\n" for line in page)

    async def sse(self) -> AsyncIterator[bytes]:
        """All of it as server-sent events; ``id`` is the position, a comment keeps it alive."""
        async for page in self._pages():
            yield b"".join(b"data: %b\n\n" % line for line in page) or b":\n\n"

    async def _pages(self) -> AsyncIterator[Sequence[bytes]]:
        while not self.house.stopping.is_set() and self._may_listen():
            yield await self.page(PAGE_EVENTS)
            if self.at_end:
                if not self.follow:
                    return
                await self._wait()

    def _may_listen(self) -> bool:
        principal = self.house.gate.principal(self.token)
        return principal is not None and principal.role in AUDITORS

    async def _wait(self) -> None:
        reasons = (
            asyncio.ensure_future(self.house.stopping.wait()),
            asyncio.ensure_future(self.house.log.wait_beyond(self.position)),
        )
        try:
            await asyncio.wait(reasons, timeout=RECHECK_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for reason in reasons:
                reason.cancel()
            await asyncio.gather(*reasons, return_exceptions=True)


def _position_or_time(text: str) -> tuple[str, int]:
    if text.isascii() and text.isdigit():
        return "position", query.position(text)
    return "time", query.time_us(text)


def _pattern(text: str) -> str:
    """A name, or its beginning and a star, as a GLOB in which nothing else is special."""
    name = query.name(text)
    prefix = name.removesuffix("*")
    return "".join(f"[{c}]" if c in "*?[" else c for c in prefix) + name[len(prefix) :]


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return text

    return read
