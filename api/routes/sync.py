"""GET /v1/sync: the events after a cursor, or since a time, and the conversations they touched.

The answer's ``receipt`` lets a client prove what it was given: ``digest`` is the SHA-256, in hex,
of each event's cursor followed by a line feed, in order. What was served is recorded as
``sync.served`` with that digest, unless it was nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Any

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import Response

from api.auth import Principal
from api.house import House
from api.problems import BAD_REQUEST, Problem
from api.routes import query
from api.routes.cursors import demand_history
from eventstore.cursor import Cursor
from eventstore.draft import Draft
from eventstore.events import SyncServed
from eventstore.log import EventLog, LogUnavailable, wall_clock_us
from eventstore.tail import Visible
from projections.conversations import conversations_touched
from projections.projection import to_json
from projections.projector import ProjectionsBehind

PAGE_EVENTS = 500
PAGE_EVENTS_MAX = 1_000

_log = structlog.get_logger()


async def get_sync(request: Request, principal: Principal) -> Response:
    """A page of events in order, from anywhere in the log."""
    house: House = request.state.house
    given = query.parameters(
        request, cursor=query.cursor, since=query.time_us, limit=query.page_limit(PAGE_EVENTS_MAX)
    )
    after = await _start(house.log, given)
    # The head before reading: once nothing more is visible, the client has all up to here.
    head = house.log.cursor
    limit = given.get("limit", PAGE_EVENTS)
    page = await house.log.read_visible(after.position, limit, principal.inboxes)
    last = page[-1].cursor if page else after
    more = await house.log.count_visible(last.position, principal.inboxes, most=1)
    cursor = last if more else max(last, head, key=lambda one: one.position)
    digest = _digest(page)
    touched = await _touched(house, principal, after, cursor) if page else b"[]"
    if page:
        await _record(
            house,
            request,
            principal,
            SyncServed(after=after.position, until=cursor.position, count=len(page), digest=digest),
        )
    body = _body(page, touched, after, cursor, digest, has_more=bool(more))
    return Response(body, media_type="application/json")


async def _start(log: EventLog, given: Mapping[str, Any]) -> Cursor:
    if "cursor" in given and "since" in given:
        raise Problem(BAD_REQUEST, "cursor or since, not both")
    if "cursor" in given:
        await demand_history(log, given["cursor"])
        cursor: Cursor = given["cursor"]
        return cursor
    if given.get("since", 0) > wall_clock_us():
        raise Problem(BAD_REQUEST, "since lies in the future")
    # Events at that very moment belong to "since", hence the one before it.
    position = await log.position_at(given["since"] - 1) if "since" in given else 0
    start = await log.cursor_at(position)
    assert start is not None, "a position that the log itself named"
    return start


async def _touched(house: House, principal: Principal, after: Cursor, until: Cursor) -> bytes:
    # Bounded: a projection that is behind delays nobody's events; its rows are then older.
    with suppress(TimeoutError, ProjectionsBehind):
        async with asyncio.timeout(house.settings.sync_wait_s):
            await house.projector.wait_for(until.position)
    answer = await house.projector.fetch(conversations_touched(principal.inboxes, after.position))
    return orjson.dumps([to_json(row) for row in answer.rows])


async def _record(house: House, request: Request, principal: Principal, fact: SyncServed) -> None:
    stream, ident = f"client:{principal.user}/sync", request.scope["request_id"]
    try:
        await house.log.append([Draft(stream, fact, correlation_id=ident)])
    except LogUnavailable:
        # Reading goes on while the log takes nothing (G15).
        _log.warning("sync.served was not recorded", user=principal.user)


def _digest(page: Sequence[Visible]) -> str:
    return sha256("".join(f"{event.cursor}\n" for event in page).encode()).hexdigest()


def _body(
    page: Sequence[Visible],
    conversations: bytes,
    after: Cursor,
    cursor: Cursor,
    digest: str,
    *,
    has_more: bool,
) -> bytes:
    """The answer, with the events spliced in as they are stored; none of them is decoded."""
    rest = orjson.dumps(
        {
            "after": str(after),
            "cursor": str(cursor),
            "has_more": has_more,
            "up_to_date": not has_more,
            "skipped": None,
            "receipt": {
                "from": str(after),
                "to": str(cursor),
                "count": len(page),
                "digest": digest,
            },
        }
    )
    events = b",".join(event.body for event in page)
    return b'{"events":[%b],"conversations":%b,%b' % (events, conversations, rest[1:])
