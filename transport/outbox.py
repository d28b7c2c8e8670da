"""What sessions want recorded and the log has not yet taken."""

from __future__ import annotations

from attrs import evolve

from eventstore.draft import Draft
from eventstore.events import (
    DeliveryAcknowledged,
    DeliveryParked,
    Event,
    HeartbeatAnswered,
    HeartbeatMissed,
)

BATCH_MAX = 1_000


class Outbox:
    """Drafts in order, bounded while the log is away, without ever losing count.

    Delivery goes on when nothing can be written (G15), so records may pile up. Above ``drafts_max``
    two acknowledged ranges of a session become one, which says the same, and heartbeats are left
    out, which say nothing about events. What cannot be merged, connections that come and go, stops
    growing because the hub refuses new ones while :attr:`full`.
    """

    def __init__(self, drafts_max: int) -> None:
        self._drafts_max = drafts_max
        self._drafts: list[Draft] = []
        self._acks: dict[str, int] = {}  # session -> where its newest range is

    def __len__(self) -> int:
        return len(self._drafts)

    @property
    def full(self) -> bool:
        """Whether the log is so far behind that there should be no further sessions."""
        return len(self._drafts) >= self._drafts_max

    @property
    def batches(self) -> int:
        """How often :meth:`take` is to be called for all that is here now."""
        return -(-len(self._drafts) // BATCH_MAX)

    def add(self, stream: str, event: Event) -> None:
        """Take an event to record."""
        if self.full and self._absorb(event):
            return
        if isinstance(event, DeliveryAcknowledged):
            self._acks[event.session] = len(self._drafts)
        elif isinstance(event, DeliveryParked):
            # A range that passes over a parked event does not count it: it must not come before.
            self._acks.pop(event.session, None)
        self._drafts.append(Draft(stream, event))

    def _absorb(self, event: Event) -> bool:
        if isinstance(event, HeartbeatAnswered | HeartbeatMissed):
            return True
        if not isinstance(event, DeliveryAcknowledged):
            return False
        index = self._acks.get(event.session)
        if index is None:
            return False
        earlier = self._drafts[index].event
        assert isinstance(earlier, DeliveryAcknowledged)
        assert earlier.until == event.after, "ranges of a session follow each other"
        both = evolve(earlier, until=event.until, count=earlier.count + event.count)
        self._drafts[index] = evolve(self._drafts[index], event=both)
        return True

    def take(self) -> list[Draft]:
        """The oldest drafts, at most one append's worth; they are the caller's now."""
        batch, self._drafts = self._drafts[:BATCH_MAX], self._drafts[BATCH_MAX:]
        self._acks = {
            session: index - len(batch)
            for session, index in self._acks.items()
            if index >= len(batch)
        }
        return batch
