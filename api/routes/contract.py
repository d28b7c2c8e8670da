"""``/openapi.json`` and ``/asyncapi.json``: the contract, made of the code that keeps it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from api.asyncapi import asyncapi
from api.house import House
from api.openapi import openapi
from api.routes.answer import as_json


async def get_openapi(request: Request) -> Response:
    """The HTTP routes, OpenAPI 3.1."""
    state = request.app.state
    if not hasattr(state, "openapi"):  # made once: it takes 15 ms, and anyone may ask
        state.openapi = openapi(request.app.routes)
    return as_json(state.openapi)


async def get_asyncapi(request: Request) -> Response:
    """The WebSocket's frames, AsyncAPI 3.0."""
    house: House = request.state.house
    return as_json(asyncapi(house.settings.base_url))
