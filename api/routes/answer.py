"""What a route answers with."""

from __future__ import annotations

import orjson
from starlette.responses import Response


def as_json(content: object) -> Response:
    """200, with this as JSON."""
    return Response(orjson.dumps(content), media_type="application/json")
