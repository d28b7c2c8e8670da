"""``/openapi.json`` and ``/asyncapi.json``: the contract, made of the code that keeps it."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from api.asyncapi import asyncapi
from api.house import House
from api.openapi import openapi


async def get_openapi(request: Request) -> Response:
    """The HTTP routes, OpenAPI 3.1."""
    state = request.app.state
    if not hasattr(state, "openapi"):  # made once: it takes 15 ms, and anyone may ask
        state.openapi = openapi(request.app.routes)
    return _document(state.openapi)


async def get_asyncapi(request: Request) -> Response:
    """The WebSocket's frames, AsyncAPI 3.0."""
    house: House = request.state.house
    return _document(asyncapi(house.settings.base_url))


def _document(content: dict[str, Any]) -> Response:
    return Response(orjson.dumps(content), media_type="application/json")
