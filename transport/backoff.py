"""How long to wait before the next attempt: exponential with full jitter, and no clock of its own.

Full jitter, because a thousand clients lose a restarted server in the same instant: spread over the
whole interval they come back as a stream and not as waves.
"""

from __future__ import annotations

from attrs import frozen

_DOUBLINGS_MAX = 32


@frozen
class Backoff:
    """Delays that double from ``base_s`` to ``cap_s``; both in seconds."""

    base_s: float = 0.5
    cap_s: float = 20.0

    def ceiling_s(self, attempts: int) -> float:
        """The longest delay after ``attempts`` attempts that failed in a row."""
        # The exponent is bounded: a client that was away for a week must not overflow a float.
        return min(self.cap_s, self.base_s * 2.0 ** min(attempts, _DOUBLINGS_MAX))

    def delay_s(self, attempts: int, fraction: float) -> float:
        """The delay after ``attempts`` failures; ``fraction`` is drawn from [0, 1)."""
        return self.ceiling_s(attempts) * fraction
