"""GET /v1/audit/trace/{position}: the whole life of one event."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from api.auth import Principal
from api.house import House
from api.problems import BAD_REQUEST, NOT_FOUND, Problem
from api.routes import query
from api.routes.answer import as_json
from api.trace import trace_of
from projections.projection import to_json

DEVICES = 200
DEVICES_MAX = 1_000


async def get_trace(request: Request, principal: Principal) -> Response:
    """The webhook that brought an event, what was recorded beside it, and its way to each device.

    Devices come in order of user and device: those it was addressed to among the next ``limit`` of
    all; ``next``, where there are more, goes into ``after``.
    """
    house: House = request.state.house
    given = query.parameters(request, after=query.device, limit=query.page_limit(DEVICES_MAX))
    found = await trace_of(house.records, _position(request), **{"limit": DEVICES, **given})
    if found is None or found.event.inbox not in principal.inboxes:
        raise Problem(NOT_FOUND)
    body = {**to_json(found), "cursor": str(found.cursor)}
    return as_json(body)


def _position(request: Request) -> int:
    try:
        return query.position(request.path_params["position"])
    except ValueError as wrong:
        raise Problem(BAD_REQUEST, f"position: {wrong}") from None
