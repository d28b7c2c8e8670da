"""Whether a client comes back after a link ended, and after how long (PROTOCOL, "Reconnect")."""

from __future__ import annotations

from collections.abc import Callable

from transport.backoff import Backoff
from transport.client_errors import GaveUp, Unauthorized
from transport.frames import CloseCode
from transport.link_end import LinkEnd, stop_reason

STEADY_AFTER_S = 30.0
"""A link that held this long was a good one, whatever ended it."""

RETRY_AFTER_MAX_S = 3600.0
"""A wish beyond this is a mistake, and would be a way to send a client away for ever."""


class Reconnect:
    """Counts attempts that led to nothing; ``random`` returns numbers in [0, 1).

    ``renews_token`` says that a fresh token can be had.
    """

    def __init__(
        self,
        backoff: Backoff,
        random: Callable[[], float],
        *,
        attempts_max: int | None = None,
        renews_token: bool = False,
    ) -> None:
        self._backoff = backoff
        self._random = random
        self._attempts_max = attempts_max
        self.renews_token = renews_token
        self.attempts = 0
        self._sent_away = False

    def attempt(self) -> None:
        """Another one begins."""
        self.attempts += 1

    def went_live(self) -> None:
        """The attempt led to something."""
        if not self._sent_away:
            self.attempts = 0

    def woke(self) -> None:
        """The machine slept: what failed before says nothing about now."""
        self.attempts = 0

    def delay_s(self, end: LinkEnd, *, held_s: float, was_good: bool) -> float:
        """How long to wait after a link that held so long; raise ``Stopped`` if for ever.

        ``was_good`` says that its token had been taken, on this link or before.
        """
        if held_s >= STEADY_AFTER_S:
            self.attempts = 0
            self._sent_away = False
        # The server has other inboxes for us, now; said again and again, it is borne patiently.
        at_once = end.code == CloseCode.ACCESS_CHANGED and not self._sent_away
        # Two programs that are one device replace each other after each `live`: whoever was sent
        # away (4000-4499) stays patient until a link holds, or the two would race for ever.
        self._sent_away = 4000 <= end.code <= 4499
        error = stop_reason(end)
        # 4501 to a token that was good: it has expired meanwhile. A fresh one is tried, once; if
        # that is refused, it was never good.
        expired = isinstance(error, Unauthorized) and was_good
        if error is not None and not (expired and self.renews_token):
            raise error
        if self._attempts_max is not None and self.attempts >= self._attempts_max:
            raise GaveUp(end.code if end.status is None else end.status, end.reason)
        # Added, not the larger of the two: a thousand who were told the same time come back spread.
        asked_s = min(max(end.retry_after_s, 0.0), RETRY_AFTER_MAX_S)
        return asked_s + (0.0 if at_once else self._backoff.delay_s(self.attempts, self._random()))
