"""/v1/deliveries: each device's deliveries and parked events, and delivering these again."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from api import parked
from api.auth import Principal
from api.house import House
from api.parked import DEVICES_MAX, NoSuchDevice
from api.problems import BAD_REQUEST, NOT_FOUND, Problem
from api.routes import as_of, query
from api.routes.answer import as_json
from transport.replays import REPLAYS_MAX

REPLAY_BYTES_MAX = 32 * 1024
_BODY = f'the body is {{"user": "…"}}, with "positions": [1 to {REPLAYS_MAX} of them] if not all'


async def get_deliveries(request: Request, principal: Principal) -> Response:
    """Devices in order of user and device, and what is parked for each; a member's own only.

    ``after`` is the last one, ``user/device``; one device's with ``device``. An event that was
    asked for again (``requested``) is under way until its device has acknowledged it. With
    ``as_of``, all of it as it was then.
    """
    house: House = request.state.house
    given = query.parameters(
        request,
        device=query.device,
        after=query.device,
        limit=query.page_limit(DEVICES_MAX),
        as_of=as_of.moment,
    )
    position = await as_of.position(request, given) if "as_of" in given else None
    user = principal.user if principal.role == "member" else None
    wanted = {name: value for name, value in given.items() if name != "as_of"}
    wanted = {"limit": DEVICES_MAX, "user": user, "position": position, **wanted}
    return as_json(await parked.devices(house.records, **wanted))


async def post_replay(request: Request, principal: Principal) -> Response:
    """Have parked events of a user's device delivered again: all of them, or these positions.

    What is not parked, or asked for already, is passed over; at most 1,000 are under way at once.
    """
    house: House = request.state.house
    query.parameters(request)
    user, positions = await _asked(request)
    try:
        asked = await parked.request_replay(
            house.records,
            (user, request.path_params["device"]),
            positions,
            by=principal.user,
            correlation_id=request.scope["request_id"],
        )
    except NoSuchDevice:
        raise Problem(NOT_FOUND) from None
    return as_json(asked)


async def _asked(request: Request) -> tuple[str, list[int] | None]:
    given = await query.json_body(request, REPLAY_BYTES_MAX)
    if not isinstance(given, dict) or not given.keys() <= {"user", "positions"}:
        raise Problem(BAD_REQUEST, _BODY)
    user, positions = given.get("user"), given.get("positions")
    if not isinstance(user, str) or not 0 < len(user) <= query.NAME_CHARS_MAX:
        raise Problem(BAD_REQUEST, _BODY)
    if "positions" in given and not _are_positions(positions):
        raise Problem(BAD_REQUEST, _BODY)
    return user, positions


def _are_positions(given: object) -> bool:
    if not isinstance(given, list) or not 0 < len(given) <= REPLAYS_MAX:
        return False
    return all(type(position) is int and 0 < position < 2**63 for position in given)
