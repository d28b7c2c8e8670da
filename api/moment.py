"""A moment of the history as somebody names it, and where in the log it is."""

from __future__ import annotations

from attrs import frozen

from eventstore.log import EventLog
from projections.projector import PositionUnknown


@frozen
class Moment:
    """A position, or a time (µs since the Unix epoch); without either, now."""

    position: int | None = None
    time_us: int | None = None

    def place(self, head: int) -> int:
        """Where that is, of a moment that is no time, in a log that ends at ``head``.

        Raises :class:`~projections.projector.PositionUnknown` beyond it.
        """
        if self.position is None:
            return head
        if self.position > head:
            raise PositionUnknown(f"there is no position {self.position} yet")
        return self.position


async def position_of(log: EventLog, moment: Moment) -> int:
    """Where in the log that is; a time is where the last event up to then is.

    Raises :class:`~projections.projector.PositionUnknown` beyond the head.
    """
    if moment.time_us is not None:
        return await log.position_at(moment.time_us)
    return moment.place(log.head.position)
