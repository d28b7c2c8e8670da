"""``/livez``: this process is alive. ``/readyz``: it should be sent clients and webhooks.

Anyone may ask, so neither says more than that.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.house import House

_PARTS = ("server", "log", "projector", "hub")


async def livez(_: Request) -> Response:
    """200 for as long as the event loop turns."""
    return JSONResponse({"status": "alive"})


async def readyz(request: Request) -> Response:
    """200, or 503 while stopping, while the log takes nothing, or after a task crashed.

    ``?verbose`` names the parts; anyone may ask, so no more than that.
    """
    house: House = request.state.house
    troubles = house.troubles()
    answer: dict[str, object] = {"status": "not ready" if troubles else "ready"}
    if "verbose" in request.query_params:
        answer["parts"] = {part: troubles.get(part, "ok") for part in _PARTS}
    return JSONResponse(answer, 503 if troubles else 200)
