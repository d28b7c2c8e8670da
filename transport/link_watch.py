"""When a client gives an open link up: silence, standstill, or an event that does not come.

None of the three is an error by itself. A half-open link looks alive for hours, a server may have a
fault that no frame shows, and a new link with the old cursor repairs all of it.
"""

from __future__ import annotations

from collections.abc import Callable

from eventstore.cursor import Cursor
from transport.frames import Heartbeat

WELCOME_TIMEOUT_S = 10.0

WOKEN_GRACE_S = 1.0
"""After a sleep, frames that lie in the socket already are read before any of this is believed."""

STUCK_AFTER_S = 60.0
"""So long nothing may come while the server owes the next events (G11)."""


class LinkWatch:
    """The timers of one link, opened ``now``; all times are seconds, monotonic."""

    def __init__(self, now: float) -> None:
        self._heartbeat: Heartbeat | None = None
        self._heard_at = now
        self._moved_at = now
        self._shown: Cursor | None = None
        self._shown_until = 0.0

    def heard(self, now: float, *, moved: bool) -> None:
        """Something came, whatever it was; ``moved`` where it was more than a sign of life."""
        self._heard_at = now
        if moved:
            self._moved_at = now

    def welcomed(self, heartbeat: Heartbeat) -> None:
        """The server says how often it is to be heard."""
        self._heartbeat = heartbeat

    def shown(self, cursor: Cursor, now: float) -> None:
        """A ping shows an event that we lack; it may be on its way behind this very ping."""
        assert self._heartbeat is not None
        if self._shown is None:
            self._shown = cursor
            self._shown_until = now + self._heartbeat.timeout_ms / 1000

    def woke(self, now: float) -> None:
        """Time passed in which nobody looked."""
        soon = now + WOKEN_GRACE_S
        self._heard_at = max(self._heard_at, soon - self._silence_s)
        self._moved_at = max(self._moved_at, soon - STUCK_AFTER_S)
        self._shown_until = max(self._shown_until, soon)

    @property
    def _silence_s(self) -> float:
        beat = self._heartbeat
        return WELCOME_TIMEOUT_S if beat is None else (beat.interval_ms + beat.timeout_ms) / 1000

    def deadline(self, *, owed: bool) -> float:
        """When to ask for a :meth:`fault`; ``owed`` where the server owes us the next events."""
        moments = [self._heard_at + self._silence_s]
        if owed:
            moments.append(self._moved_at + STUCK_AFTER_S)
        if self._shown is not None:
            moments.append(self._shown_until)
        return min(moments)

    def fault(self, now: float, *, owed: bool, lacks: Callable[[Cursor], bool]) -> str | None:
        """Why the link is to be given up now, or None; ``lacks`` says whether we lack a cursor."""
        if now >= self._heard_at + self._silence_s:
            return "the server has fallen silent"
        if owed and now >= self._moved_at + STUCK_AFTER_S:
            return "catching up stands still"
        if self._shown is not None and now >= self._shown_until:
            shown, self._shown = self._shown, None
            if lacks(shown):
                return "an event that the server has did not come"
        return None
