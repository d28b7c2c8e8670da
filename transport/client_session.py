"""The client's side of one subscription: no socket, no clock, no task (PROTOCOL section 3).

The session is told what happened and asked what to do: :attr:`link`, :attr:`deadline`,
:attr:`retry_at`, :attr:`error`, :meth:`frames_to_send`. One session lives as long as the
application's loop, through any number of links::

    link   DOWN --connecting--> OPENING --opened--> OPEN --lost, or dropped by us--> DOWN
    state  CONNECTING -> CATCHING_UP -> LIVE -> RECONNECTING -> CATCHING_UP ... -> CLOSED

* A link is dropped by us when a frame does not follow what came before it, and when its
  :class:`~transport.link_watch.LinkWatch` finds it dead or stuck. The next ``hello`` repairs it.
* CLOSED is final: left by the application, or with :attr:`error`, never silently.
* Whoever drives the session ticks it at the deadline, and at least every ``TICK_S_MAX``. Time that
  passed without ticks was slept, or the process stood still: what was waited for is tried at once.

What came, and what of it may be acknowledged, is :class:`~transport.intake.Intake`'s business; when
the token wants a successor, :class:`~transport.token_life.TokenLife`'s.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import assert_never

from eventstore.cursor import Cursor
from transport.client_errors import Stopped, Unauthorized
from transport.frames import (
    Ack,
    Bye,
    ClientFrame,
    Error,
    Events,
    FrameError,
    Hello,
    Live,
    Nack,
    Ping,
    Pong,
    Quality,
    Refresh,
    Refreshed,
    Replayed,
    Reset,
    ServerFrame,
    Skipped,
    Welcome,
    Window,
)
from transport.inbox_event import InboxEvent, parse_time
from transport.intake import Intake
from transport.link_end import LinkEnd, stop_reason
from transport.link_watch import LinkWatch
from transport.reconnect import Reconnect
from transport.token_life import TokenLife

TICK_S_MAX = 5.0
SLEPT_S = 15.0
"""So long without a tick is no slow machine any more."""

REASON_CHARS_MAX = 200


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
    """Told frames, links and the time (seconds, monotonic, sleep included); asked what to do.

    ``cursor`` is what the application has stored.
    """

    def __init__(
        self, device: str, cursor: Cursor | None, window: Window, reconnect: Reconnect
    ) -> None:
        self.state = State.CONNECTING
        self.link = Link.DOWN
        self.intake = Intake(cursor, window)
        self.error: Exception | None = None
        self.last_end: LinkEnd | None = None
        self.retry_at: float | None = None
        self.synced_at: datetime | None = None
        self._device = device
        self._window = window
        self._reconnect = reconnect
        self.token = TokenLife(renewable=reconnect.renews_token)
        self._ticked_at: float | None = None
        self._outgoing: list[ClientFrame] = []
        self._forget_link()

    def _forget_link(self) -> None:
        self._welcome: Welcome | None = None
        self._watch: LinkWatch | None = None
        self._opened_at = 0.0
        self._token_is_fresh = True
        self.pending = 0
        self.quality: Quality | None = None
        self.rtt_ms: float | None = None
        self._outgoing.clear()
        self.intake.forget_link()

    # --- the link ------------------------------------------------------------------------------

    def connecting(self) -> None:
        """An attempt to open a socket begins."""
        assert self.link is Link.DOWN
        assert self.state is not State.CLOSED
        self.link = Link.OPENING
        self.retry_at = None
        self._reconnect.attempt()

    def opened(self, token: str, now: float, *, fresh: bool = True) -> None:
        """The socket is open: say hello, with what the application has stored.

        ``fresh`` is false for a token that an earlier hello brought already.
        """
        assert self.link is Link.OPENING
        self.link = Link.OPEN
        self._token_is_fresh = fresh
        self._opened_at = self._ticked_at = now
        self._watch = LinkWatch(now)
        self._outgoing.append(Hello(token, self._device, self.intake.durable, self._window))

    def lost(self, end: LinkEnd, now: float) -> None:
        """The link ended, or did not come about; of a link that is down already it is no news."""
        if self.link is Link.DOWN:
            return
        held_s = now - self._opened_at if self.link is Link.OPEN else 0.0
        # 4501 to a token that had been taken before says only that it is not good any more.
        was_good = self._welcome is not None or not self._token_is_fresh
        self.link = Link.DOWN
        self.last_end = end
        self._ticked_at = now
        self._forget_link()
        if self.state is State.CLOSED:
            return
        try:
            delay_s = self._reconnect.delay_s(end, held_s=held_s, was_good=was_good)
        except Stopped as error:
            self.fail(error)
        else:
            if isinstance(stop_reason(end), Unauthorized):
                self.token.void()
            self.state = State.RECONNECTING
            self.retry_at = now + delay_s

    def retry_now(self, now: float) -> None:
        """Somebody knows that the network is back, or does not want to wait."""
        if self.retry_at is not None:
            self.retry_at = now

    @property
    def attempts(self) -> int:
        """Attempts since the last link that was good, the present one included."""
        return self._reconnect.attempts

    def drop(self, reason: str, now: float) -> None:
        """End the link from this side; the cursor decides what the next one brings."""
        self.lost(LinkEnd(reason=reason), now)

    def fail(self, error: Exception) -> None:
        """Stop for good; the application is to see this error."""
        self.state = State.CLOSED
        self.error = self.error or error

    def leave(self, now: float) -> None:
        """The application is done: acknowledge what it stored, and ask for nothing more."""
        self._acknowledge(now)
        self.state = State.CLOSED

    def refresh(self, token: str) -> None:
        """Renew the token on the open link; without one, the next hello brings it."""
        if self.link is Link.OPEN:
            self._outgoing.append(Refresh(token))

    def token_wanted(self, now: float) -> bool:
        """Whether a successor of the token is to be had now; asking is taken for doing it."""
        due_at = self.token.renew_at
        if self.link is not Link.OPEN or due_at is None or now < due_at:
            return False
        self.token.asked(now)
        return True

    def put_aside(self, reason: str) -> bool:
        """Leave the event in hand to the server's list of parked ones; the next may be taken.

        False while it cannot be said: without a link, and until this link has brought the event.
        One that came again on request is put aside at once: whatever link brings it will be told.
        """
        event = self.intake.in_hand
        assert isinstance(event, InboxEvent)
        reason = reason[:REASON_CHARS_MAX]
        if self.intake.put_aside_again(reason):
            self._outgoing += self.intake.returns.take_answers()
            return True
        if self.intake.brought:
            self._outgoing.append(Nack(event.position, reason))
        elif self.state is not State.LIVE and not self.intake.passed_over:
            return False  # live without it: the server has parked it by itself
        self.intake.finish()
        return True

    def keep_returns(self) -> None:
        """What came again on request and was handled is durable: acknowledge it."""
        self.intake.returns.keep()
        self._outgoing += self.intake.returns.take_answers()

    def frames_to_send(self) -> list[ClientFrame]:
        """What to write now, in order; asking takes it."""
        frames, self._outgoing = self._outgoing, []
        return frames

    # --- what the server says ------------------------------------------------------------------

    def receive(self, frame: ServerFrame | None, size: int, now: float) -> None:
        """Take one frame of ``size`` bytes; None is one of a newer protocol, and a sign of life."""
        if self._watch is None:
            return  # it was on its way when we gave the link up
        self._watch.heard(now, moved=not isinstance(frame, Ping | Error | None))
        try:
            if frame is not None:
                self._dispatch(frame, size, now)
        except FrameError as error:
            self.drop(error.reason, now)

    def _dispatch(self, frame: ServerFrame, size: int, now: float) -> None:
        if self._welcome is None and not isinstance(frame, Welcome | Bye | Error):
            raise FrameError("a frame before the welcome")
        match frame:
            case Welcome():
                self._on_welcome(frame, now)
            case Events():
                self._on_events(frame, size)
            case Live():
                self._on_live(frame)
            case Skipped():
                self.intake.take_skipped(frame)
                self.pending = max(0, self.pending - frame.count)
            case Reset():
                self.intake.take_reset(frame)
            case Replayed():
                self.intake.take_replayed(frame)
                self._outgoing += self.intake.returns.take_answers()
            case Ping():
                self._on_ping(frame, now)
            case Refreshed():
                self.token.told(frame.expires_in_ms, now)
            case Bye():
                retry_after_s = (frame.retry_after_ms or 0) / 1000
                self.lost(LinkEnd(frame.code, frame.reason, retry_after_s=retry_after_s), now)
            case Error():
                pass  # the link lives; whoever moves the bytes has written it down
            case _:
                assert_never(frame)

    def _on_welcome(self, frame: Welcome, now: float) -> None:
        if self._welcome is not None:
            raise FrameError("a second welcome")
        assert self._watch is not None
        self._welcome = frame
        self._watch.welcomed(frame.heartbeat)
        self.state = State.CATCHING_UP
        self.token.told(frame.expires_in_ms, now)
        resume = frame.resume
        self.pending = resume.pending
        if resume.outcome == "reset":
            self.intake.take_reset(Reset(resume.cursor, resume.reason or "history_differs"))
        else:
            self.intake.begin(resume.cursor)
        self.intake.acks.granted(frame.window)

    def _on_events(self, frame: Events, size: int) -> None:
        events = self.intake.take_events(frame, size)
        self.pending = max(0, self.pending - len(events))
        if events and self.state is State.LIVE:
            self.synced_at = events[-1].time

    def _on_live(self, frame: Live) -> None:
        self.intake.follows(frame.cursor)
        self.synced_at = parse_time(frame.time)
        self.state = State.LIVE
        self.pending = 0
        self._reconnect.went_live()

    def _on_ping(self, frame: Ping, now: float) -> None:
        assert self._watch is not None
        # A peer that pings and does not read must not fill our memory: the newest answer is enough.
        self._outgoing = [said for said in self._outgoing if not isinstance(said, Pong)]
        self._outgoing.append(Pong(frame.id))
        self.quality, self.rtt_ms = frame.quality, frame.rtt_ms
        if self._lacks(frame.cursor):
            self._watch.shown(frame.cursor, now)

    def _lacks(self, cursor: Cursor) -> bool:
        return self.state is State.LIVE and self.intake.lacks(cursor)

    # --- time ----------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """When :meth:`tick` is next needed; None while nothing is waited for."""
        if self._watch is None:
            return self.retry_at
        others = (self.token.renew_at, self.intake.acks.due_at)
        moments = [moment for moment in others if moment is not None]
        return min([self._watch.deadline(owed=self._owed), *moments])

    @property
    def _owed(self) -> bool:
        return self.state is State.CATCHING_UP and not self.intake.acks.outstanding

    def tick(self, now: float) -> None:
        """Let time pass: an ack falls due, a link is found dead, a gap is believed."""
        slept = self._ticked_at is not None and now - self._ticked_at > SLEPT_S
        self._ticked_at = now
        if self._watch is not None:
            if slept:
                self._watch.woke(now)
            if (due_at := self.intake.acks.due_at) is not None and now >= due_at:
                self._acknowledge(now)
            fault = self._watch.fault(now, owed=self._owed, lacks=self._lacks)
            if fault is not None:
                self.drop(fault, now)
        elif slept and self.retry_at is not None:
            self._reconnect.woke()
            self.retry_at = now

    def _acknowledge(self, now: float) -> None:
        cursor = self.intake.acks.take(now)
        if cursor is not None:
            self._outgoing.append(Ack(cursor))
