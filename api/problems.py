"""Every error this server answers with: RFC 9457 problems, each type a stable URI.

A client decides by ``type``; ``detail`` is for people. No problem carries a traceback, an SQL
statement, a path of this machine, or anything of an inbox its reader may not see.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from attrs import frozen
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api.tally import address_of, tally_of
from eventstore.log import LogUnavailable
from projections.projector import HistoryTooLong, PositionUnknown, ProjectionsBehind

MEDIA_TYPE = "application/problem+json"


@frozen
class ProblemType:
    """One kind of problem: its name within our URIs, its HTTP status and its title."""

    name: str
    status: int
    title: str

    @property
    def uri(self) -> str:
        """The stable ``type`` of the problem object."""
        return f"urn:malote:problem:{self.name}"


BAD_REQUEST = ProblemType("bad-request", 400, "The request is not as the protocol has it")
CURSOR_MALFORMED = ProblemType("cursor-malformed", 400, "That is not a cursor")
HOST_UNKNOWN = ProblemType("host-unknown", 400, "This server does not answer to that host name")
UNAUTHORIZED = ProblemType("unauthorized", 401, "A valid bearer token is needed")
WEBHOOK_REFUSED = ProblemType("webhook-refused", 401, "The webhook could not be authenticated")
FORBIDDEN = ProblemType("forbidden", 403, "Your role does not allow this")
CHALLENGE_REFUSED = ProblemType("challenge-refused", 403, "The challenge was not accepted")
NOT_FOUND = ProblemType("not-found", 404, "There is no such thing, or you may not see it")
METHOD_NOT_ALLOWED = ProblemType("method-not-allowed", 405, "That method is not for this route")
CURSOR_OF_ANOTHER_HISTORY = ProblemType("reset", 410, "The cursor is of another history")
BODY_TOO_LARGE = ProblemType("body-too-large", 413, "The body is larger than allowed")
ENCODING_NOT_SUPPORTED = ProblemType(
    "encoding-not-supported", 415, "Bodies are taken without Content-Encoding only"
)
HISTORY_TOO_LONG = ProblemType("history-too-long", 422, "That is too much history for an answer")
TOO_MANY_REQUESTS = ProblemType("too-many-requests", 429, "That is more than one may ask")
INTERNAL = ProblemType("internal", 500, "Something went wrong here; the fault is ours")
OVERLOADED = ProblemType("overloaded", 503, "That cannot be done at this moment; ask again")
LOG_UNAVAILABLE = ProblemType("log-unavailable", 503, "The log takes no events at the moment")

PROBLEMS = (
    BAD_REQUEST,
    CURSOR_MALFORMED,
    HOST_UNKNOWN,
    UNAUTHORIZED,
    WEBHOOK_REFUSED,
    FORBIDDEN,
    CHALLENGE_REFUSED,
    NOT_FOUND,
    METHOD_NOT_ALLOWED,
    CURSOR_OF_ANOTHER_HISTORY,
    BODY_TOO_LARGE,
    ENCODING_NOT_SUPPORTED,
    HISTORY_TOO_LONG,
    TOO_MANY_REQUESTS,
    INTERNAL,
    OVERLOADED,
    LOG_UNAVAILABLE,
)

REFUSALS = frozenset({HOST_UNKNOWN, UNAUTHORIZED, WEBHOOK_REFUSED, FORBIDDEN, TOO_MANY_REQUESTS})
"""Somebody was not let in, or asked too much: counted, and recorded in sums."""


class Problem(Exception):
    """Raise it anywhere below a route: it becomes the answer. ``extra`` are further members."""

    def __init__(
        self,
        kind: ProblemType,
        detail: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail or kind.title)
        self.kind = kind
        self.detail = detail
        self.headers = dict(headers or {})
        self.extra = extra

    def body(self, request_id: str | None) -> bytes:
        """The problem object as JSON."""
        members = {
            "type": self.kind.uri,
            "title": self.kind.title,
            "status": self.kind.status,
            **({"detail": self.detail} if self.detail else {}),
            **({"request_id": request_id} if request_id else {}),
            **self.extra,
        }
        return orjson.dumps(members)

    def response(self, request_id: str | None) -> Response:
        """The answer a client gets."""
        return Response(self.body(request_id), self.kind.status, self.headers, MEDIA_TYPE)


def unauthorized(detail: str | None = None) -> Problem:
    """401, with the scheme to try (RFC 6750, 3)."""
    return Problem(UNAUTHORIZED, detail, headers={"WWW-Authenticate": 'Bearer realm="malote"'})


def log_unavailable(trouble: LogUnavailable) -> Problem:
    """503: the outcome is unknown and asking again, with the same key, is always safe (G3)."""
    seconds = max(1, round(trouble.retry_after_s))
    return Problem(LOG_UNAVAILABLE, headers={"Retry-After": str(seconds)})


def _request_id(request: Request) -> str | None:
    found: str | None = request.scope.get("request_id")
    return found


async def answer_problem(request: Request, problem: Exception) -> Response:
    """Starlette's exception handler for :class:`Problem`."""
    assert isinstance(problem, Problem)
    if problem.kind in REFUSALS:
        tally_of(request).refused(problem.kind.name, address_of(request.scope))
    return problem.response(_request_id(request))


async def answer_log_unavailable(request: Request, trouble: Exception) -> Response:
    """Starlette's exception handler for :class:`LogUnavailable`, whatever the route."""
    assert isinstance(trouble, LogUnavailable)
    return log_unavailable(trouble).response(_request_id(request))


async def answer_projections_behind(request: Request, trouble: Exception) -> Response:
    """Starlette's exception handler for :class:`ProjectionsBehind`: a moment, they are coming."""
    assert isinstance(trouble, ProjectionsBehind)
    detail = "the lists are being brought up to date"
    return await answer_problem(request, Problem(OVERLOADED, detail, headers={"Retry-After": "1"}))


async def answer_position_unknown(request: Request, unknown: Exception) -> Response:
    """Starlette's exception handler for :class:`PositionUnknown`: the log is not so long yet."""
    assert isinstance(unknown, PositionUnknown)
    return await answer_problem(request, Problem(BAD_REQUEST, str(unknown)))


async def answer_history_too_long(request: Request, refusal: Exception) -> Response:
    """Starlette's exception handler for :class:`HistoryTooLong`, which only the ledger meets."""
    assert isinstance(refusal, HistoryTooLong)
    elsewhere = f"on the server's machine: malote ledger --at {refusal.position}"
    return await answer_problem(request, Problem(HISTORY_TOO_LONG, f"{refusal}; {elsewhere}"))


async def answer_http_exception(request: Request, refusal: Exception) -> Response:
    """What Starlette itself refuses: an unknown path, a wrong method, a body it cannot read."""
    assert isinstance(refusal, HTTPException)
    kind = _KINDS.get(refusal.status_code) or _plain(refusal.status_code)
    problem = Problem(kind, headers=refusal.headers)
    return problem.response(_request_id(request))


_KINDS = {404: NOT_FOUND, 405: METHOD_NOT_ALLOWED, 400: BAD_REQUEST}


def _plain(status: int) -> ProblemType:
    # RFC 9457, 4.2.1: a status that needs no further type of its own.
    return ProblemType(f"http-{status}", status, HTTPStatus(status).phrase)
