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


async def position_of(log: EventLog, moment: Moment) -> int:
    """Where in the log that is; a time is where the last event up to then is.

    Raises :class:`~projections.projector.PositionUnknown` beyond the head.
    """
    if moment.time_us is not None:
        return await log.position_at(moment.time_us)
    if moment.position is None:
        return log.head.position
    if moment.position > log.head.position:
        raise PositionUnknown(f"there is no position {moment.position} yet")
    return moment.position
