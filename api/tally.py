"""What the HTTP side of this process has answered since it started, in plain numbers.

Whoever does something counts it here; :mod:`api.metrics` reads it when it is asked. Every name is
one of ours (a route's template, a provider, a problem), never a user's or a stranger's, so that
nobody can make the tally grow.
"""

from __future__ import annotations

from collections import Counter

from attrs import Factory, define
from starlette.requests import Request
from starlette.types import Scope

from eventstore.histogram import Histogram

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
NO_ROUTE = "none"
ADDRESSES_MAX = 1_000


@define
class Tally:
    """Counts of answers and refusals."""

    answers: Counter[tuple[str, str, int]] = Factory(Counter)
    """By route, method and status; status 0 where the peer left before there was one."""

    seconds: dict[str, Histogram] = Factory(dict)
    """How long each route took to answer."""

    webhooks: Counter[tuple[str, str]] = Factory(Counter)
    """By provider and outcome: a problem's name, ``accepted`` or ``duplicate``."""

    refusals: Counter[str] = Factory(Counter)
    """By name: who was not let in, or asked too much."""

    refused_from: Counter[str] = Factory(Counter)
    """By address, since the last event about refusals; at most :data:`ADDRESSES_MAX` of them."""

    crashes: int = 0
    """Requests that ended with an exception of ours."""

    def refused(self, name: str, address: str) -> None:
        """Count one refusal."""
        self.refusals[name] += 1
        if address in self.refused_from or len(self.refused_from) < ADDRESSES_MAX:
            self.refused_from[address] += 1

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answer."""
        known = method if method in METHODS else "other"
        self.answers[route, known, status] += 1
        if (histogram := self.seconds.get(route)) is None:
            histogram = self.seconds[route] = Histogram()
        histogram.observe(seconds)


def address_of(scope: Scope) -> str:
    """The address a request came from; behind a proxy that is not trusted, the proxy's."""
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


def tally_of(request: Request) -> Tally:
    """The tally of the application that serves this request."""
    tally: Tally = request.app.state.tally
    return tally
