"""Delivers parked events again: reads them for the sessions that have some to get.

Few sessions ever do, so this is kept apart from what every session pays for. The log is asked for
these events alone, and what the user may not see at that moment is not sent (G21).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate

from eventstore.log import EventLog, LogUnavailable
from eventstore.tail import Visible
from transport.connection import Connection
from transport.page import PAGE_BYTES_MAX, PAGE_EVENTS_MAX
from transport.replays import Replays
from transport.session import State

logger = logging.getLogger(__name__)


class Replayer:
    """Which connections have replays to get; ``drop`` ends one whose session failed."""

    def __init__(self, log: EventLog, drop: Callable[[Connection], None]) -> None:
        self._log = log
        self._drop = drop
        self._connections: dict[Connection, None] = {}
        self._wanted = asyncio.Event()

    def opened(self, connection: Connection, wanted: Mapping[int, int]) -> None:
        """A session begins; ``wanted`` maps what its device is still to get to the requests."""
        if wanted:
            connection.session.replays = Replays(wanted)
            self._connections[connection] = None

    def ask(self, connection: Connection, request: int, positions: Iterable[int]) -> None:
        """These were asked for while the session is open."""
        session = connection.session
        if session.replays is None:
            session.replays = Replays()
        session.replays.ask(request, positions)
        self._connections[connection] = None
        self.tick()

    def left(self, connection: Connection) -> None:
        """The session ended; what it was not acknowledged is for the next one."""
        self._connections.pop(connection, None)

    def tick(self) -> None:
        """Look whether something has become due."""
        if any(_due(connection) is not None for connection in self._connections):
            self._wanted.set()

    async def run(self) -> None:
        """Send what is due, a frame for each session in turn, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            for connection in tuple(self._connections):
                try:
                    await self._serve(connection)
                except LogUnavailable as error:
                    logger.warning("cannot read for replays: %s", error)
                    await asyncio.sleep(error.retry_after_s)
                except Exception:
                    self._drop(connection)

    async def _serve(self, connection: Connection) -> None:
        due = _due(connection)
        if due is None:
            self._rest(connection)
            return
        request, positions = due
        bytes_max = _room(connection)[1]
        found = _beginning(await self._log.read_at(positions, bytes_max=bytes_max), bytes_max)
        if _due(connection) != due:
            return  # it ended while the disk was read, perhaps because its inboxes changed
        seen = [event for event in found if event.inbox in connection.audience.inboxes]
        read_to = found[-1].position if found else positions[-1]
        session, replays = connection.session, connection.session.replays
        assert replays is not None
        replays.pass_over(position for position in positions if position <= read_to)
        if seen:
            session.replay(request, seen)
            connection.flush()
        self.tick()

    def _rest(self, connection: Connection) -> None:
        replays = connection.session.replays
        if replays is None or replays.idle:
            self._connections.pop(connection, None)


def _room(connection: Connection) -> tuple[int, int]:
    """Events and bytes of one frame: a page, or the client's window where that is smaller."""
    limit = connection.session.limit
    return min(PAGE_EVENTS_MAX, limit.frames), min(PAGE_BYTES_MAX, limit.bytes)


def _beginning(events: Sequence[Visible], bytes_max: int) -> Sequence[Visible]:
    """As many as fit; one always does."""
    ends = accumulate(len(event.body) for event in events)
    return events[: max(1, sum(end <= bytes_max for end in ends))]


def _due(connection: Connection) -> tuple[int, list[int]] | None:
    """What is to be sent now. Only to who has caught up: what they do not have yet goes first."""
    session = connection.session
    if session.replays is None or session.state is not State.LIVE:
        return None
    if not connection.channel.writable:
        return None
    return session.replays.due(session.floor.position, _room(connection)[0])
