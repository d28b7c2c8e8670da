"""GET /v1/audit/ledger: what each device was addressed, and what became of it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from api.auth import Principal
from api.routes import as_of, query
from api.routes.answer import as_json
from projections.ledger import list_accounts
from projections.projection import to_json

ACCOUNTS_MAX = 1_000


async def get_ledger(request: Request, _: Principal) -> Response:
    """A page of accounts in order of user and device; ``after`` is the last one, ``user/device``.

    One device's with ``device``; as they stood with ``as_of``. A ``residue`` that is not 0 is a
    fault of ours.
    """
    given = query.parameters(
        request,
        device=query.device,
        after=query.device,
        limit=query.page_limit(ACCOUNTS_MAX),
        as_of=as_of.moment,
    )
    asked = list_accounts(
        given.get("device"),
        after=given.get("after", ("", "")),
        limit=given.get("limit", ACCOUNTS_MAX),
    )
    answer = await as_of.answered(request, given, asked)
    body = {"accounts": [to_json(row) for row in answer.rows], "cursor": str(answer.cursor)}
    return as_json(body)
