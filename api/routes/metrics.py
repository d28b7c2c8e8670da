"""``/metrics`` for Prometheus, and the same figures minute by minute for as long as there is a log.

On loopback anybody may scrape; a request that came through a proxy did not come from loopback,
whatever its address says.
"""

from __future__ import annotations

import asyncio
from ipaddress import ip_address

from starlette.requests import Request
from starlette.responses import Response

from api.auth import ADMINS, Principal, only
from api.house import House
from api.metrics import CONTENT_TYPE, Scrape
from api.routes import query
from api.routes.answer import as_json
from api.settings import is_loopback_url
from api.silence import Silence, first_hour, silences
from api.tally import tally_of
from eventstore.log import wall_clock_us
from projections.metrics import list_inbox_hours, list_minutes
from projections.projection import to_json
from projections.projector import ProjectionsBehind

DAY_US = 24 * 3600 * 1_000_000
MINUTES = 24 * 60
MINUTES_MAX = 7 * 24 * 60

_OF_PROXIES = ("x-forwarded-for", "forwarded", "x-real-ip", "via")


async def get_metrics(request: Request) -> Response:
    """The figures in the text format; for an admin, or on loopback for anybody."""
    house: House = request.state.house
    if from_loopback(request):
        return await _scrape(house, request)
    return await only(ADMINS, _for_admin)(request)


async def _for_admin(request: Request, _: Principal) -> Response:
    return await _scrape(request.state.house, request)


async def _scrape(house: House, request: Request) -> Response:
    now_us = wall_clock_us()
    scrape = Scrape(house, tally_of(request), await silences_of(house, now_us), now_us)
    # It looks at the disk and walks all sessions; neither takes long, and both belong to the loop.
    return Response(scrape.text(), media_type=CONTENT_TYPE)


async def silences_of(house: House, now_us: int) -> list[Silence]:
    """How silent each inbox is; nothing while the projections cannot be asked."""
    try:
        answer = await house.projector.fetch(list_inbox_hours(first_hour(now_us)))
    except ProjectionsBehind:
        return []
    return await asyncio.to_thread(silences, answer.rows, now_us)


def from_loopback(request: Request) -> bool:
    """Whether the request was made on this machine, as far as can be told; in doubt it was not.

    A server with a public URL has a proxy before it, and everything comes from loopback.
    """
    house: House = request.state.house
    if any(name in request.headers for name in _OF_PROXIES):
        return False
    if request.client is None or not is_loopback_url(house.settings.base_url):
        return False
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False


async def get_history(request: Request, _: Principal) -> Response:
    """What happened minute by minute, from ``since`` (default: a day ago) to ``until``."""
    house: House = request.state.house
    given = query.parameters(
        request, since=query.time_us, until=query.time_us, limit=query.page_limit(MINUTES_MAX)
    )
    until_us = given.get("until", wall_clock_us())
    since_us = given.get("since", until_us - DAY_US)
    asked = list_minutes(since_us, until_us, limit=given.get("limit", MINUTES))
    answer = await house.projector.fetch(asked)
    body = {"minutes": [to_json(row) for row in answer.rows], "cursor": str(answer.cursor)}
    return as_json(body)
