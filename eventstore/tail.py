"""The newest events that members may see, encoded once and kept in memory.

A cache of the log, never a second truth: whoever asks for more than it holds gets None and reads
the disk. It is bounded by events and by bytes.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from heapq import merge
from itertools import islice

from attrs import evolve, frozen

from eventstore.codec import encode_recorded
from eventstore.cursor import Cursor
from eventstore.erasure import tombstone
from eventstore.events import RecordedEvent


@frozen
class Visible:
    """An event as members see it; ``body`` is its JSON (PROTOCOL section 2), ready to send."""

    position: int
    recorded_at: int
    cursor: Cursor
    inbox: str
    body: bytes

    @classmethod
    def of(cls, recorded: RecordedEvent, epoch: str) -> Visible:
        """Encode an event that is :attr:`~RecordedEvent.for_members`."""
        inbox = recorded.inbox
        assert inbox is not None
        cursor = Cursor.at(epoch, recorded.position, recorded.hash)
        body = encode_recorded(recorded, epoch)
        return cls(recorded.position, recorded.recorded_at, cursor, inbox, body)


class Tail:
    """The newest visible events, complete above position ``since``.

    Each inbox's positions are kept beside them: what a returning client is asked for first is how
    many events wait for it, and two thousand return at once.
    """

    def __init__(self, epoch: str, since: int, *, events_max: int, bytes_max: int) -> None:
        self._epoch = epoch
        self._events_max = events_max
        self._bytes_max = bytes_max
        self._entries: list[Visible] = []
        self._positions: list[int] = []
        self._by_inbox: defaultdict[str, list[int]] = defaultdict(list)
        self._bytes = 0
        self.since = since

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def bytes(self) -> int:
        """How much the bodies held weigh."""
        return self._bytes

    def extend(self, recorded: Iterable[RecordedEvent]) -> None:
        """Take newly committed events, in order; the oldest leave when it is over a bound."""
        for event in recorded:
            if event.for_members:
                entry = Visible.of(event, self._epoch)
                self._entries.append(entry)
                self._positions.append(entry.position)
                self._by_inbox[entry.inbox].append(entry.position)
                self._bytes += len(entry.body)
        self._trim()

    def erase(self, positions: Collection[int]) -> None:
        """Hold tombstones in place of these events."""
        for position in positions:
            if (index := self._index(position)) is not None:
                entry = self._entries[index]
                self._entries[index] = evolve(entry, body=tombstone(entry.body))
                self._bytes -= len(entry.body) - len(self._entries[index].body)

    def at(self, position: int) -> Visible | None:
        """The event at a position; None where none is held, which does not say there is none."""
        index = self._index(position)
        return None if index is None else self._entries[index]

    def _index(self, position: int) -> int | None:
        index = bisect_left(self._positions, position)
        held = index < len(self._positions) and self._positions[index] == position
        return index if held else None

    def _trim(self) -> None:
        count = max(0, len(self._entries) - self._events_max)
        excess = self._bytes - sum(len(entry.body) for entry in self._entries[:count])
        while excess > self._bytes_max:
            excess -= len(self._entries[count].body)
            count += 1
        if count:
            self.since = self._positions[count - 1]
            self._bytes = excess
            for inbox, gone in Counter(entry.inbox for entry in self._entries[:count]).items():
                del self._by_inbox[inbox][:gone]
                if not self._by_inbox[inbox]:
                    del self._by_inbox[inbox]
            del self._entries[:count]
            del self._positions[:count]

    def read(
        self, after: int, limit: int, inboxes: frozenset[str], bytes_max: int
    ) -> list[Visible] | None:
        """The first events after ``after`` in these inboxes; None if older ones are missing here.

        At most ``limit``, and ``bytes_max`` bytes of bodies, but one event always fits.
        """
        if after < self.since:
            return None
        page: list[Visible] = []
        size = 0
        for index in range(bisect_right(self._positions, after), len(self._entries)):
            entry = self._entries[index]
            if entry.inbox in inboxes:
                size += len(entry.body)
                if len(page) >= limit or (page and size > bytes_max):
                    break
                page.append(entry)
        return page

    def count(
        self, after: int, inboxes: frozenset[str], most: int, until: int | None = None
    ) -> int | None:
        """How many events with ``after`` < position <= ``until`` are in these inboxes.

        ``most`` at most; None as above.
        """
        if after < self.since:
            return None
        found = 0
        for held in self._of(inboxes):
            stop = len(held) if until is None else bisect_right(held, until)
            found += max(0, stop - bisect_right(held, after))
        return min(found, most)

    def newest(self, inboxes: frozenset[str], nth: int = 1) -> int | None:
        """The position of the ``nth`` newest event in these inboxes; None if it is not held."""
        newest_first = merge(*(reversed(held) for held in self._of(inboxes)), reverse=True)
        return next(islice(newest_first, nth - 1, None), None)

    def _of(self, inboxes: frozenset[str]) -> list[list[int]]:
        """The positions held of each of these inboxes that has some."""
        return [held for inbox in inboxes if (held := self._by_inbox.get(inbox)) is not None]
