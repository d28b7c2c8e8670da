"""How much one user, one address and one inbox may ask of the server, in bounded memory.

A webhook that is too much is answered 503, never 429: Twilio takes 429 for a failure like any other
and others give up at a 4xx, but all of them repeat a 503. Nor does the address that it came from
count: a provider has few, and behind a proxy there is one for everybody.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from attrs import define, field

from api.problems import OVERLOADED, TOO_MANY_REQUESTS, Problem
from api.settings import Settings
from transport.token_bucket import TokenBucket

KEYS_MAX = 10_000
BURST_S = 4.0
"""A burst is what may come in so many seconds."""


class Limiter:
    """A rate for each key. It remembers the keys that asked last; a forgotten one begins anew."""

    def __init__(self, per_s: float, keys_max: int = KEYS_MAX) -> None:
        self._per_s = per_s
        self._keys_max = keys_max
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()
        self.retry_after_s = math.ceil(1 / per_s)

    def __len__(self) -> int:
        return len(self._buckets)

    def allows(self, key: str, now: float) -> bool:
        """Whether the key may ask once more at ``now``, in seconds; asking counts."""
        bucket = self._buckets.get(key)
        if bucket is None:
            burst = max(1.0, self._per_s * BURST_S)
            bucket = self._buckets[key] = TokenBucket(self._per_s, burst, now)
            if len(self._buckets) > self._keys_max:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        return bucket.take(now)


@define
class RateLimits:
    """The limits of one application."""

    users: Limiter
    addresses: Limiter
    inboxes: Limiter
    _now: Callable[[], float] = field(default=time.monotonic)

    @classmethod
    def of(cls, settings: Settings) -> RateLimits:
        """Those that the settings want."""
        return cls(
            Limiter(settings.requests_user_per_s),
            Limiter(settings.requests_address_per_s),
            Limiter(settings.webhooks_inbox_per_s),
        )

    def check_user(self, user: str) -> None:
        """Raise the 429 problem where they ask too much."""
        if not self.users.allows(user, self._now()):
            raise too_many(self.users)

    def check_inbox(self, inbox: str) -> None:
        """Raise the 503 problem where more comes for an inbox than one may get."""
        if not self.inboxes.allows(inbox, self._now()):
            detail = "more comes for this inbox than it may get"
            raise Problem(OVERLOADED, detail, headers=_retry_after(self.inboxes))

    def address_allowed(self, address: str) -> bool:
        """Whether an address may ask once more."""
        return self.addresses.allows(address, self._now())


def too_many(limiter: Limiter) -> Problem:
    """429, and when to come again."""
    return Problem(TOO_MANY_REQUESTS, headers=_retry_after(limiter))


def _retry_after(limiter: Limiter) -> dict[str, str]:
    return {"Retry-After": str(limiter.retry_after_s)}
