"""``/openapi.json``: OpenAPI 3.1, made of the routes, the handlers and what they hand out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from starlette.routing import BaseRoute, Route

from api.house import RELEASE
from api.operations import NAME, OPERATIONS, TEXT, Operation
from api.parameters import MEANINGS
from api.problems import (
    FORBIDDEN,
    HOST_UNKNOWN,
    INTERNAL,
    MEDIA_TYPE,
    TOO_MANY_REQUESTS,
    UNAUTHORIZED,
    ProblemType,
)
from api.schemas import Schema, Schemas, description, object_of

DIALECT = "https://json-schema.org/draft/2020-12/schema"
LICENCE = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
EVERYWHERE = (HOST_UNKNOWN, TOO_MANY_REQUESTS, INTERNAL)
TAGS = {
    "Webhooks": "What providers post, and their handshakes.",
    "Inbox": "What agents and their devices ask: conversations, events, deliveries.",
    "Audit": "The history, and the inbox as it was: for auditors and administrators.",
    "Operations": "How the server is: for administrators, probes and scrapers.",
    "Documents": "What describes all this to programs.",
}
_TAGGED = (
    ("/webhooks/", "Webhooks"),
    ("/v1/audit/", "Audit"),
    ("/v1/metrics/", "Operations"),
    ("/v1/", "Inbox"),
    ("/openapi.json", "Documents"),
    ("/asyncapi.json", "Documents"),
    ("/", "Operations"),
)
"""The first one that a path begins with decides."""

_PATH_PARAMETER = re.compile(r"{(\w+)}")


def openapi(routes: Sequence[BaseRoute]) -> dict[str, Any]:
    """The document of these routes; what is no part of the API (pages, WebSockets) is left out."""
    schemas = Schemas()
    paths: dict[str, dict[str, Any]] = {}
    for method, route, operation in described(routes):
        paths.setdefault(route.path, {})[method.lower()] = _operation(
            method, route, operation, schemas
        )
    schemas.named["Problem"] = _problem()
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": DIALECT,
        "info": {
            "title": "Malote",
            "version": RELEASE,
            "summary": "A self-hosted real-time inbox on one event log.",
            "license": LICENCE,
        },
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": schemas.named,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def described(routes: Sequence[BaseRoute]) -> Iterator[tuple[str, Route, Operation]]:
    """Each method of each route that the table has, in the order of the routes."""
    for route in routes:
        if isinstance(route, Route):
            for method in sorted((route.methods or set()) - {"HEAD"}):
                operation = OPERATIONS.get((method, route.path))
                if operation is not None:
                    yield method, route, operation


def roles_of(route: Route) -> list[str] | None:
    """Who may ask, None for anyone."""
    roles = getattr(route.endpoint, "roles", None)
    return None if roles is None else sorted(roles)


def _operation(method: str, route: Route, of: Operation, schemas: Schemas) -> dict[str, Any]:
    roles = roles_of(route)
    anyone: list[dict[str, Any]] = [{}] if of.open_on_loopback or roles is None else []
    text = description(route.endpoint)
    path = [_parameter(name, "path", NAME) for name in _PATH_PARAMETER.findall(route.path)]
    query = [_parameter(name, "query", schema) for name, schema in of.parameters.items()]
    headers = [_parameter(name, "header", schema) for name, schema in of.headers.items()]
    return {
        "operationId": f"{method.lower()}_{re.sub(r'[^a-z0-9]+', '_', route.path.strip('/'))}",
        "tags": [next(tag for start, tag in _TAGGED if route.path.startswith(start))],
        "summary": headline(text) if text else route.path,
        "description": text,
        "parameters": [*path, *query, *headers],
        **({"requestBody": _body(of.body)} if of.body is not None else {}),
        "responses": _responses(of, schemas, guarded=bool(roles) or of.open_on_loopback),
        "security": [*anyone, {"bearer": []}] if roles or of.open_on_loopback else [],
        **({"x-roles": roles} if roles is not None else {}),
    }


def headline(text: str) -> str:
    """The first sentence, for where no markup is read."""
    return text.partition(".")[0].replace("``", "")


def _parameter(name: str, place: str, schema: Schema) -> dict[str, Any]:
    return {
        "name": name,
        "in": place,
        "description": MEANINGS[name],
        "required": place == "path",
        "schema": schema,
    }


def _body(schema: Schema) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _responses(of: Operation, schemas: Schemas, *, guarded: bool) -> dict[str, Any]:
    schema = of.answer(schemas) if of.answer is not None else TEXT
    answers: dict[int, Any] = {200: _response("It is so.", of.media_type, schema)}
    answers[200]["content"] |= {stream: {"schema": TEXT} for stream in of.streams}
    kinds = [*EVERYWHERE, *((UNAUTHORIZED, FORBIDDEN) if guarded else ()), *of.problems]
    for status in sorted({kind.status for kind in kinds}):
        names = [kind for kind in kinds if kind.status == status]
        answers[status] = _refusal(names, schemas)
    for status, make in of.also.items():
        answers[status] = _response("It is not so.", of.media_type, make(schemas))
    return {str(status): answers[status] for status in sorted(answers)}


def _response(text: str, media_type: str, schema: Schema) -> dict[str, Any]:
    return {"description": text, "content": {media_type: {"schema": schema}}}


def _refusal(kinds: Sequence[ProblemType], schemas: Schemas) -> dict[str, Any]:
    of_these = {"properties": {"type": {"enum": [kind.uri for kind in kinds]}}}
    schema = {"allOf": [schemas.refer("Problem"), of_these]}
    return _response(". ".join(kind.title for kind in kinds), MEDIA_TYPE, schema)


def _problem() -> Schema:
    return object_of(
        {
            "type": {"type": "string", "format": "uri"},
            "title": TEXT,
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": TEXT,
            "request_id": TEXT,
        },
        ["type", "title", "status", "request_id"],
        "RFC 9457. A client decides by type.",
    )
