"""Work that is done again and again, for as long as the house stands."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

_log = structlog.get_logger()


async def again_and_again(
    work: Callable[[], Awaitable[object]],
    *,
    first_after_s: float,
    every_s: float,
    despite: tuple[type[Exception], ...],
    trouble: str,
) -> None:
    """Do it until cancelled, with a pause after each time.

    What is raised of ``despite`` is a matter of a moment: it is logged as that ``trouble``, and the
    next time may go better. Anything else ends it.
    """
    await asyncio.sleep(first_after_s)
    while True:
        try:
            await work()
        except despite as reason:
            _log.info(trouble, reason=str(reason))
        await asyncio.sleep(every_s)
