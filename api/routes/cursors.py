"""Whether a cursor is of this log's history (PROTOCOL section 2; docs/protocol.md section 1)."""

from __future__ import annotations

from api.problems import CURSOR_OF_ANOTHER_HISTORY, Problem
from eventstore.cursor import Cursor
from eventstore.log import EventLog
from transport.resume import Start, judge


async def taken(log: EventLog, cursor: Cursor) -> Start:
    """How a client's cursor is taken; the judgement is the one WebSocket sessions get."""
    head = log.cursor
    return judge(cursor, await log.cursor_at(cursor.position), head)


async def demand_history(log: EventLog, cursor: Cursor) -> None:
    """Raise the 410 problem, with where to go on, unless the cursor is of this history."""
    start = await taken(log, cursor)
    if start.outcome == "reset":
        reset_to = str(start.cursor)
        raise Problem(CURSOR_OF_ANOTHER_HISTORY, reason=start.reason, reset_to=reset_to)
