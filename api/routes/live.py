"""GET /v1/ws: hands the socket to the session endpoint that the house holds."""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from api.house import House


class LiveSessions:
    """An ASGI application, not a function: the endpoint wants the bare ``send`` of the server."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A session of PROTOCOL section 3; ``transport/websocket.py`` does all of it."""
        house: House = scope["state"]["house"]
        await house.sessions(scope, receive, send)
