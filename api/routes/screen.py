"""GET /v1/audit/screen: what a user's devices showed at a moment."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from api.auth import Principal
from api.house import House
from api.moment import Moment, position_of
from api.problems import BAD_REQUEST, Problem
from api.routes import as_of, query
from api.routes.answer import as_json
from api.screen import View, screen_of
from projections.projection import to_json

DEVICES = 20
PAGE_MAX = 200


async def get_screen(request: Request, principal: Principal) -> Response:
    """What a user's devices, or one, had of the inbox at a moment, as they had acknowledged it.

    ``at`` is a position or a time, without it now. Each device's conversations as of its ack floor,
    or with ``conversation`` that one and its messages; how it was connected; what was outstanding.
    ``next``, where there are more devices, goes into ``after``.
    """
    house: House = request.state.house
    given = query.parameters(
        request,
        user=query.name,
        device=query.name,
        at=as_of.moment,
        conversation=query.name,
        limit=query.page_limit(PAGE_MAX),
        before=query.position,
        after=query.name,
    )
    if "user" not in given:
        raise Problem(BAD_REQUEST, "user is needed")
    at = await position_of(house.log, given.get("at", Moment()))
    wanted = {name: given[name] for name in ("conversation", "limit", "before") if name in given}
    found = await screen_of(
        house.records,
        given["user"],
        at,
        View(principal.inboxes, **wanted),
        device=given.get("device"),
        after=given.get("after"),
        devices=DEVICES,
    )
    body = {**to_json(found), "cursor": str(found.cursor)}
    return as_json(body)
