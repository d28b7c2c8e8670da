"""Which sessions a commit concerns, and the tasks that serve them all.

The log is the only queue: nothing is kept for a client beside its cursor. A commit wakes the
sessions whose inboxes it touched; each reads on from its own cursor, out of the tail where that
reaches back, else out of the disk through one pump that takes the waiting sessions in turn. Live
delivery, catching up and retrying are that one operation, so there is no seam between them.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from secrets import token_urlsafe

from attrs import frozen

from eventstore.codec import time_text
from eventstore.cursor import Cursor
from eventstore.events import DeviceExpired, RecordedEvent
from eventstore.log import EventLog, LogUnavailable, wall_clock_us
from transport.audience import Audience, NotInMemory
from transport.connection import Admit, Channel, Connection, Grant, HubSide, Refused
from transport.doorkeeper import DEFAULT_DOORS, Doorkeeper, Doors, Refusal
from transport.frames import CloseCode, Hello, Window
from transport.newest import Newest
from transport.offline_queue import DEFAULT_QUEUE, QueueLimits
from transport.opening import AckFloor, Opening, Standing, greeting, prepare_opening
from transport.page import PAGE_BYTES_MAX, PAGE_EVENTS_MAX
from transport.recorder import RECORDS_MAX, Recorder
from transport.replayer import Replayer
from transport.session import WINDOW, Session, State
from transport.token_bucket import TokenBucket

__all__ = ["AckFloor", "Admit", "Connection", "Grant", "Hub", "Limits", "Refused", "Standing"]

logger = logging.getLogger(__name__)

TICK_S = 0.25
RESTART_SPREAD_MS = 5_000
SHUTDOWN_RECORDS_S = 3.0
SHUTDOWN_BATCH = 100
FLOOR_RECORDS_S = 3.0
OPENINGS_TRIED = 3
DEVICES_REMEMBERED = 10_000


@frozen
class Limits:
    """The bounds of the hub (G18).

    A client may send 50 frames a second sustained, and four seconds' worth of them at once.
    """

    doors: Doors = DEFAULT_DOORS
    frames_per_s: float = 50.0
    frames_burst: float = 200.0
    window: Window = WINDOW
    records_max: int = RECORDS_MAX
    queue: QueueLimits = DEFAULT_QUEUE


DEFAULT_LIMITS = Limits()


class Hub:
    """All open connections of this process; every method belongs to its event loop.

    ``boot`` names this run of the server in the log. ``committed`` is to be wired into
    ``log.on_commit`` before anything is appended; ``run`` is a task of the composition root and
    ends only with an error. ``fell_behind`` counts how often a session that had everything was left
    behind by a commit, since its window or its socket was full; ``refusals`` who was not let in.
    """

    def __init__(
        self,
        log: EventLog,
        *,
        boot: str,
        limits: Limits = DEFAULT_LIMITS,
        clock: Callable[[], int] = wall_clock_us,
        monotonic: Callable[[], float] = time.monotonic,
        rand: Callable[[], float] = random.random,
    ) -> None:
        self._log = log
        self._boot = boot
        self._limits = limits
        self._clock = clock
        self._monotonic = monotonic
        self._random = rand
        self._recorder = Recorder(log, limits.records_max, clock)
        self.figures = self._recorder.figures
        self.doors = Doorkeeper(limits.doors)
        self.fell_behind = 0
        self._side = HubSide(
            now=monotonic,
            time_text=lambda: time_text(clock()),
            record=self._recorder.record,
            wants_disk=self._wait_for_disk,
            change_grant=self._change_grant,
            left=self._left,
            expires_in_ms=self._expires_in_ms,
            retry_after_ms=lambda: int(rand() * RESTART_SPREAD_MS),
            frame_rate=lambda: TokenBucket(limits.frames_per_s, limits.frames_burst, monotonic()),
            too_fast=partial(self.doors.refused, Refusal.TOO_FAST),
            fell_behind=self._fell_behind,
        )
        self._by_device: dict[tuple[str, str], Connection] = {}
        self._begun: dict[tuple[str, str], int] = {}  # sessions of a device, the latest last
        self._audiences: dict[frozenset[str], Audience] = {}
        self._members: dict[Audience, dict[Connection, None]] = {}
        self._newest = Newest(log.head.position)
        self._listeners: dict[asyncio.Future[None], frozenset[str] | None] = {}
        self._replayer = Replayer(log, self._drop)
        self._for_disk: deque[Connection] = deque()
        self._disk_wanted = asyncio.Event()
        self._shutting_down = False

    # --- opening -------------------------------------------------------------------------------

    async def prepare(self, hello: Hello, *, admit: Admit, ack_floor: AckFloor) -> Opening:
        """Judge a hello: who this is, what they see, where they go on.

        Raises :class:`Refused`, FrameError, and LogUnavailable where the log cannot be read.
        """
        self._check_room()
        for _ in range(OPENINGS_TRIED):
            begun: dict[tuple[str, str], int] = {}
            opening = await prepare_opening(
                hello,
                self._log,
                self._limits.window,
                self._limits.queue,
                self._clock(),
                admit=admit,
                ack_floor=partial(self._standing, ack_floor, begun),
            )
            alone = all(self._begun.get(device, 0) == count for device, count in begun.items())
            if opening is not None and alone:
                self._check_room(opening.grant.user)  # again: others came while the disk was read
                return opening
        raise self.doors.refuse(Refusal.UNSETTLED)

    def _check_room(self, user: str | None = None) -> None:
        if self._shutting_down:
            raise self.doors.refuse(Refusal.STOPPING, CloseCode.RESTART)
        if self._recorder.full:
            raise self.doors.refuse(Refusal.RECORDS)
        self.doors.check(len(self._by_device), user)

    async def _standing(
        self,
        ack_floor: AckFloor,
        begun: dict[tuple[str, str], int],
        user: str,
        device: str,
    ) -> Standing | None:
        """Where the log says a device stands.

        One that was here a moment ago must not pass for new: it would start at the head and miss
        what lies between (G7). And what its cursor acknowledges must not be counted twice. So its
        older session ends here, and what we know of it is recorded before the log is asked; and
        ``begun`` tells whether yet another one began before the opening was ready.
        """
        begun[user, device] = self._begun.get((user, device), 0)
        self._replace(user, device)
        self._check_room(user)
        if not await self._recorder.flush(FLOOR_RECORDS_S):
            raise self.doors.refuse(Refusal.RECORDS)
        return await ack_floor(user, device)

    def _replace(self, user: str, device: str) -> None:
        """End the present session of a device: it is half-open, or a second tab."""
        if (older := self._by_device.get((user, device))) is not None:
            older.close(CloseCode.REPLACED, "replaced by a newer connection of this device")

    def open(self, opening: Opening, channel: Channel, address: str | None) -> Connection:
        """Start the session on ``channel``: ``welcome`` goes out, then whatever waits.

        To be called as soon as it is prepared, with nothing awaited between.
        """
        key = (opening.grant.user, opening.device)
        self._replace(*key)
        self._begin(key)
        connection = self._connect(opening, channel, address)
        self._by_device[key] = connection
        self.doors.entered(connection.user, address)
        self._members[connection.audience][connection] = None
        channel.send(greeting(opening, connection))
        for event in opening.records(connection.session.id, self._boot, address):
            self._recorder.record(connection.stream, event)
        self._replayer.opened(connection, opening.replays)
        connection.advance(self._monotonic())
        return connection

    async def recorded(self) -> bool:
        """Wait until what sessions have recorded so far is in the log; False if it takes long."""
        return await self._recorder.flush(FLOOR_RECORDS_S)

    def _begin(self, device: tuple[str, str]) -> None:
        """Count what makes a device's older standing void; its sessions, above all.

        For whoever is being prepared meanwhile, and not for ever.
        """
        self._begun[device] = self._begun.pop(device, 0) + 1
        if len(self._begun) > DEVICES_REMEMBERED:
            del self._begun[next(iter(self._begun))]

    def _connect(self, opening: Opening, channel: Channel, address: str | None) -> Connection:
        return Connection(
            self._side,
            channel,
            self._session(opening),
            self._audience(opening.grant.inboxes),
            opening.grant,
            opening.admit,
            device=opening.device,
            address=address,
            opened_at=time_text(self._clock()),
        )

    def _session(self, opening: Opening) -> Session:
        session = Session(
            token_urlsafe(16),
            opening.start.cursor,
            opening.window,
            self._random,
            self._monotonic(),
            settled=opening.settled,
            parked=opening.standing.parked if opening.standing else (),
        )
        if opening.skipped is not None:
            session.skip(opening.skipped, opening.trim(session.id))
        return session

    def replay_requested(
        self, user: str, device: str, request: int, positions: Iterable[int]
    ) -> None:
        """Parked events of a device are to be delivered again; to be told as it is committed.

        A device that is away gets them with its next session.
        """
        if (connection := self._by_device.get((user, device))) is not None:
            self._replayer.ask(connection, request, positions)
        else:
            self._begin((user, device))  # one that is just coming is judged again, with these

    def begun(self, user: str, device: str) -> int:
        """How often something made a device's older standing void; for :meth:`expire`."""
        return self._begun.get((user, device), 0)

    def expire(self, user: str, device: str, begun: int, event: DeviceExpired) -> bool:
        """Record that a device expired; not if it is here, or was since ``begun`` was asked for.

        One that is just coming is judged again, and learns of it.
        """
        if (user, device) in self._by_device or self.begun(user, device) != begun:
            return False
        self._begin((user, device))
        self._recorder.record(f"client:{user}/{device}", event)
        return True

    # --- commits -------------------------------------------------------------------------------

    def committed(self, events: Sequence[RecordedEvent]) -> None:
        """Wake whom these newly durable events concern. Acks and heartbeats concern nobody."""
        touched = {event.inbox: event for event in events if event.for_members}
        if not touched:
            return
        newest = {
            inbox: Cursor.at(self._log.epoch, event.position, event.hash)
            for inbox, event in touched.items()
            if inbox is not None
        }
        self._newest.update(newest)
        self.figures.committed(events[-1].position, events[-1].recorded_at)
        first = events[0].position
        for audience in list(self._audiences.values()):
            if not audience.inboxes.isdisjoint(newest):
                self._wake(audience, first)
        for future, inboxes in self._listeners.items():
            if not future.done() and (inboxes is None or not inboxes.isdisjoint(newest)):
                future.set_result(None)

    def _wake(self, audience: Audience, first: int) -> None:
        before, now = audience.newest, self._monotonic()
        audience.advanced(self._newest.bound(audience.inboxes))
        for connection in list(self._members[audience]):
            try:
                connection.commit_landed(before, first, now)
            except Exception:
                # One broken session must not keep the others, nor the writer, from going on.
                self._drop(connection)

    async def wait_beyond(self, position: int, inboxes: frozenset[str] | None = None) -> None:
        """Return once one of the inboxes (None: any) has an event beyond ``position``.

        For readers without a session (SSE): read until there is nothing more, then wait here with
        the position up to which there was nothing. Commits in between are not missed.
        """
        while (seen := self._newest.seen(inboxes)) is None or seen.position <= position:
            future = asyncio.get_running_loop().create_future()
            self._listeners[future] = inboxes
            try:
                await future
            finally:
                del self._listeners[future]

    # --- who sees what -------------------------------------------------------------------------

    def _audience(self, inboxes: frozenset[str]) -> Audience:
        if (audience := self._audiences.get(inboxes)) is None:
            newest = self._newest.bound(inboxes)
            audience = self._audiences[inboxes] = Audience(inboxes, self._log.tail, newest)
            self._members[audience] = {}
        return audience

    def regrant(self, judge_again: Callable[[Grant], Grant]) -> None:
        """Judge every open connection anew, because who may see what has changed.

        ``judge_again`` returns the grant as it is now, or raises :class:`Refused`. What a session
        of other inboxes was not sent it never will be (G21).
        """
        for connection in self.connections:
            try:
                grant = judge_again(connection.grant)
            except Refused as refused:
                connection.close(refused.code, refused.reason)
            else:
                self._change_grant(connection, grant)

    def _change_grant(self, connection: Connection, grant: Grant) -> None:
        """Take a newer grant. One of other inboxes is another session's: its client comes back.

        What a session had sent, and what it counts, would otherwise be of neither set (the ledger).
        """
        connection.grant = grant
        if grant.inboxes != connection.audience.inboxes:
            connection.close(CloseCode.ACCESS_CHANGED, "the inboxes you may see have changed")

    def _expires_in_ms(self, grant: Grant) -> int | None:
        # A duration, not a time: the client's clock need not agree with ours.
        end_us = grant.expires_at_us
        return None if end_us is None else max(0, end_us - self._clock()) // 1000

    def _leave_audience(self, connection: Connection) -> None:
        members = self._members[connection.audience]
        members.pop(connection, None)
        if not members:
            del self._members[connection.audience]
            self._audiences.pop(connection.audience.inboxes, None)

    def _left(self, connection: Connection) -> None:
        self._replayer.left(connection)
        self._leave_audience(connection)
        del self._by_device[connection.user, connection.device]
        self.doors.left(connection.user, connection.address)

    def _fell_behind(self) -> None:
        self.fell_behind += 1

    def _drop(self, connection: Connection) -> None:
        logger.exception("session %s failed and is dropped", connection.session.id)
        connection.channel.abort()
        connection.lost(CloseCode.ABNORMAL, "internal error")

    @property
    def refusals(self) -> Mapping[str, int]:
        """How many were refused, by reason; a live view."""
        return self.doors.refusals

    @property
    def connections(self) -> Collection[Connection]:
        """Who is connected, in the order they came."""
        return tuple(self._by_device.values())

    # --- the tasks -----------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tick_forever(), name="malote hub ticker")
            tasks.create_task(self._pump_forever(), name="malote hub disk pump")
            tasks.create_task(self._recorder.run(), name="malote hub recorder")
            tasks.create_task(self._replayer.run(), name="malote hub replayer")

    async def _tick_forever(self) -> None:
        # One coarse clock for all: a timer per connection costs more than looking at a number.
        while True:
            await asyncio.sleep(TICK_S)
            self.tick()

    def tick(self) -> None:
        """Let every connection do what is due: heartbeats, acks, the token's end."""
        now, time_us = self._monotonic(), self._clock()
        with self.figures.coalesced():
            for connection in self.connections:
                try:
                    self._tick(connection, now, time_us)
                except Exception:
                    self._drop(connection)  # as after a commit: one broken session is one session
        self._replayer.tick()

    def _tick(self, connection: Connection, now: float, time_us: int) -> None:
        expires = connection.grant.expires_at_us
        if expires is not None and expires <= time_us:
            connection.close(CloseCode.UNAUTHORIZED, "the token has expired")
        elif connection.session.deadline <= now:
            connection.tick(now, self._head(connection))

    def _head(self, connection: Connection) -> Cursor:
        """The newest event a client may see, as far as we know; never behind what it was sent."""
        sent, seen = connection.session.last_sent, self._newest.seen(connection.audience.inboxes)
        return sent if seen is None or seen.position < sent.position else seen

    def _wait_for_disk(self, connection: Connection) -> None:
        if not connection.waits_for_disk:
            connection.waits_for_disk = True
            self._for_disk.append(connection)
            self._disk_wanted.set()

    async def _pump_forever(self) -> None:
        while True:
            await self._disk_wanted.wait()
            while self._for_disk:
                connection = self._for_disk.popleft()
                connection.waits_for_disk = False
                await self._read_for(connection)
            self._disk_wanted.clear()

    async def _read_for(self, connection: Connection) -> None:
        """One page, then it is the next one's turn."""
        if connection.session.state is State.CLOSED:
            return
        try:
            await self._fetch(connection)
            connection.advance(self._monotonic())
        except LogUnavailable as error:
            logger.warning("cannot read for sessions: %s", error)
            await asyncio.sleep(error.retry_after_s)
            self._wait_for_disk(connection)
        except Exception:
            self._drop(connection)

    async def _fetch(self, connection: Connection) -> None:
        """Bring a connection's next page from the disk to where all with its cursor find it."""
        audience, scanned = connection.audience, connection.read_after
        after, head = connection.session.last_sent, self._log.head.position
        with suppress(NotInMemory):
            audience.page(after, scanned)
            return  # somebody with the same cursor was here before
        events = await self._log.read_visible(
            scanned, PAGE_EVENTS_MAX, audience.inboxes, bytes_max=PAGE_BYTES_MAX
        )
        if events:
            audience.keep(after, scanned, events)
        elif connection.read_after == scanned:
            connection.scanned = head

    # --- the end -------------------------------------------------------------------------------

    async def shutdown(self) -> None:
        """Send everybody away with 1012, and wait a bounded time until that is recorded."""
        self._shutting_down = True
        for number, connection in enumerate(self.connections, 1):
            connection.restart()
            if number % SHUTDOWN_BATCH == 0:
                await asyncio.sleep(0)  # what is under way beside us goes on meanwhile
        await self._recorder.flush(SHUTDOWN_RECORDS_S)
