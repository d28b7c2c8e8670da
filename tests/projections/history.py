"""Histories for the projection tests: facts in, recorded events out, and a log that holds them.

The log is a double, because these tests need what the real one refuses: events of newer releases,
damaged data, data redacted under a fold's feet.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import islice
from typing import Any, NamedTuple

from attrs import evolve

from eventstore.apply import Head
from eventstore.chain import GENESIS
from eventstore.codec import encode
from eventstore.cursor import Cursor
from eventstore.events import Contact, Event, MessageReceived, MessageRedacted, RecordedEvent, Text
from projections import PROJECTIONS
from projections.projection import Projection, Query
from projections.store import MEMORY, Store

EPOCH = "epoch"
START_US = 1_700_000_000_000_000


class Fact(NamedTuple):
    """What is recorded where; the position and the time come from its place in the history."""

    stream: str
    event: Event
    conversation: str | None = None


def said(
    conversation: str, message_id: str, content: Any = None, *, inbox: str = "a", **fields: Any
) -> Fact:
    """A message; text, unless told otherwise."""
    contact = fields.pop("contact", Contact(f"of {conversation}"))
    event = MessageReceived(message_id, contact, content or Text(message_id), **fields)
    return Fact(f"inbox:{inbox}", event, conversation)


def told(conversation: str | None, event: Event, *, inbox: str = "a") -> Fact:
    """Something else in an inbox's stream."""
    return Fact(f"inbox:{inbox}", event, conversation)


def device(event: Event, user: str = "ann", name: str = "phone") -> Fact:
    """Something in a device's stream."""
    return Fact(f"client:{user}/{name}", event)


def system(event: Event) -> Fact:
    """Something in the system stream."""
    return Fact("system", event)


class Log:
    """What a projector needs of an event log, in memory."""

    def __init__(self, *facts: Fact, epoch: str = EPOCH) -> None:
        self.epoch = epoch
        self.events: list[RecordedEvent] = []
        self.failure: Exception | None = None
        self.add(*facts)

    @property
    def head(self) -> Head:
        """The newest event."""
        if not self.events:
            return Head()
        return Head(self.events[-1].position, self.events[-1].recorded_at, self.events[-1].hash)

    def add(self, *facts: Fact) -> None:
        """Record facts."""
        for stream, event, conversation in facts:
            self.add_raw(stream, event.type, event.version, encode(event), conversation)

    def add_raw(
        self, stream: str, type_: str, version: int, data: bytes, conversation: str | None = None
    ) -> None:
        """Record bytes, whatever they are."""
        position = len(self.events) + 1
        chained = sha256(self.head.hash + stream.encode() + type_.encode() + data).digest()
        self.events.append(
            RecordedEvent(
                *(position, START_US + 1_000_000 * position, stream, conversation),
                *(type_, version, data, None, None, chained),
            )
        )

    def redact(self, *positions: int) -> None:
        """Erase these events' data and say so in their inbox, as the log does it, in one commit."""
        events = [self.events[position - 1] for position in positions]
        [stream] = {event.stream for event in events}
        for event in events:
            self.events[event.position - 1] = evolve(event, data=None)
        self.add(Fact(stream, MessageRedacted(positions, "asked for", "eve"), None))

    async def read(
        self, after: int, limit: int, *, until: int | None = None
    ) -> list[RecordedEvent]:
        """A page."""
        if self.failure is not None:
            raise self.failure
        return list(islice(self.events[after:until], limit))

    async def cursor_at(self, position: int) -> Cursor | None:
        """The cursor at a position of this log."""
        if position > len(self.events):
            return None
        return Cursor.at(self.epoch, position, self.hash_at(position))

    async def recorded_at(self, position: int) -> int | None:
        """When that was, µs."""
        return self.events[position - 1].recorded_at if position else None

    def hash_at(self, position: int) -> bytes:
        """The chain hash at a position."""
        return self.events[position - 1].hash if position else GENESIS


def fold_into(store: Store, events: Sequence[RecordedEvent], sizes: Iterable[int] = ()) -> Store:
    """Fold what a store does not have yet, in pages of these sizes, the rest in one."""
    left = list(events[store.position :])
    for size in sizes:
        page, left = left[:size], left[size:]
        if page:
            store.fold(page, tuple(store.cursors))
    if left:
        store.fold(left, tuple(store.cursors))
    return store


_EMPTY: dict[tuple[str, ...], bytes] = {}
"""By the projections' names, the file of a store that has nothing yet."""


class _Copied(Store):
    """A store that begins with the tables of the first: to make them takes longer than most tests.

    If they are of another version or log, it makes its own, as any store that opens a file.
    """

    def _prepare(self) -> None:
        names = tuple(self._projections)
        if names in _EMPTY:
            self._db.deserialize(_EMPTY[names])
        super()._prepare()
        _EMPTY.setdefault(names, self._db.serialize())


def new_store(projections: Sequence[Projection] = PROJECTIONS) -> Store:
    """An empty store in memory."""
    return _Copied(MEMORY, projections, EPOCH)


def folded(events: Sequence[RecordedEvent], sizes: Iterable[int] = ()) -> Store:
    """A store in memory that has these events."""
    return fold_into(new_store(), events, sizes)


def given(*facts: Fact) -> Store:
    """A store in memory that has these facts, from position 1 on."""
    return folded(Log(*facts).events)


def ask(store: Store, query: Query[Any]) -> list[Any]:
    """The rows of an answer."""
    return store.fetch(query).rows


def the(store: Store, query: Query[Any]) -> Any:
    """The one row of an answer."""
    [row] = ask(store, query)
    return row
