"""Query parameters, read strictly: what a route does not know, or cannot read, is a 400."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import orjson
from starlette.requests import Request

from api.problems import BAD_REQUEST, BODY_TOO_LARGE, CURSOR_MALFORMED, Problem
from eventstore.cursor import Cursor, CursorMalformed
from projections.deliveries import device_of

T = TypeVar("T")
_INTEGER = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_POSITION_MAX = 2**63 - 1
NAME_CHARS_MAX = 200
# RFC 3339, 5.6: date, time and an offset. fromisoformat alone would take far more.
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def parameters(request: Request, **readers: Callable[[str], Any]) -> Mapping[str, Any]:
    """The parameters that were given, each read by its reader.

    A reader raises ValueError, with a message that says what it takes.
    """
    found: dict[str, Any] = {}
    for name, text in request.query_params.multi_items():
        if name not in readers:
            raise Problem(BAD_REQUEST, f"this route has no parameter {name[:40]!r}")
        if name in found:
            raise Problem(BAD_REQUEST, f"the parameter {name!r} was given twice")
        try:
            found[name] = readers[name](text)
        except CursorMalformed:
            raise Problem(CURSOR_MALFORMED, f"{name} is not a cursor") from None
        except ValueError as wrong:
            raise Problem(BAD_REQUEST, f"{name}: {wrong}") from None
    return found


def page_limit(most: int) -> Callable[[str], int]:
    """Reads how many are wanted: 1 to ``most``."""

    def read(text: str) -> int:
        if not _INTEGER.fullmatch(text) or not 1 <= int(text) <= most:
            raise ValueError(f"a number from 1 to {most}")
        return int(text)

    return read


def position(text: str) -> int:
    """Reads a position in the log; 0 is before the first event."""
    if not _INTEGER.fullmatch(text) or int(text) > _POSITION_MAX:
        raise ValueError("a position is a whole number")
    return int(text)


def time_us(text: str) -> int:
    """Reads an RFC 3339 time; µs since the Unix epoch, exactly."""
    if not _TIME.fullmatch(text):
        raise ValueError("a time such as 2026-11-22T10:00:00Z")
    try:
        moment = datetime.fromisoformat(text.upper())
        since_epoch = moment - datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    except (ValueError, OverflowError):
        raise ValueError("there is no such time") from None
    return (since_epoch.days * 86_400 + since_epoch.seconds) * 1_000_000 + since_epoch.microseconds


def cursor(text: str) -> Cursor:
    """Reads a cursor; raises :class:`CursorMalformed`."""
    return Cursor.parse(text)


def device(text: str) -> tuple[str, str]:
    """Reads a user and one of their devices."""
    if (found := device_of(f"client:{name(text)}")) is None:
        raise ValueError("a user and a device, such as ana/laptop")
    return found


async def json_body(request: Request, bytes_max: int) -> Any:
    """The body as JSON; refused while it is read once it is larger than that."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > bytes_max:
            raise Problem(BODY_TOO_LARGE, headers={"Connection": "close"})
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Problem(BAD_REQUEST, "the body is not JSON") from None


def name(text: str) -> str:
    """Takes an id as it is; whether it exists is not for the reader to say."""
    if not 0 < len(text) <= NAME_CHARS_MAX:
        raise ValueError("1 to 200 characters")
    return text
