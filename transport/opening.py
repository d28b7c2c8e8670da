"""From ``hello`` to ``welcome``: who this is, what they see, and where they go on."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping

from attrs import evolve, field, frozen

from eventstore.cursor import Cursor
from eventstore.events import ClientConnected, DeliveryAcknowledged, Event, QueueTrimmed
from eventstore.log import EventLog
from transport.connection import Admit, Connection, Grant
from transport.frames import FrameError, Hello, Reset, Resume, Skipped, Welcome, Window
from transport.heartbeat import ANNOUNCED
from transport.offline_queue import ALL, QueueLimits, overflow
from transport.page import Packet
from transport.resume import Start, judge, without_cursor
from transport.session import agree_window


@frozen
class Standing:
    """How far a device is, as the log has it.

    Up to ``floor`` everything is settled: acknowledged, skipped, parked. ``told`` is where it goes
    on without a cursor, lower where it may not have heard of a skip; ``parked`` lies beyond.
    Up to ``closed_until`` nothing waits: the device had not been seen for so long that it expired.
    ``replays`` maps parked events that are to be delivered again to the requests for it.
    """

    floor: int
    told: int
    parked: frozenset[int] = frozenset()
    replays: Mapping[int, int] = field(factory=dict)
    closed_until: int = 0


AckFloor = Callable[[str, str], Awaitable[Standing | None]]
"""(user, device) -> how far the device is, None if never seen."""

PENDING_MAX = 10_000
# It becomes a part of a stream's name, so no slash, no line feed, and never very long.
_DEVICE = re.compile(r"[A-Za-z0-9._:@-]{1,100}", re.ASCII)


@frozen
class Opening:
    """A hello that was let in, and where its session starts.

    ``pending`` events are to come, counted to a bound, after what is ``skipped``. ``passed`` is how
    many lie between the ack floor and the start: a cursor acknowledges them, a reset passes them
    over. ``trimmed`` is how many of the skipped lie beyond both.
    """

    device: str
    grant: Grant
    admit: Admit
    start: Start
    pending: int
    window: Window
    standing: Standing | None
    passed: int
    skipped: Skipped | None
    trimmed: int

    @property
    def settled(self) -> int:
        """What lies up to here was recorded, or is by :meth:`records`."""
        floor = 0 if self.standing is None else self.standing.floor
        return max(floor, self.start.cursor.position)

    @property
    def replays(self) -> Mapping[int, int]:
        """What the device is to get again on request: positions, and where that was asked for."""
        return {} if self.standing is None else self.standing.replays

    def records(self, session: str, boot: str, address: str | None) -> list[Event]:
        """How the session begins: connected, and what became of the events before its start."""
        start, outcome = self.start.cursor.position, self.start.outcome
        inboxes = tuple(sorted(self.grant.inboxes))
        events: list[Event] = [ClientConnected(session, boot, outcome, start, address, inboxes)]
        if self.standing and (floor := self.standing.floor) < start:
            if outcome == "resumed":
                events.append(DeliveryAcknowledged(session, floor, start, self.passed))
            else:
                events.append(QueueTrimmed(session, floor, start, self.passed, "reset"))
        return events

    def trim(self, session: str) -> QueueTrimmed | None:
        """What of the skip is news to the log: all of it, unless an earlier one did not arrive."""
        if self.skipped is None or self.settled >= self.skipped.cursor.position:
            return None
        until, reason = self.skipped.cursor.position, self.skipped.reason
        return QueueTrimmed(session, self.settled, until, self.trimmed, reason)


async def prepare_opening(
    hello: Hello,
    log: EventLog,
    window: Window,
    queue: QueueLimits,
    now_us: int,
    *,
    admit: Admit,
    ack_floor: AckFloor,
) -> Opening | None:
    """Judge a hello; None where the grant's inboxes changed meanwhile.

    Raises Refused, FrameError, and LogUnavailable where the log is unreadable.
    """
    if not _DEVICE.fullmatch(hello.device):
        raise FrameError("a device is named by 1 to 100 letters, digits and . _ : @ -")
    agreed = agree_window(hello.window, window)
    grant = admit(hello.token)
    inboxes = grant.inboxes
    standing = await _seen(await ack_floor(grant.user, hello.device), inboxes, log)
    start = await _start(hello.cursor, standing, log)
    closed_until = 0 if standing is None else standing.closed_until
    skipped = await overflow(log, start.cursor, inboxes, queue, now_us, closed_until=closed_until)
    after = start.cursor if skipped is None else skipped.cursor
    pending = await log.count_visible(after.position, inboxes, most=PENDING_MAX)
    opening = Opening(hello.device, grant, admit, start, pending, agreed, standing, 0, skipped, 0)
    opening = await _counted(opening, log)
    # Asked again, because the grant may have been withdrawn while the disk was read (G21).
    grant = admit(hello.token)
    return evolve(opening, grant=grant) if grant.inboxes == inboxes else None


async def _seen(
    standing: Standing | None, inboxes: frozenset[str], log: EventLog
) -> Standing | None:
    """Without the parked events of other inboxes: the session counts nothing there."""
    if standing is None or not standing.parked:
        return standing
    parked = {
        position
        for position in standing.parked
        if await log.count_visible(position - 1, inboxes, most=1, until=position)
    }
    return evolve(standing, parked=frozenset(parked))


async def _start(asked: Cursor | None, standing: Standing | None, log: EventLog) -> Start:
    if asked is not None:
        return judge(asked, await log.cursor_at(asked.position), log.cursor)
    known = None if standing is None else await log.cursor_at(standing.told)
    return without_cursor(known, log.cursor)


async def _counted(opening: Opening, log: EventLog) -> Opening:
    """How many events lie before the start, and how many a skip settles: exactly."""
    start, passed, trimmed = opening.start.cursor.position, 0, 0
    if opening.standing and opening.standing.floor < start:
        passed = await _unsettled(opening, log, opening.standing.floor, start)
    if opening.skipped is not None:
        trimmed = await _unsettled(opening, log, opening.settled, opening.skipped.cursor.position)
    return evolve(opening, passed=passed, trimmed=trimmed)


async def _unsettled(opening: Opening, log: EventLog, after: int, until: int) -> int:
    """How many events the session may see in (after, until], without the parked ones."""
    count = await log.count_visible(after, opening.grant.inboxes, most=ALL, until=until)
    parked = opening.standing.parked if opening.standing else ()
    return count - sum(after < position <= until for position in parked)


def greeting(opening: Opening, connection: Connection) -> list[Packet]:
    """What a new session is told first: ``welcome``, and ``reset`` where its cursor was void."""
    start = opening.start
    welcome = Welcome(
        session=connection.session.id,
        user=connection.user,
        device=connection.device,
        epoch=start.cursor.epoch,
        server_time=connection.opened_at,
        heartbeat=ANNOUNCED,
        window=opening.window,
        resume=Resume(start.outcome, start.cursor, opening.pending, start.reason),
        expires_in_ms=connection.expires_in_ms,
    )
    if start.reason is None:
        return [Packet.of(welcome)]
    return [Packet.of(welcome), Packet.of(Reset(start.cursor, start.reason))]
