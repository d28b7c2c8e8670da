"""GET /v1/me: who is asking, which inboxes they see, and what else they may do."""

from __future__ import annotations

import orjson
from starlette.requests import Request
from starlette.responses import Response

from api.actions import webhook_path
from api.auth import ADMINS, WRITERS, Principal
from api.house import House
from api.routes import query

READ, SEND_TEST_MESSAGE = "read", "send_test_message"


async def get_me(request: Request, principal: Principal) -> Response:
    """The caller, as of now; ``may`` names what a client can offer beside reading."""
    house: House = request.state.house
    query.parameters(request)
    providers = house.projector.access.inboxes
    inboxes = [
        {"id": inbox, "provider": providers[inbox], "webhook_path": webhook_path(inbox)}
        for inbox in sorted(principal.inboxes)
    ]
    may = [READ] * (principal.role in WRITERS) + [SEND_TEST_MESSAGE] * (principal.role in ADMINS)
    answer = {"user": principal.user, "role": principal.role, "inboxes": inboxes}
    return Response(
        orjson.dumps({**answer, "may": [*may, *house.offers]}), media_type="application/json"
    )
