"""When the token in use wants a successor, as far as the server has said how long it is good.

The server says it as a duration and not as a time: the two clocks need not agree. A successor is
asked for well before the end, so that an identity service that is slow or down for a while does not
cost the connection.
"""

from __future__ import annotations

MARGIN_S = 60.0
"""How long before the end a successor is asked for; half of its life for a token that is short."""

ASK_AGAIN_S = 10.0
"""After this a successor is asked for again, where none came or the server did not take it."""


class TokenLife:
    """``renewable`` says that successors can be had. Times are seconds, monotonic."""

    def __init__(self, *, renewable: bool) -> None:
        self.renewable = renewable
        self.renew_at: float | None = None
        self._lasts_until: float | None = None

    def told(self, expires_in_ms: int | None, now: float) -> None:
        """The server took a token, for so long; None where it has no end or the server is older."""
        self.renew_at = self._lasts_until = None
        if self.renewable and expires_in_ms is not None:
            life_s = max(0.0, expires_in_ms / 1000)
            self.renew_at = self._lasts_until = now + max(life_s - MARGIN_S, life_s / 2)

    def asked(self, now: float) -> None:
        """A successor is under way; if none is taken, it is asked for again."""
        self.renew_at = now + ASK_AGAIN_S

    def void(self) -> None:
        """The server does not take the token any more."""
        self.renew_at = self._lasts_until = None

    def lasts(self, now: float) -> bool:
        """Whether the token is known to be good for another ``hello``."""
        return self._lasts_until is not None and now < self._lasts_until
