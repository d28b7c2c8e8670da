"""The client's side of one subscription: no socket, no clock, no task (PROTOCOL section 3).

The session is told what happened and asked what to do: :attr:`link`, :attr:`deadline`,
:attr:`retry_at`, :attr:`error`, :meth:`frames_to_send`. One session lives as long as the
application's loop, through any number of links::

    link   DOWN --connecting--> OPENING --opened--> OPEN --lost, or dropped by us--> DOWN
    state  CONNECTING -> CATCHING_UP -> LIVE -> RECONNECTING -> CATCHING_UP ... -> CLOSED

* A link is dropped by us when a frame does not follow what came before it, when the server falls
  silent, and when an event that a ``ping`` has shown does not come. The next ``hello`` repairs it.
* CLOSED is final: left by the application, or with :attr:`error`, never silently.

What came, and what of it may be acknowledged, is :class:`~transport.intake.Intake`'s business.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import assert_never

from eventstore.cursor import Cursor
from transport.client_errors import Stopped
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
from transport.inbox_event import parse_time
from transport.intake import Intake
from transport.link_end import LinkEnd
from transport.reconnect import Reconnect

WELCOME_TIMEOUT_S = 10.0


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
    """Told frames, links and the time (seconds, monotonic); asked for frames and deadlines.

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
        self.quality: Quality | None = None
        self.rtt_ms: float | None = None
        self.synced_at: datetime | None = None
        self._device = device
        self._window = window
        self._reconnect = reconnect
        self._outgoing: list[ClientFrame] = []
        self._forget_link()

    def _forget_link(self) -> None:
        self._welcome: Welcome | None = None
        self._missing: Cursor | None = None
        self._missing_until = 0.0
        self._heard_at = 0.0
        self._opened_at = 0.0
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

    def opened(self, token: str, now: float) -> None:
        """The socket is open: say hello, with what the application has stored."""
        assert self.link is Link.OPENING
        self.link = Link.OPEN
        self._opened_at = self._heard_at = now
        self._outgoing.append(Hello(token, self._device, self.intake.durable, self._window))

    def lost(self, end: LinkEnd, now: float) -> None:
        """The link ended, or did not come about; of a link that is down already it is no news."""
        if self.link is Link.DOWN:
            return
        held_s = now - self._opened_at if self.link is Link.OPEN else 0.0
        welcomed = self._welcome is not None
        self.link = Link.DOWN
        self.last_end = end
        self._forget_link()
        if self.state is State.CLOSED:
            return
        try:
            delay_s = self._reconnect.delay_s(end, held_s=held_s, welcomed=welcomed)
        except Stopped as error:
            self.fail(error)
        else:
            self.state = State.RECONNECTING
            self.retry_at = now + delay_s

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

    def frames_to_send(self) -> list[ClientFrame]:
        """What to write now, in order; asking takes it."""
        frames, self._outgoing = self._outgoing, []
        return frames

    # --- what the server says ------------------------------------------------------------------

    def receive(self, frame: ServerFrame | None, size: int, now: float) -> None:
        """Take one frame of ``size`` bytes; None is one of a newer protocol, and a sign of life."""
        if self.link is not Link.OPEN:
            return  # it was on its way when we gave the link up
        self._heard_at = now
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
                self._on_welcome(frame)
            case Events():
                self._on_events(frame, size)
            case Live():
                self._on_live(frame)
            case Skipped():
                self.intake.take_skipped(frame)
            case Reset():
                self.intake.take_reset(frame)
            case Ping():
                self._on_ping(frame, now)
            case Bye():
                retry_after_s = (frame.retry_after_ms or 0) / 1000
                self.lost(LinkEnd(frame.code, frame.reason, retry_after_s=retry_after_s), now)
            case Error():
                pass  # the link lives; whoever moves the bytes has written it down
            case _:
                assert_never(frame)

    def _on_welcome(self, frame: Welcome) -> None:
        if self._welcome is not None:
            raise FrameError("a second welcome")
        self._welcome = frame
        self.state = State.CATCHING_UP
        resume = frame.resume
        if resume.outcome == "reset":
            self.intake.take_reset(Reset(resume.cursor, resume.reason or "history_differs"))
        else:
            self.intake.begin(resume.cursor)

    def _on_events(self, frame: Events, size: int) -> None:
        events = self.intake.take_events(frame, size)
        if events and self.state is State.LIVE:
            self.synced_at = events[-1].time

    def _on_live(self, frame: Live) -> None:
        self.intake.follows(frame.cursor)
        self.synced_at = parse_time(frame.time)
        self.state = State.LIVE
        self._reconnect.went_live()

    def _on_ping(self, frame: Ping, now: float) -> None:
        assert self._welcome is not None
        self._outgoing.append(Pong(frame.id))
        self.quality, self.rtt_ms = frame.quality, frame.rtt_ms
        if self._missing is None and self._lacks(frame.cursor):
            # Not believed at once: the event may be on its way behind this very ping.
            self._missing = frame.cursor
            self._missing_until = now + self._welcome.heartbeat.timeout_ms / 1000

    def _lacks(self, cursor: Cursor) -> bool:
        return self.state is State.LIVE and self.intake.lacks(cursor)

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
        if (due_at := self.intake.acks.due_at) is not None:
            moments.append(due_at)
        return min(moments)

    def tick(self, now: float) -> None:
        """Let time pass: an ack falls due, a link is found dead, a gap is believed."""
        if self.link is not Link.OPEN:
            return
        if (due_at := self.intake.acks.due_at) is not None and now >= due_at:
            self._acknowledge(now)
        if now >= self._silent_at:
            self.drop("the server has fallen silent", now)
        elif self._missing is not None and now >= self._missing_until:
            missing, self._missing = self._missing, None
            if self._lacks(missing):
                self.drop("an event that the server has did not come", now)

    def _acknowledge(self, now: float) -> None:
        cursor = self.intake.acks.take(now)
        if cursor is not None:
            self._outgoing.append(Ack(cursor))
