"""Who is asking, and what they may see: a bearer token in, a :class:`Principal` out.

Two kinds of token. Ours, ``mlt_<id>_<secret>``: the keyring knows the secret's digest, the access
projection whose it is, until when, and whether it was revoked. And, where a secret for them is
set, HS256 JWTs of the user's own backend, which say all of it themselves.

Nothing is remembered between two questions: a revoked token is refused the next time it is shown,
and a stream that is open asks again before it sends (GUARANTEES, G21).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, TypeAlias, get_args

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from api.keyring import Keyring
from api.names import is_name
from api.problems import FORBIDDEN, Problem, unauthorized
from api.rate_limits import RateLimits
from eventstore.events import Role
from projections.access import Access
from transport.frames import CloseCode
from transport.hub import Grant, Refused

ANYONE_INSIDE: frozenset[Role] = frozenset(get_args(Role))
"""May read: members their inboxes, auditors and admins every inbox."""

WRITERS: frozenset[Role] = frozenset({"member", "admin"})
"""May change what others see; an auditor changes nothing."""

AUDITORS: frozenset[Role] = frozenset({"auditor", "admin"})
"""May read the raw history, and erase from it."""

ADMINS: frozenset[Role] = frozenset({"admin"})
"""May look behind the inbox, and try it."""

_JWT_CLAIMS = ["sub", "inboxes", "role", "exp"]
_JWT_BYTES_MAX = 4096


@frozen
class Principal:
    """Whoever asks, as of now. ``token`` is the public id of ours, None for a JWT."""

    user: str
    role: Role
    inboxes: frozenset[str]
    token: str | None
    expires_at_us: int | None

    @property
    def grant(self) -> Grant:
        """The part of it that delivery needs."""
        return Grant(self.user, self.inboxes, self.token, self.expires_at_us)


class Gate:
    """Judges tokens. ``access`` gives the newest snapshot of the access projection, each time."""

    def __init__(
        self,
        keyring: Keyring,
        access: Callable[[], Access],
        *,
        clock: Callable[[], int],
        jwt_secret: str | None = None,
    ) -> None:
        self._keyring = keyring
        self._access = access
        self._clock = clock
        self._jwt_secret = jwt_secret

    def principal(self, token: str) -> Principal | None:
        """Whose token this is; None if it is nobody's, revoked or expired."""
        if token.startswith("mlt_"):
            return self._own(token)
        if self._jwt_secret is not None and len(token) <= _JWT_BYTES_MAX:
            return self._from_backend(token, self._jwt_secret)
        return None

    def admit(self, token: str) -> Grant:
        """The grant of a token, as delivery asks for it; raises :class:`Refused`."""
        found = self.principal(token)
        if found is None:
            raise Refused(CloseCode.UNAUTHORIZED, "the token is not valid")
        return found.grant

    def judge_again(self, grant: Grant) -> Grant:
        """What a grant of earlier is worth now; raises :class:`Refused` once it is worth nothing.

        A JWT keeps what it said until it expires: its backend's word is all we have.
        """
        if grant.token is None:
            return grant
        found = self._holder(grant.token)
        if found is None:
            raise Refused(CloseCode.REVOKED, "access was withdrawn")
        return found.grant

    def _own(self, token: str) -> Principal | None:
        token_id = self._keyring.token_id(token)
        return self._holder(token_id) if token_id is not None else None

    def _holder(self, token_id: str) -> Principal | None:
        access = self._access()
        row = access.tokens.get(token_id)
        if row is None or row.revoked:
            return None
        if row.expires_at_us is not None and row.expires_at_us <= self._clock():
            return None
        member = access.members.get(row.user)
        if member is None:
            return None
        seen = access.seen_by(member.role, member.inboxes)
        return Principal(row.user, member.role, seen, token_id, row.expires_at_us)

    def _from_backend(self, token: str, secret: str) -> Principal | None:
        import jwt  # of all servers only those that have a secret need it, and half of OpenSSL

        try:
            # One algorithm, named here and not by the token (RFC 8725, 3.1).
            claims = jwt.decode(
                token, secret, algorithms=["HS256"], options={"require": _JWT_CLAIMS}
            )
            return self._claimed(claims)
        except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError):
            return None

    def _claimed(self, claims: dict[str, Any]) -> Principal:
        user, role, inboxes = claims["sub"], claims["role"], claims["inboxes"]
        if role not in get_args(Role) or not is_name(user) or not _is_names(inboxes):
            raise ValueError("claims of the wrong shape")
        seen = self._access().seen_by(role, frozenset(inboxes))
        return Principal(user, role, seen, None, int(claims["exp"]) * 1_000_000)


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def bearer_token(request: Request) -> str:
    """The token of the ``Authorization`` header; raises the 401 problem where there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise unauthorized()
    return token.strip()


Handler: TypeAlias = Callable[[Request, Principal], Awaitable[Response]]
Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]


def only(roles: frozenset[Role], handler: Handler) -> Endpoint:
    """The endpoint that calls ``handler`` for these roles, and refuses everybody else.

    The table of routes reads ``Route("/v1/sync", only(ANYONE_INSIDE, get_sync))``: who may is
    stated where the route is.
    """

    @wraps(handler)
    async def endpoint(request: Request) -> Response:
        gate: Gate = request.state.house.gate
        principal = gate.principal(bearer_token(request))
        if principal is None:
            raise unauthorized()
        limits: RateLimits = request.app.state.limits
        limits.check_user(principal.user)
        if principal.role not in roles:
            raise Problem(FORBIDDEN)
        return await handler(request, principal)

    endpoint.roles = roles  # type: ignore[attr-defined]  # /openapi.json says who may ask
    return endpoint
