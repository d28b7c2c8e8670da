"""GET /v1/me: who is asking, which inboxes they see, and what else they may do."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from api.actions import webhook_path
from api.auth import ADMINS, WRITERS, Principal
from api.house import House
from api.routes import query
from api.routes.answer import as_json
from eventstore.codec import time_text

READ, SEND_TEST_MESSAGE = "read", "send_test_message"


async def get_me(request: Request, principal: Principal) -> Response:
    """The caller, as of now; ``may`` names what a client can offer beside reading.

    ``expires_at`` is when this token ends; null: no end. Nobody can renew it by itself.
    """
    house: House = request.state.house
    query.parameters(request)
    providers = house.projector.access.inboxes
    inboxes = [
        {"id": inbox, "provider": providers[inbox], "webhook_path": webhook_path(inbox)}
        for inbox in sorted(principal.inboxes)
    ]
    may = [READ] * (principal.role in WRITERS) + [SEND_TEST_MESSAGE] * (principal.role in ADMINS)
    answer = {
        "user": principal.user,
        "role": principal.role,
        "inboxes": inboxes,
        "expires_at": _expiry(principal),
    }
    return as_json({**answer, "may": [*may, *house.offers]})


def _expiry(principal: Principal) -> str | None:
    at_us = principal.expires_at_us
    return None if at_us is None else time_text(at_us)
