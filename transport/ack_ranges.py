"""What a session records of its acks: ranges that follow each other, at most one a second."""

from __future__ import annotations

from eventstore.events import DeliveryAcknowledged

RECORDED_EVERY_S = 1.0
_NEVER = float("inf")


class AckRanges:
    """A quiet inbox has exact times, a storm costs one small event a second.

    ``recorded`` is the position up to which everything is recorded as handled, by this session or
    by the device's earlier ones. ``due`` is when to :meth:`take` at the latest.
    """

    __slots__ = ("_count", "_not_before", "_session", "_until", "due", "recorded")

    def __init__(self, session: str, recorded: int, now: float) -> None:
        self._session = session
        self._until = recorded
        self._count = 0
        self._not_before = now
        self.recorded = recorded
        self.due = _NEVER

    def skip(self, until: int) -> None:
        """What lies up to there is settled by another record."""
        if until > self.recorded:
            self.recorded = self._until = until
            self.due = _NEVER

    def add(self, until: int, count: int) -> float:
        """The device handled ``count`` more events, and everything up to ``until``; gives `due`."""
        if until > self._until:
            self._until = until
        self._count += count
        if self._until > self.recorded:
            self.due = self._not_before
        return self.due

    def take(self, now: float) -> DeliveryAcknowledged | None:
        """The range to record; None where nothing was handled since the last one."""
        if self._until <= self.recorded:
            return None
        taken = DeliveryAcknowledged(self._session, self.recorded, self._until, self._count)
        self.recorded, self._count, self.due = self._until, 0, _NEVER
        self._not_before = now + RECORDED_EVERY_S
        return taken
