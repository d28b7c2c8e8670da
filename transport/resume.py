"""How a client's cursor is taken: ``resumed``, ``fresh`` or ``reset`` (G9, PROTOCOL section 3).

Never a partial recovery and never silence: a cursor that is not of this history is answered by
name, and the client starts over from the head.
"""

from __future__ import annotations

from attrs import frozen

from eventstore.cursor import Cursor
from transport.frames import Outcome, ResetReason


@frozen
class Start:
    """Where a session begins, and what the client is told about it."""

    outcome: Outcome
    cursor: Cursor
    reason: ResetReason | None = None


def judge(asked: Cursor, ours: Cursor | None, head: Cursor) -> Start:
    """Take a client's cursor. ``ours`` is this log's at the same position, None beyond the head.

    The order is from the certain to the general. After a restore all three may be true, and the
    precise reason tells more: ``epoch_changed`` alone means that nothing the client has is wrong.
    """
    if ours is None:
        return Start("reset", head, "ahead_of_log")
    if ours.hash8 != asked.hash8:
        return Start("reset", head, "history_differs")
    if ours.epoch != asked.epoch:
        return Start("reset", head, "epoch_changed")
    return Start("resumed", ours)


def without_cursor(floor: Cursor | None, head: Cursor) -> Start:
    """Take a client that brings no cursor: its device's ack floor if there is one, else now."""
    return Start("fresh", head) if floor is None else Start("resumed", floor)
