"""What a client got again on request: of each request an event is handed out once (G8).

A *return* is an event and the request that brought it back. It goes one way only::

    came --handed out--> done --its effect is durable--> settled --> acknowledged
              +--put aside, with a reason----------------> settled --> nacked

* A link that ends takes with it what was not handed out; the server sends it again, on the next.
* What is done or settled is not handed out again. A settled one that comes again is answered again,
  as it was the first time: the answer was lost with its link.
* A link is told only of what it has brought. Nobody waits for one that does not come again, because
  it expired or its user may not see it any more: the server has it in its list of parked events.
* Memory: what is settled is remembered in this process, the newest ``REMEMBERED_MAX`` of it, which
  is more than a server has under way for one device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from attrs import evolve

from transport.frames import FrameError, Nack, ReplayAck, Replayed
from transport.inbox_event import InboxEvent
from transport.replays import REPLAYS_MAX

Return: TypeAlias = tuple[int, int]
"""Request and position."""

REMEMBERED_MAX = 4 * REPLAYS_MAX


class Returns:
    """See the rules at the top of this file."""

    def __init__(self) -> None:
        # Why it was put aside; None: it was handled.
        self._settled: dict[Return, str | None] = {}
        self._done: list[Return] = []
        self._came: set[Return] = set()
        self._unanswered: list[Return] = []

    def forget_link(self) -> None:
        """The link ended; what was not answered on it comes again."""
        self._came.clear()
        self._unanswered.clear()

    def take(self, frame: Replayed, in_hand: Return | None) -> Sequence[InboxEvent]:
        """The events of the frame that are to be handed out; raise FrameError where it is none."""
        events = [InboxEvent.from_wire(wire) for wire in frame.events]
        new = []
        for event in events:
            one = (frame.request, event.position)
            if one in self._came:
                raise FrameError("an event delivered again twice")
            self._came.add(one)
            if one in self._settled:
                self._unanswered.append(one)
            elif one != in_hand and one not in self._done:
                new.append(evolve(event, request=frame.request))
        return new

    def finish(self, event: InboxEvent) -> None:
        """The application has handled it."""
        self._done.append(_return(event))

    def put_aside(self, event: InboxEvent, reason: str) -> None:
        """It is left to the server's list of parked events."""
        self._settle(_return(event), reason)

    @property
    def unkept(self) -> bool:
        """Whether something is done and not known to be durable."""
        return bool(self._done)

    def keep(self) -> None:
        """The effects of all that is done are durable."""
        done, self._done = self._done, []
        for one in done:
            self._settle(one, None)

    def _settle(self, one: Return, reason: str | None) -> None:
        self._settled[one] = reason
        if one in self._came:
            self._unanswered.append(one)
        if len(self._settled) > REMEMBERED_MAX:
            del self._settled[next(iter(self._settled))]

    def take_answers(self) -> list[ReplayAck | Nack]:
        """What to say now; asked again, only what came since."""
        settled = {one: self._settled[one] for one in self._unanswered}
        self._came.difference_update(settled)
        self._unanswered.clear()
        handled = [one for one, reason in settled.items() if reason is None]
        requests = dict.fromkeys(request for request, _ in handled)
        acks = [
            ReplayAck(request, tuple(position for of, position in handled if of == request))
            for request in requests
        ]
        nacks = [Nack(at, reason) for (_, at), reason in settled.items() if reason is not None]
        return [*acks, *nacks]


def _return(event: InboxEvent) -> Return:
    assert event.request is not None
    return event.request, event.position
