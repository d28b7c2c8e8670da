"""From ``hello`` to ``welcome``: who this is, what they see, and where they go on."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from attrs import evolve, frozen

from eventstore.log import EventLog
from transport.connection import Admit, Connection, Grant
from transport.frames import FrameError, Hello, Reset, Resume, Welcome, Window
from transport.heartbeat import ANNOUNCED
from transport.page import Packet
from transport.resume import Start, judge, without_cursor
from transport.session import agree_window

AckFloor = Callable[[str, str], Awaitable[int | None]]
"""(user, device) -> the position up to which the device has acknowledged, None if never seen."""

PENDING_MAX = 10_000
# It becomes a part of a stream's name, so no slash, no line feed, and never very long.
_DEVICE = re.compile(r"[A-Za-z0-9._:@-]{1,100}", re.ASCII)


@frozen
class Opening:
    """A hello that was let in, and where its session starts; ``pending`` is counted to a bound."""

    device: str
    grant: Grant
    admit: Admit
    start: Start
    pending: int
    window: Window


async def prepare_opening(
    hello: Hello, log: EventLog, window: Window, *, admit: Admit, ack_floor: AckFloor
) -> Opening:
    """Judge a hello. Raises Refused, FrameError, and LogUnavailable where the log is unreadable."""
    if not _DEVICE.fullmatch(hello.device):
        raise FrameError("a device is named by 1 to 100 letters, digits and . _ : @ -")
    agreed = agree_window(hello.window, window)
    grant = admit(hello.token)
    start = await _start(hello, grant, log, ack_floor)
    pending = await log.count_visible(start.cursor.position, grant.inboxes, most=PENDING_MAX)
    opening = Opening(hello.device, grant, admit, start, pending, agreed)
    # Asked again, because the grant may have been withdrawn while the disk was read (G21).
    return evolve(opening, grant=admit(hello.token))


async def _start(hello: Hello, grant: Grant, log: EventLog, ack_floor: AckFloor) -> Start:
    if hello.cursor is not None:
        ours = await log.cursor_at(hello.cursor.position)
        return judge(hello.cursor, ours, log.cursor)
    floor = await ack_floor(grant.user, hello.device)
    known = None if floor is None else await log.cursor_at(floor)
    return without_cursor(known, log.cursor)


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
    )
    if start.reason is None:
        return [Packet.of(welcome)]
    return [Packet.of(welcome), Packet.of(Reset(start.cursor, start.reason))]
