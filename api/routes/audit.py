"""What auditors ask: the signed state of the log."""

from __future__ import annotations

import orjson
from starlette.requests import Request
from starlette.responses import Response

from api.auth import Principal
from api.house import House
from api.problems import NOT_FOUND, Problem
from api.routes import query
from projections.checkpoints import list_checkpoints
from projections.projection import to_json

CHECKPOINTS_MAX = 1_000


async def get_checkpoint(request: Request, _: Principal) -> Response:
    """The newest checkpoint, as it is to be kept elsewhere; 404 before the first."""
    house: House = request.state.house
    query.parameters(request)
    answer = await house.projector.fetch(list_checkpoints(limit=1))
    if not answer.rows:
        raise Problem(NOT_FOUND)
    return _json(to_json(answer.rows[0]))


async def get_checkpoints(request: Request, _: Principal) -> Response:
    """A page of checkpoints, the newest first; ``before`` is the last one's position."""
    house: House = request.state.house
    given = query.parameters(
        request, limit=query.page_limit(CHECKPOINTS_MAX), before=query.position
    )
    answer = await house.projector.fetch(list_checkpoints(**given))
    rows = [to_json(row) for row in answer.rows]
    return _json({"checkpoints": rows, "cursor": str(answer.cursor)})


def _json(content: object) -> Response:
    return Response(orjson.dumps(content), media_type="application/json")
