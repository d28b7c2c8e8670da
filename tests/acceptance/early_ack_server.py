"""The server with its first promise broken: it answers webhooks before the commit.

The positive control of the crash loop; never imported by anything else.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence

from api.commands import main
from eventstore.draft import Draft, Receipt
from eventstore.log import EventLog

_append = EventLog.append
_background: set[asyncio.Task[list[Receipt]]] = set()
_positions = itertools.count(1_000_000)


async def _append_later(
    log: EventLog, drafts: Sequence[Draft], *, from_reserve: bool = False
) -> list[Receipt]:
    if not drafts[0].stream.startswith("inbox:"):
        return await _append(log, drafts, from_reserve=from_reserve)
    task = asyncio.create_task(_append(log, drafts))
    _background.add(task)
    task.add_done_callback(_background.discard)
    return [Receipt(next(_positions), bytes(32)) for _ in drafts]


EventLog.append = _append_later  # type: ignore[method-assign]

if __name__ == "__main__":
    main()
