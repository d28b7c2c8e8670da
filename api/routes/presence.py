"""GET /v1/audit/presence: who is online, on which connections, and how good these are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from api.auth import Principal
from api.house import House
from api.moment import Moment
from api.routes import as_of, query
from api.routes.answer import as_json
from eventstore.log import wall_clock_us
from projections.connections import list_connections, presence
from projections.projection import to_json

CONNECTIONS_MAX = 1_000


async def get_presence(request: Request, _: Principal) -> Response:
    """Users who are online, and their open connections, the newest first; ``before`` pages them.

    As the log has it, now or ``as_of`` a position or a time. A user whose last connection ended
    less than 15 s before is still there.
    """
    given = query.parameters(
        request,
        limit=query.page_limit(CONNECTIONS_MAX),
        before=query.position,
        as_of=as_of.moment,
    )
    house: House = request.state.house
    position = await as_of.position(request, given)
    time_us = await _time_of(house, given, position)
    online = await as_of.answered_at(request, position, presence(time_us))
    page = list_connections(limit=given.get("limit", CONNECTIONS_MAX), before=given.get("before"))
    connections = await as_of.answered_at(request, position, page)
    body = {
        "online": [to_json(row) for row in online.rows],
        "connections": [to_json(row) for row in connections.rows],
        "cursor": str(online.cursor),
    }
    return as_json(body)


async def _time_of(house: House, given: Mapping[str, Any], position: int) -> int:
    """The moment that is asked about, µs: a connection that ended is missed only after a while."""
    moment = given.get("as_of")
    if isinstance(moment, Moment) and moment.time_us is not None:
        return moment.time_us
    if moment is None:
        return wall_clock_us()
    return await house.log.recorded_at(position) or 0
