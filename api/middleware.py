"""What every answer has in common. Pure ASGI: a wrapper around ``send``, and no task of its own.

The outermost layer is :class:`Answers`: request id, security headers, and an answer where the
application raised. Inside it :class:`Hosts` refuses names that are not ours.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Collection

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import HOST_UNKNOWN, INTERNAL, Problem

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{8,64}", re.ASCII)
_STARTS = frozenset({"http.response.start", "websocket.http.response.start"})

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


def request_id(scope: Scope) -> str:
    """The caller's ``X-Request-ID`` where it is sane, else a new random one."""
    given = _header(scope, b"x-request-id")
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given.decode("ascii")
    return secrets.token_hex(16)


class Answers:
    """Gives each request its id, each answer its headers, and each crash an answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        ident = scope["request_id"] = request_id(scope)
        structlog.contextvars.bind_contextvars(request_id=ident)
        answer = _Answer(send, ident)
        began = time.perf_counter()
        try:
            await self._app(scope, receive, answer.send)
        except ClientDisconnect:
            _log.debug("client left", path=scope["path"])
        except Exception:
            # Re-raised it would be uvicorn's to print, with the message and without the id.
            _log.exception("unhandled exception", path=scope["path"])
            await _answer_crash(scope, receive, answer)
        finally:
            _log_request(scope, answer.status, began)
            structlog.contextvars.unbind_contextvars("request_id")


class _Answer:
    """``send`` with the common headers put in, and the status kept for the log line."""

    def __init__(self, send: Send, ident: str) -> None:
        self._send = send
        self._request_id = (b"x-request-id", ident.encode("ascii"))
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
        return [*headers, self._request_id, *common]


async def _answer_crash(scope: Scope, receive: Receive, answer: _Answer) -> None:
    if scope["type"] == "http" and answer.status is None:
        await Problem(INTERNAL).response(scope["request_id"])(scope, receive, answer.send)


def _log_request(scope: Scope, status: int | None, began: float) -> None:
    if scope["type"] != "http":
        return
    tell = _log.debug if status is not None and status < 400 else _log.info
    tell(
        "request",
        method=scope["method"],
        path=scope["path"],
        status=status,
        duration_ms=round((time.perf_counter() - began) * 1000, 1),
    )


class Hosts:
    """Answers only to its own names: DNS rebinding makes a browser send another one.

    Starlette's TrustedHostMiddleware answers in plain text and does not know IPv6 addresses.
    """

    def __init__(self, app: ASGIApp, allowed: frozenset[str]) -> None:
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] not in ("http", "websocket") or self._knows(scope):
            await self._app(scope, receive, send)
            return
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
