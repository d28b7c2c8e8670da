"""How often something may happen: a sustained rate, and a burst above it."""

from __future__ import annotations

_ROUNDING_S = 1e-6


class TokenBucket:
    """Holds ``burst`` tokens and gains ``per_s`` of them each second; each happening takes one.

    Kept as the time at which the bucket is full again (the generic cell rate algorithm, ITU-T
    I.371): a token taken moves it on by ``1 / per_s``, and it may lie ``burst`` of them ahead.
    """

    __slots__ = ("_full_at", "_most_s", "_token_s")

    def __init__(self, per_s: float, burst: float, now: float) -> None:
        self._token_s = 1 / per_s
        self._most_s = burst / per_s
        self._full_at = now

    def take(self, now: float) -> bool:
        """Take one token; False where there is none, which costs nothing."""
        full_at = self._full_at
        full_at = (full_at if full_at > now else now) + self._token_s  # noqa: FURB136 - hot
        if full_at - now > self._most_s + _ROUNDING_S:
            return False
        self._full_at = full_at
        return True
