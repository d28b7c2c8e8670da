"""What every answer has in common. Pure ASGI: a wrapper around ``send``, and no task of its own.

The outermost layer is :class:`Answers`: request id, security headers, an answer where the
application raised, and the record of how each request ended, as a log line and as a count. Inside
it :class:`Hosts` refuses names that are not ours, and :class:`AddressLimit` who asks too much.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Collection, Sequence

import structlog
from attrs import frozen
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import HOST_UNKNOWN, INTERNAL, Problem
from api.rate_limits import RateLimits, too_many
from api.tally import NO_ROUTE, Tally, address_of

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{8,64}", re.ASCII)
# W3C Trace Context: version, trace, span, flags; a trace or span of zeros is none.
_TRACEPARENT = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?",
    re.ASCII,
)
_STARTS = frozenset({"http.response.start", "websocket.http.response.start"})

OUTCOME = "malote.outcome"
"""Where in the scope a handler may leave what more its request's log line should say."""

# Inbox content is shown by the web inbox as text; nothing served here may run or frame anything.
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)

_log = structlog.get_logger()


def _header(scope: Scope, name: bytes) -> bytes | None:
    found: bytes | None = next((value for key, value in scope["headers"] if key == name), None)
    return found


@frozen
class Ident:
    """What a request is called here and, where its caller traces it, there.

    ``request_id`` is the caller's ``X-Request-ID`` where it is sane, else the trace of a
    ``traceparent``, else random; it is the ``correlation_id`` of all that the request records.
    """

    request_id: str
    trace_id: str | None = None
    flags: str = "00"

    @classmethod
    def of(cls, scope: Scope) -> Ident:
        """Read it from a request's headers."""
        given = _header(scope, b"x-request-id")
        sane = given is not None and _REQUEST_ID.fullmatch(given)
        own = given.decode("ascii") if given is not None and sane else None
        traced = _TRACEPARENT.fullmatch(_header(scope, b"traceparent") or b"")
        if traced is None:
            return cls(own or secrets.token_hex(16))
        trace_id = traced[1].decode("ascii")
        return cls(own or trace_id, trace_id, traced[2].decode("ascii"))

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """What the answer says of it; the trace goes on with a span of ours."""
        pairs = [(b"x-request-id", self.request_id.encode("ascii"))]
        if self.trace_id is not None:
            span = f"00-{self.trace_id}-{secrets.token_hex(8)}-{self.flags}"
            pairs.append((b"traceparent", span.encode("ascii")))
        return pairs

    @property
    def log_context(self) -> dict[str, str]:
        """What each log line of the request carries."""
        traced = {} if self.trace_id is None else {"trace_id": self.trace_id}
        return {"request_id": self.request_id, **traced}


class Answers:
    """Gives each request its id, each answer its headers, each crash an answer; records the end."""

    def __init__(self, app: ASGIApp, tally: Tally) -> None:
        self._app = app
        self._tally = tally

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        ident = Ident.of(scope)
        scope["request_id"] = ident.request_id
        structlog.contextvars.bind_contextvars(**ident.log_context)
        answer = _Answer(send, ident)
        began = time.perf_counter()
        try:
            await self._app(scope, receive, answer.send)
        except ClientDisconnect:
            _log.debug("client left", path=scope["path"])
        except Exception:
            # Re-raised it would be uvicorn's to print, with the message and without the id.
            self._tally.crashes += 1
            _log.exception("unhandled exception", path=scope["path"])
            await _answer_crash(scope, receive, answer)
        finally:
            self._record_end(scope, answer.status, time.perf_counter() - began)
            structlog.contextvars.unbind_contextvars(*ident.log_context)

    def _record_end(self, scope: Scope, status: int | None, seconds: float) -> None:
        if scope["type"] != "http":
            return
        route = route_of(scope)
        self._tally.answered(route, scope["method"], status or 0, seconds)
        # A webhook is what this server is for: each has its line, by which it is found again.
        quiet = status is not None and status < 400 and not route.startswith("/webhooks/")
        (_log.debug if quiet else _log.info)(
            "request",
            method=scope["method"],
            route=route,
            path=scope["path"],
            status=status,
            duration_ms=round(seconds * 1000, 1),
            **scope.get(OUTCOME, {}),
        )


def route_of(scope: Scope) -> str:
    """The template of the route that took the request; ``none`` where there was no such route."""
    endpoint = scope.get("endpoint")
    if endpoint is None:
        return NO_ROUTE
    routes: Sequence[object] = scope["app"].routes
    found = (route for route in routes if getattr(route, "endpoint", None) is endpoint)
    return getattr(next(found, None), "path", NO_ROUTE)


class _Answer:
    """``send`` with the common headers put in, and the status kept for the record."""

    def __init__(self, send: Send, ident: Ident) -> None:
        self._send = send
        self._ident = ident
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] in _STARTS:
            self.status = message["status"]
            message["headers"] = self._with_common(message.get("headers", ()))
        await self._send(message)

    def _with_common(self, headers: Collection[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        # A route's own header wins: the web inbox's policy is wider than that of an API.
        present = {name.lower() for name, _ in headers}
        common = [pair for pair in SECURITY_HEADERS if pair[0] not in present]
        return [*headers, *self._ident.headers, *common]


async def _answer_crash(scope: Scope, receive: Receive, answer: _Answer) -> None:
    if scope["type"] == "http" and answer.status is None:
        await Problem(INTERNAL).response(scope["request_id"])(scope, receive, answer.send)


class AddressLimit:
    """Answers 429 to an address that asks for too much; webhooks are for :mod:`api.rate_limits`."""

    def __init__(self, app: ASGIApp, limits: RateLimits, tally: Tally) -> None:
        self._app = app
        self._limits = limits
        self._tally = tally

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        counts = scope["type"] == "http" and not scope["path"].startswith("/webhooks/")
        address = address_of(scope)
        if not counts or self._limits.address_allowed(address):
            await self._app(scope, receive, send)
            return
        problem = too_many(self._limits.addresses)
        self._tally.refused(problem.kind.name, address)
        await problem.response(scope.get("request_id"))(scope, receive, send)


class Hosts:
    """Answers only to its own names: DNS rebinding makes a browser send another one.

    Starlette's TrustedHostMiddleware answers in plain text and does not know IPv6 addresses.
    """

    def __init__(self, app: ASGIApp, allowed: frozenset[str], tally: Tally) -> None:
        self._app = app
        self._allowed = allowed
        self._tally = tally

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] not in ("http", "websocket") or self._knows(scope):
            await self._app(scope, receive, send)
            return
        self._tally.refused(HOST_UNKNOWN.name, address_of(scope))
        problem = Problem(HOST_UNKNOWN).response(scope.get("request_id"))
        await problem(scope, receive, send)

    def _knows(self, scope: Scope) -> bool:
        host = (_header(scope, b"host") or b"").decode("latin-1").lower()
        return "*" in self._allowed or host_name(host) in self._allowed


def host_name(host: str) -> str:
    """The name in a ``Host`` header, without its port; an IPv6 address keeps its brackets."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]
