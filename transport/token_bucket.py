"""How often something may happen: a sustained rate, and a burst above it."""

from __future__ import annotations


class TokenBucket:
    """Holds ``burst`` tokens and gains ``per_s`` of them each second; each happening takes one."""

    __slots__ = ("_at", "_burst", "_per_s", "_tokens")

    def __init__(self, per_s: float, burst: float, now: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._tokens = burst
        self._at = now

    def take(self, now: float) -> bool:
        """Take one token; False where there is none, which costs nothing."""
        tokens = self._tokens + (now - self._at) * self._per_s
        self._tokens = tokens if tokens < self._burst else self._burst  # noqa: FURB136 - hot
        self._at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
