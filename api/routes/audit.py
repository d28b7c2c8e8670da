"""What auditors ask: the signed state of the log, and erasure."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from api.auth import Principal
from api.erasure import erase
from api.house import House
from api.problems import BAD_REQUEST, NOT_FOUND, Problem
from api.routes import query
from api.routes.answer import as_json
from eventstore.erasure import CannotErase
from projections.checkpoints import list_checkpoints
from projections.projection import to_json

CHECKPOINTS_MAX = 1_000
REDACTION_BYTES_MAX = 4 * 1024


async def get_checkpoint(request: Request, _: Principal) -> Response:
    """The newest checkpoint, as it is to be kept elsewhere; 404 before the first."""
    house: House = request.state.house
    query.parameters(request)
    answer = await house.projector.fetch(list_checkpoints(limit=1))
    if not answer.rows:
        raise Problem(NOT_FOUND)
    return as_json(to_json(answer.rows[0]))


async def get_checkpoints(request: Request, _: Principal) -> Response:
    """A page of checkpoints, the newest first; ``before`` is the last one's position."""
    house: House = request.state.house
    given = query.parameters(
        request, limit=query.page_limit(CHECKPOINTS_MAX), before=query.position
    )
    answer = await house.projector.fetch(list_checkpoints(**given))
    rows = [to_json(row) for row in answer.rows]
    return as_json({"checkpoints": rows, "cursor": str(answer.cursor)})


async def post_redact(request: Request, principal: Principal) -> Response:
    """Erase a message or webhook for good, wherever this server holds its words."""
    house: House = request.state.house
    query.parameters(request)
    position, reason = await _redaction(request)
    try:
        receipt, positions, purged = await erase(
            house.records,
            position,
            reason=reason,
            by=principal.user,
            correlation_id=request.scope["request_id"],
        )
    except CannotErase as cannot:
        raise Problem(BAD_REQUEST, str(cannot)) from None
    return as_json(
        {
            "position": receipt.position,
            "hash": receipt.hash.hex(),
            "erased": positions,
            "purged": purged,
        }
    )


async def _redaction(request: Request) -> tuple[int, str]:
    given = await query.json_body(request, REDACTION_BYTES_MAX)
    match given:
        case {"position": int(position), "reason": str(reason)} if len(given) == 2:
            if type(position) is int and 0 < position < 2**63:
                return position, reason
    raise Problem(BAD_REQUEST, 'the body is {"position": …, "reason": "…"}')
