"""What a client got again on request: of each request an event is handed out once (G8).

A *return* is an event and the request that brought it back. It goes one way only::

    came --handed out--> done --its effect is durable--> kept --> acknowledged
              +--put aside, which the server is told by ``nack``--> kept

* A link that ends takes with it what was not handed out; the server sends it again, on the next.
* What is done or kept is not handed out again. A kept one that comes again is acknowledged again:
  the acknowledgement was lost with its link.
* Memory: what is kept is remembered in this process, the newest ``REMEMBERED_MAX`` of it, which is
  more than a server has under way for one device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from attrs import evolve

from transport.frames import FrameError, ReplayAck, Replayed
from transport.inbox_event import InboxEvent
from transport.replays import REPLAYS_MAX

Return: TypeAlias = tuple[int, int]
"""Request and position."""

REMEMBERED_MAX = 4 * REPLAYS_MAX


class Returns:
    """See the rules at the top of this file."""

    def __init__(self) -> None:
        self._kept: dict[Return, None] = {}
        self._done: list[Return] = []
        self._came: set[Return] = set()
        self._acks: list[Return] = []

    def forget_link(self) -> None:
        """The link ended; what was not acknowledged on it comes again."""
        self._came.clear()
        self._acks.clear()

    def take(self, frame: Replayed, in_hand: Return | None) -> Sequence[InboxEvent]:
        """The events of the frame that are to be handed out; raise FrameError where it is none."""
        events = [InboxEvent.from_wire(wire) for wire in frame.events]
        new = []
        for event in events:
            one = (frame.request, event.position)
            if one in self._came:
                raise FrameError("an event delivered again twice")
            self._came.add(one)
            if one in self._kept:
                self._acks.append(one)
            elif one != in_hand and one not in self._done:
                new.append(evolve(event, request=frame.request))
        return new

    def brought(self, event: InboxEvent) -> bool:
        """Whether this link has brought it, so that it may be spoken of."""
        return _return(event) in self._came

    def finish(self, event: InboxEvent) -> None:
        """The application has handled it."""
        self._done.append(_return(event))

    def put_aside(self, event: InboxEvent) -> None:
        """It was left to the server's list of parked events."""
        self._keep(_return(event))

    @property
    def unkept(self) -> bool:
        """Whether something is done and not known to be durable."""
        return bool(self._done)

    def keep(self) -> None:
        """The effects of all that is done are durable."""
        done, self._done = self._done, []
        for one in done:
            self._keep(one)
            if one in self._came:
                self._acks.append(one)

    def _keep(self, one: Return) -> None:
        self._kept[one] = None
        if len(self._kept) > REMEMBERED_MAX:
            del self._kept[next(iter(self._kept))]

    def take_acks(self) -> list[ReplayAck]:
        """What to acknowledge now; asked again, only what came since."""
        acks, self._acks = self._acks, []
        self._came.difference_update(acks)
        requests = dict.fromkeys(request for request, _ in acks)
        return [
            ReplayAck(request, tuple(position for of, position in acks if of == request))
            for request in requests
        ]


def _return(event: InboxEvent) -> Return:
    assert event.request is not None
    return event.request, event.position
