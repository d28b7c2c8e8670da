"""What a client received, handed out, and may acknowledge (G7, G8, G9).

Four cursors, in this order::

    durable   what the application stored: ``hello`` carries it, nothing beyond it is acknowledged
    finished  what the application handled
    in hand   the one item the application is handling
    received  the end of the buffer: the next frame must follow it

* A frame is taken only if it follows ``received``; what overlaps is dropped by position; what lies
  ahead, or is of another history, raises :class:`~transport.frames.FrameError` and changes nothing.
* A link that ends takes the buffer with it. Nothing is lost by that: it was not acknowledged. The
  item in hand stays in hand, and is not handed out again when it is delivered again.
* What is delivered again on request (:mod:`transport.client_replays`) stands in the buffer with the
  others, and carries the cursor before it: to have handled it moves none of the four.
* Only a cursor that came over the present link is acknowledged on it; so never one of a history
  that a ``reset`` has ended. (While one is under way, the order of the four does not hold.)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

from attrs import evolve

from eventstore.cursor import Cursor
from transport.ack_plan import AckPlan
from transport.client_replays import Returns
from transport.frames import Events, FrameError, Replayed, Reset, Skipped, Window
from transport.inbox_event import InboxEvent

Item: TypeAlias = InboxEvent | Reset | Skipped
"""What the application is to learn, in order."""

BUFFERED_WINDOWS_MAX = 2


class Intake:
    """See the rules at the top of this file; ``cursor`` is what the application has stored."""

    def __init__(self, cursor: Cursor | None, window: Window) -> None:
        self.durable = cursor
        self.finished = cursor
        self.in_hand: Item | None = None
        self._window = window
        self._buffer: deque[Item] = deque()
        self.returns = Returns()
        self.forget_link()

    def forget_link(self) -> None:
        """The link ended; the next one begins again at ``durable``."""
        self.received = self.finished if self.in_hand is None else self.in_hand.cursor
        self.acks = AckPlan(self._window)
        self._reset_to: Cursor | None = None
        self._buffer.clear()
        self.returns.forget_link()

    # --- what the server says ------------------------------------------------------------------

    def begin(self, cursor: Cursor) -> None:
        """The server says where a client without a cursor begins.

        From here on that is its cursor: a second ``hello`` without one would begin at a later head,
        and what lies between would be lost silently.
        """
        if self.durable is None:
            self.durable = self.finished = self.received = cursor

    def follows(self, after: Cursor) -> Cursor:
        """``received``, if what comes after ``after`` follows or overlaps it; else raise."""
        last = self.received
        assert last is not None, "the welcome has said where we begin"
        if after.epoch != last.epoch or (after.position == last.position and after != last):
            raise FrameError("events of another history")
        if after.position > last.position:
            raise FrameError("a gap in the events")
        return last

    def take_events(self, frame: Events, size: int) -> Sequence[InboxEvent]:
        """Take a frame of ``size`` bytes; the answer is all of its events, new or not."""
        last = self.follows(frame.after)
        events = [InboxEvent.from_wire(wire) for wire in frame.events]
        _check_order(frame, events)
        new = [event for event in events if event.position > last.position]
        self._check_room(len(new))
        for event in events:
            self.acks.came(event.cursor)
        self.acks.weighed(len(events), size)
        self._buffer.extend(new)
        self._advance(frame.cursor)
        return events

    def _check_room(self, count: int) -> None:
        # The window bounds the buffer. But a server that parks what a stuck application does not
        # handle goes on to the next window, and then there would be no end to it.
        if len(self._buffer) + count > BUFFERED_WINDOWS_MAX * self._window.frames:
            raise FrameError("more than the window")

    def take_skipped(self, frame: Skipped) -> None:
        """Events that will not come; the application is told in their place."""
        last = self.follows(frame.after)
        if frame.cursor.position > last.position:
            # From what we have on: that is where the application will want to read in `/v1/sync`.
            self._buffer.append(evolve(frame, after=last))
        self.acks.came(frame.cursor)
        self._advance(frame.cursor)

    def take_replayed(self, frame: Replayed) -> None:
        """Take events that were put aside before and come again on request."""
        assert self.received is not None, "the welcome has said where we begin"
        event = self._returned
        in_hand = None if event is None else (event.request or 0, event.position)
        new = self.returns.take(frame, in_hand)
        self._check_room(len(new))
        self._buffer.extend(evolve(event, cursor=self.received) for event in new)

    @property
    def _returned(self) -> InboxEvent | None:
        """The event in hand, if it is one that came again on request."""
        event = self.in_hand
        return event if isinstance(event, InboxEvent) and event.request is not None else None

    def _advance(self, cursor: Cursor) -> None:
        assert self.received is not None
        if cursor.position > self.received.position:
            self.received = cursor
        self._plan_ack()  # what came may be what the application had finished before this link

    def take_reset(self, frame: Reset) -> None:
        """Another history begins at ``frame.cursor``; the welcome and a frame may both say so."""
        if self._reset_to == frame.cursor:
            return
        self._reset_to = self.received = frame.cursor
        self.acks = AckPlan(self._window)
        self.acks.came(frame.cursor)
        self._buffer.clear()
        self._buffer.append(frame)

    def lacks(self, cursor: Cursor) -> bool:
        """Whether ``cursor`` is beyond us although everything that came was acknowledged.

        With something unacknowledged the window may be full, and the server owes us nothing yet.
        """
        last = self.received
        assert last is not None, "the welcome has said where we begin"
        beyond = cursor.epoch != last.epoch or cursor.position > last.position
        return beyond and not self.acks.outstanding

    # --- what the application does -------------------------------------------------------------

    def take(self) -> Item | None:
        """Hand out the next item; it is in hand until it is finished or put back."""
        assert self.in_hand is None
        if self._buffer:
            self.in_hand = self._buffer.popleft()
        return self.in_hand

    def finish(self) -> None:
        """The item in hand, if any, is handled."""
        if (event := self._returned) is not None:
            self.returns.finish(event)
        elif self.in_hand is not None:
            self.finished = self.in_hand.cursor
        self.in_hand = None

    @property
    def brought(self) -> bool:
        """Whether this link has brought the event in hand, so that a ``nack`` may name it."""
        return self.in_hand is not None and self.acks.brought(self.in_hand.cursor)

    @property
    def passed_over(self) -> bool:
        """Whether this link has brought what comes after the event in hand, and so not the event.

        The server has parked it by itself, or its user may not see it any more.
        """
        if self.in_hand is None or self.received is None:
            return False
        return self.received.position > self.in_hand.cursor.position and not self.brought

    def put_aside_again(self, reason: str) -> bool:
        """Whether the event in hand came again on request; it is put aside again, then."""
        if (event := self._returned) is None:
            return False
        self.returns.put_aside(event, reason)
        self.in_hand = None
        return True

    def put_back(self) -> None:
        """The item in hand, if any, was not handled; it comes again, first."""
        if self.in_hand is not None:
            self._buffer.appendleft(self.in_hand)
            self.in_hand = None

    def stored(self, cursor: Cursor | None) -> None:
        """The application's store has this cursor, safe from a crash."""
        if cursor is not None:
            self.durable = cursor
            self._plan_ack()

    def _plan_ack(self) -> None:
        if self.durable is not None:
            self.acks.want(self.durable)


def _check_order(frame: Events, events: Sequence[InboxEvent]) -> None:
    positions = [frame.after.position, *(event.position for event in events)]
    if any(a >= b for a, b in pairwise(positions)):
        raise FrameError("events out of order")
    if frame.cursor.position < positions[-1]:
        raise FrameError("events beyond the frame's own cursor")
