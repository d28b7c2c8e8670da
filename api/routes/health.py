"""``/livez``: this process is alive. ``/readyz``: it should be sent clients and webhooks.

Anyone may ask, so neither says more than that; figures are at ``/metrics``.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.house import House
from api.routes.metrics import silences_of
from eventstore.log import wall_clock_us

_PARTS = ("server", "log", "projector", "hub", "disk", "projections", "ledger", "inboxes")


async def livez(_: Request) -> Response:
    """200 for as long as the event loop turns."""
    return JSONResponse({"status": "alive"})


async def readyz(request: Request) -> Response:
    """200, or 503 while stopping, while the log takes nothing, or after a task crashed.

    ``degraded`` is 200 too: something needs a person, and the rest goes on meanwhile. To send
    everybody away from the only server there is would turn a part of an outage into a whole one.
    ``?verbose`` names the parts; anyone may ask, so no more than that.
    """
    house: House = request.state.house
    troubles, worries = house.troubles(), house.worries()
    answer: dict[str, object] = {"status": _in_a_word(bool(troubles), bool(worries))}
    if "verbose" in request.query_params:
        silent = [each for each in await silences_of(house, wall_clock_us()) if each.alarming]
        worries |= {"inboxes": "one is silent that should not be"} if silent else {}
        answer["status"] = _in_a_word(bool(troubles), bool(worries))
        answer["parts"] = {part: (worries | troubles).get(part, "ok") for part in _PARTS}
    return JSONResponse(answer, 503 if troubles else 200)


def _in_a_word(troubles: bool, worries: bool) -> str:
    return "not ready" if troubles else "degraded" if worries else "ready"
