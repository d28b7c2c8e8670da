"""The cable between the visitor's browser and the demo's server, which the visitor can pull.

What is pulled is real: open sockets are dropped without a word, new ones do not come about, and
requests get their answers when the cable is back, as TCP would have it. The players, who are not
browsers, notice nothing.
"""

from __future__ import annotations

import asyncio

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from api.auth import ANYONE_INSIDE, Principal, only
from transport.hub import Hub

PULLED_S = 9
OFFER = "pull_cable"


class Cable:
    """Around the application; one cable for all browsers."""

    def __init__(self, hub: Hub, pulled_s: float = PULLED_S) -> None:
        self._hub = hub
        self._pulled_s = pulled_s
        self._back_at = 0.0

    @property
    def route(self) -> Route:
        """Where a visitor pulls it."""
        return Route("/v1/demo/cable", only(ANYONE_INSIDE, self._post), methods=["POST"])

    async def _post(self, _: Request, principal: Principal) -> Response:
        """Pull it; the answer says for how long."""
        self._back_at = asyncio.get_running_loop().time() + self._pulled_s
        for connection in list(self._hub.connections):
            if connection.user == principal.user:
                connection.channel.abort()
        return Response(orjson.dumps({"seconds": self._pulled_s}), media_type="application/json")

    def around(self, app: ASGIApp) -> ASGIApp:
        """The application at the far end of the cable."""

        async def at_the_end(scope: Scope, receive: Receive, send: Send) -> None:
            left_s = self._left_s(scope)
            if left_s > 0 and scope["type"] == "websocket":
                await receive()
                await send({"type": "websocket.close"})  # before accepting: no connection
                return
            if left_s > 0:
                await asyncio.sleep(left_s)
            await app(scope, receive, send)

        return at_the_end

    def _left_s(self, scope: Scope) -> float:
        if scope["type"] not in ("http", "websocket") or not scope["path"].startswith("/v1/"):
            return 0.0
        names = {name for name, _ in scope["headers"]}
        if not names & {b"origin", b"sec-fetch-site"}:
            return 0.0
        return self._back_at - asyncio.get_running_loop().time()
