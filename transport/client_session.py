"""The client's side of one subscription: no socket, no clock, no task (PROTOCOL section 3).

The session is told what happened and asked what to do. One session lives as long as the
application's loop, through any number of links::

    link   DOWN --connecting--> OPENING --opened--> OPEN --lost, or its own verdict--> DOWN
    state  CONNECTING -> CATCHING_UP -> LIVE -> RECONNECTING -> CATCHING_UP ... -> CLOSED

Four cursors, in this order whenever no reset is under way:

    durable   what the application stored: ``hello`` carries it, nothing beyond it is acknowledged
    finished  what the application handled
    in hand   the one item the application is handling
    received  the end of the buffer: the next ``events`` frame must follow it

Rules:

* A frame is applied only if it follows ``received``; what overlaps is dropped by position; what
  lies ahead, or is of another history, ends the link, and the next ``hello`` asks again (G9).
* A link that ends takes the buffer with it. Nothing is lost by that: it was not acknowledged. The
  item in hand stays in hand and is not handed out again when it is delivered again (G8).
* Only a cursor that came over the present link is acknowledged on it, so never one of a history
  that a ``reset`` has ended.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime
from enum import Enum
from itertools import pairwise
from typing import TypeAlias, assert_never

from eventstore.cursor import Cursor
from transport.ack_plan import AckPlan
from transport.backoff import Backoff
from transport.client_errors import GaveUp
from transport.frames import (
    Ack,
    Bye,
    ClientFrame,
    Error,
    Events,
    FrameError,
    Hello,
    Live,
    Ping,
    Pong,
    Quality,
    Refresh,
    Reset,
    ServerFrame,
    Skipped,
    Welcome,
    Window,
)
from transport.inbox_event import InboxEvent
from transport.link_end import LinkEnd, stop_reason

WELCOME_TIMEOUT_S = 10.0
STEADY_AFTER_S = 30.0
"""A link that held this long was a good one, whatever ended it."""

Item: TypeAlias = InboxEvent | Reset | Skipped
"""What the application is to learn, in order."""


class State(Enum):
    """How the subscription stands, for showing to a person."""

    CONNECTING = "connecting"
    CATCHING_UP = "catching_up"
    LIVE = "live"
    RECONNECTING = "reconnecting"
    CLOSED = "closed"


class Link(Enum):
    """How the socket stands."""

    DOWN = "down"
    OPENING = "opening"
    OPEN = "open"


class ClientSession:
    """Told frames, links and the time (seconds, monotonic); asked for frames, items, deadlines."""

    def __init__(
        self,
        *,
        device: str,
        cursor: Cursor | None,
        random: Callable[[], float],
        window: Window,
        backoff: Backoff,
        attempts_max: int | None,
    ) -> None:
        self.state = State.CONNECTING
        self.link = Link.DOWN
        self.error: Exception | None = None
        self.retry_at: float | None = None
        self.quality: Quality | None = None
        self.rtt_ms: float | None = None
        self.synced_at: datetime | None = None
        self._device = device
        self._random = random
        self._window = window
        self._backoff = backoff
        self._attempts_max = attempts_max
        self._attempts = 0
        self._unwelcome = False
        self._durable = cursor
        self._finished = cursor
        self._in_hand: Item | None = None
        self._received = cursor
        self._buffer: deque[Item] = deque()
        self._outgoing: list[ClientFrame] = []
        self._forget_link()

    def _forget_link(self) -> None:
        self._welcome: Welcome | None = None
        self._reset_to: Cursor | None = None
        self._missing: Cursor | None = None
        self._missing_until = 0.0
        self._heard_at = 0.0
        self._opened_at = 0.0
        self._acks = AckPlan(self._window)
        self._outgoing.clear()
        self._buffer.clear()
        self._received = self._finished if self._in_hand is None else self._in_hand.cursor

    # --- the link ------------------------------------------------------------------------------

    def connecting(self) -> None:
        """An attempt to open a socket begins."""
        assert self.link is Link.DOWN
        assert self.state is not State.CLOSED
        self.link = Link.OPENING
        self.retry_at = None
        self._attempts += 1

    def opened(self, token: str, now: float) -> None:
        """The socket is open: say hello, with what the application has stored."""
        assert self.link is Link.OPENING
        self.link = Link.OPEN
        self._opened_at = self._heard_at = now
        self._outgoing.append(Hello(token, self._device, self._durable, self._window))

    def lost(self, end: LinkEnd, now: float) -> None:
        """The link ended, or did not come about; a link that was given up already is no news."""
        if self.link is Link.DOWN:
            return
        if self.link is Link.OPEN and now - self._opened_at >= STEADY_AFTER_S:
            self._attempts = 0
        # A close in 4000-4499 may come after every `live` (two programs that are one device and
        # replace each other): it takes a link that holds, not just `live`, to be patient no more.
        self._unwelcome = 4000 <= end.code <= 4499
        self.link = Link.DOWN
        self._forget_link()
        if self.state is not State.CLOSED:
            self._stop_or_retry(end, now)

    def _stop_or_retry(self, end: LinkEnd, now: float) -> None:
        error = stop_reason(end) or self._exhausted(end)
        if error is not None:
            self.fail(error)
            return
        self.state = State.RECONNECTING
        delay_s = self._backoff.delay_s(self._attempts, self._random())
        # Added, not the larger of the two: a thousand who were told the same time come back spread.
        self.retry_at = now + end.retry_after_s + delay_s

    def _exhausted(self, end: LinkEnd) -> GaveUp | None:
        if self._attempts_max is None or self._attempts < self._attempts_max:
            return None
        return GaveUp(end.code if end.status is None else end.status, end.reason)

    def fail(self, error: Exception) -> None:
        """Stop for good; the application is to see this error."""
        self.state = State.CLOSED
        self.error = self.error or error

    def leave(self, now: float) -> None:
        """The application is done: acknowledge what it stored, and ask for nothing more."""
        self._acknowledge(now)
        self.state = State.CLOSED

    # --- what the server says ------------------------------------------------------------------

    def receive(self, frame: ServerFrame | None, size: int, now: float) -> None:
        """Take one frame of ``size`` bytes; None is one of a newer protocol, and a sign of life."""
        self._heard_at = now
        try:
            if frame is not None:
                self._dispatch(frame, size, now)
        except FrameError as error:
            self.give_up(error.reason, now)

    def give_up(self, reason: str, now: float) -> None:
        """End the link from this side; the cursor decides what the next one brings."""
        self.lost(LinkEnd(reason=reason), now)

    def _dispatch(self, frame: ServerFrame, size: int, now: float) -> None:
        if self._welcome is None and not isinstance(frame, Welcome | Bye | Error):
            raise FrameError("a frame before the welcome")
        match frame:
            case Welcome():
                self._on_welcome(frame)
            case Events():
                self._on_events(frame, size)
                self._plan_ack()
            case Live():
                self._on_live(frame)
            case Skipped():
                self._on_skipped(frame)
            case Reset():
                self._on_reset(frame)
            case Ping():
                self._on_ping(frame, now)
            case Bye():
                retry_after_s = (frame.retry_after_ms or 0) / 1000
                end = LinkEnd(frame.code, frame.reason, retry_after_s=retry_after_s)
                self.lost(end, now)
            case Error():
                pass  # the connection lives; whoever moves the bytes writes it down
            case _:
                assert_never(frame)

    def _on_welcome(self, frame: Welcome) -> None:
        if self._welcome is not None:
            raise FrameError("a second welcome")
        self._welcome = frame
        self.state = State.CATCHING_UP
        resume = frame.resume
        if resume.outcome == "reset":
            self._on_reset(Reset(resume.cursor, resume.reason or "history_differs"))
        elif self._durable is None:
            # From here on this is our cursor: a second `hello` without one would begin at a later
            # head, and what lies between would be lost silently.
            self._durable = self._finished = self._received = resume.cursor

    def _on_events(self, frame: Events, size: int) -> None:
        events = [InboxEvent.from_wire(wire) for wire in frame.events]
        last = self._follow(frame.after)
        positions = [frame.after.position, *(event.position for event in events)]
        if any(a >= b for a, b in pairwise(positions)):
            raise FrameError("events out of order")
        self._acks.weighed(size)
        for event in events:
            self._acks.came(event.cursor)
            if event.position > last.position:
                self._buffer.append(event)
        if frame.cursor.position > last.position:
            self._received = frame.cursor
        if events and self.state is State.LIVE:
            self.synced_at = events[-1].time

    def _follow(self, after: Cursor) -> Cursor:
        """The end of what we have, if something after ``after`` follows it or overlaps with it."""
        last = self._received
        assert last is not None
        if after.epoch != last.epoch or (after.position == last.position and after != last):
            raise FrameError("events of another history")
        if after.position > last.position:
            raise FrameError("a gap in the events")
        return last

    def _on_live(self, frame: Live) -> None:
        self._follow(frame.cursor)
        self.state = State.LIVE
        self.synced_at = datetime.fromisoformat(frame.time)
        if not self._unwelcome:
            self._attempts = 0

    def _on_skipped(self, frame: Skipped) -> None:
        last = self._follow(frame.after)
        if frame.cursor.position > last.position:
            self._buffer.append(frame)
            self._received = frame.cursor
        self._acks.came(frame.cursor)
        self._plan_ack()

    def _on_reset(self, frame: Reset) -> None:
        if self._reset_to == frame.cursor:
            return  # the welcome has said so already
        self._reset_to = self._received = frame.cursor
        self._buffer.clear()
        self._buffer.append(frame)
        self._acks.reset()
        self._acks.came(frame.cursor)

    def _on_ping(self, frame: Ping, now: float) -> None:
        self._outgoing.append(Pong(frame.id))
        self.quality = frame.quality
        self.rtt_ms = frame.rtt_ms
        assert self._welcome is not None
        if self._missing is None and self._lacks(frame.cursor):
            # Not at once: the event may be on its way behind this very ping.
            self._missing = frame.cursor
            self._missing_until = now + self._welcome.heartbeat.timeout_ms / 1000

    def _lacks(self, cursor: Cursor) -> bool:
        """Whether the server has shown an event that a complete stream would have brought."""
        last = self._received
        assert last is not None
        if self.state is not State.LIVE or self._acks.outstanding:
            return False  # behind, or the window may be full: the server owes us nothing yet
        return cursor.epoch != last.epoch or cursor.position > last.position

    # --- time ----------------------------------------------------------------------------------

    @property
    def _silent_at(self) -> float:
        if self._welcome is None:
            return self._heard_at + WELCOME_TIMEOUT_S
        heartbeat = self._welcome.heartbeat
        return self._heard_at + (heartbeat.interval_ms + heartbeat.timeout_ms) / 1000

    @property
    def deadline(self) -> float | None:
        """When :meth:`tick` is next needed; None while no link is open."""
        if self.link is not Link.OPEN:
            return None
        moments = [self._silent_at]
        if self._missing is not None:
            moments.append(self._missing_until)
        if (due_at := self._acks.due_at) is not None:
            moments.append(due_at)
        return min(moments)

    def tick(self, now: float) -> None:
        """Let time pass: an ack falls due, a link is found dead, a gap is believed."""
        if self.link is not Link.OPEN:
            return
        if now >= self._silent_at:
            self.give_up("the server has fallen silent", now)
        elif self._missing is not None and now >= self._missing_until:
            missing, self._missing = self._missing, None
            if self._lacks(missing):
                self.give_up("an event the server has did not come", now)
        if (due_at := self._acks.due_at) is not None and now >= due_at:
            self._acknowledge(now)

    # --- what the application does -------------------------------------------------------------

    def take(self) -> Item | None:
        """Hand out the next item; it is in hand until it is finished or put back."""
        assert self._in_hand is None
        if self._buffer:
            self._in_hand = self._buffer.popleft()
        return self._in_hand

    @property
    def in_hand(self) -> Item | None:
        """What the application is handling."""
        return self._in_hand

    def finish(self) -> Cursor | None:
        """The item in hand is handled. The answer is how far the application is now."""
        if self._in_hand is not None:
            self._finished = self._in_hand.cursor
            self._in_hand = None
        return self._finished

    def put_back(self) -> None:
        """The item in hand was not handled; it comes again, first."""
        if self._in_hand is not None:
            self._buffer.appendleft(self._in_hand)
            self._in_hand = None

    def stored(self, cursor: Cursor | None) -> None:
        """The application's store has this cursor, safe from a crash."""
        if cursor is not None:
            self._durable = cursor
            self._plan_ack()

    def refresh(self, token: str) -> None:
        """Renew the token on the open link; without one, the next hello brings it."""
        if self.link is Link.OPEN:
            self._outgoing.append(Refresh(token))

    def _plan_ack(self) -> None:
        if self._durable is not None:
            self._acks.want(self._durable)

    def _acknowledge(self, now: float) -> None:
        cursor = self._acks.take(now)
        if cursor is not None:
            self._outgoing.append(Ack(cursor))

    def frames_to_send(self) -> list[ClientFrame]:
        """What to write now, in order; asking takes it."""
        frames, self._outgoing = self._outgoing, []
        return frames
