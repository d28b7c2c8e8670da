"""What waits for a device that was away, and how much of it is too much.

The queue is no store: it is the visible events between a device's cursor and the head. Past its
limits the oldest of them are skipped. They stay in the log and in ``/v1/sync``, and the client is
told from where to where, and how many.
"""

from __future__ import annotations

from attrs import frozen

from eventstore.cursor import Cursor
from eventstore.log import EventLog
from transport.frames import Skipped

_US = 1_000_000
ALL = 2**62
"""As many as there are."""


@frozen
class QueueLimits:
    """How many events wait for one device at most, and for how long."""

    events_max: int = 2_000
    age_s: float = 7 * 86_400.0


DEFAULT_QUEUE = QueueLimits()


async def overflow(
    log: EventLog,
    after: Cursor,
    inboxes: frozenset[str],
    limits: QueueLimits,
    now_us: int,
    *,
    closed_until: int = 0,
) -> Skipped | None:
    """What a device that has everything up to ``after`` is not sent any more; None for nothing.

    Up to ``closed_until`` that is all of it: the device had expired, and nothing waited for it.
    The usual device, a little behind, costs questions that the tail answers.
    Raises LogUnavailable.
    """
    pending = await log.count_visible(after.position, inboxes, most=limits.events_max + 1)
    if not pending:
        return None
    excess = 0
    if pending > limits.events_max:
        excess = await log.newest_visible(limits.events_max + 1, inboxes)
    expired = await _expired(log, after.position, now_us - round(limits.age_s * _US))
    expired = max(expired, min(closed_until, log.head.position))
    if max(excess, expired) <= after.position:
        return None
    until = await log.cursor_at(max(excess, expired))
    assert until is not None, "both are positions of this log"
    count = await log.count_visible(after.position, inboxes, most=ALL, until=until.position)
    if not count:
        return None
    return Skipped(after, until, count, "queue_limit" if excess >= expired else "expired")


async def _expired(log: EventLog, after: int, before_us: int) -> int:
    """The last position recorded before a time; 0 where that is not beyond ``after``."""
    read_at = await log.recorded_at(max(1, after))
    if read_at is None or read_at >= before_us:
        return 0  # times only rise: so the search below is for those who were away for days
    return await log.position_at(before_us)
