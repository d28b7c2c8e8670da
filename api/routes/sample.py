"""POST /v1/inboxes/{inbox}/test-message: a sample webhook, signed with the inbox's own secret.

It goes the way of every webhook, verification included: a new installation sees that the way is
open before the provider's console has been touched.
"""

from __future__ import annotations

import random
import time

from starlette.requests import Request
from starlette.responses import Response

from api.auth import Principal
from api.house import House
from api.problems import BAD_REQUEST, NOT_FOUND, Problem
from api.providers import PROVIDERS
from api.providers.contract import active
from api.routes import query
from api.routes.webhooks import accept, answer
from api.simulator import PLAYS, Simulator


async def post_test_message(request: Request, principal: Principal) -> Response:
    """Store one invented message; the answer is what the provider would have got."""
    house: House = request.state.house
    query.parameters(request)
    inbox: str = request.path_params["inbox"]
    if inbox not in principal.inboxes:
        raise Problem(NOT_FOUND)
    name = house.projector.access.inboxes[inbox]
    now_s = int(time.time())
    secrets = active(house.records.keyring.secrets(inbox), now_s)
    if name not in PLAYS or not secrets:
        raise Problem(BAD_REQUEST, f"there is no sample message for {name}")
    body = Simulator(random.Random(), name).next(now_s)  # noqa: S311 - a play
    signed = PROVIDERS[name].sign(body, secrets[0], now_s=now_s)
    headers = {key.lower(): value for key, value in signed.items()}
    return answer(await accept(request, inbox, headers, body))
