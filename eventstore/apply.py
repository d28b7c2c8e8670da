"""*Order* and *apply*: how drafts become events, without touching a disk (DESIGN section 7).

:func:`order` stamps an append with the time and the salts; it is the only step that knows a clock
or chance. :func:`apply` gives positions, strictly increasing times, the chain and the answers to
repeats. It is a function of the head, the ordered appends and the keys already known, and nothing
else, so that every node that applies the same order comes to the same bytes, and however the
appends are cut into groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from attrs import frozen

from eventstore.chain import GENESIS, SALT_BYTES, data_hash, header, link
from eventstore.codec import encode
from eventstore.draft import Draft, Receipt, idempotency_key
from eventstore.events import (
    HeartbeatsCompacted,
    MessageRedacted,
    RecordedEvent,
    WebhookDuplicated,
    WebhookReceived,
)

EventRow: TypeAlias = tuple[
    int, int, str, str | None, str, int, bytes, bytes, bytes, str | None, int | None, bytes
]
"""What goes into ``events``, in the order of its columns."""


@frozen
class Head:
    """The newest event's position, time (µs) and chain hash; 0, 0, GENESIS before the first."""

    position: int = 0
    recorded_at: int = 0
    hash: bytes = GENESIS


@frozen
class Known:
    """The event first stored under a key; ``salt`` is None once it was redacted."""

    position: int
    hash: bytes
    data_hash: bytes
    salt: bytes | None


@frozen
class Ordered:
    """One append in the order of all: its drafts with their data, a time (µs) and their salts."""

    drafts: Sequence[Draft]
    data: Sequence[bytes]
    time: int
    salts: Sequence[bytes]


@frozen
class Applied:
    """What one transaction writes, and what each append is answered once it is durable.

    ``erased`` are positions, of this group or before, that lose their data and salt with it;
    ``compacted`` ranges in which the heartbeats do.
    """

    head: Head
    events: list[RecordedEvent]
    rows: list[EventRow]
    keys: list[tuple[bytes, int]]
    receipts: list[list[Receipt]]
    erased: list[int]
    compacted: list[tuple[int, int]]


def order(drafts: Sequence[Draft], data: Sequence[bytes], now: int, entropy: bytes) -> Ordered:
    """Stamp an append. ``now`` in µs; ``entropy`` holds SALT_BYTES random bytes for each draft."""
    salts = [entropy[i : i + SALT_BYTES] for i in range(0, len(drafts) * SALT_BYTES, SALT_BYTES)]
    return Ordered(drafts, data, now, salts)


def keys_of(appends: Sequence[Ordered]) -> list[bytes]:
    """The idempotency keys that :func:`apply` needs to have looked up."""
    return [draft.key for append in appends for draft in append.drafts if draft.key is not None]


def keys_of_repeats(appends: Sequence[Ordered], known: Mapping[bytes, Known]) -> list[bytes]:
    """The keys of the notes that :func:`apply` may make about repeats; looked up in their turn."""
    seen = set(known)
    notes = []
    for draft, data, _ in _each(appends):
        if draft.key in seen:
            notes.append(_note_key(draft, data))
        elif draft.key is not None:
            seen.add(draft.key)
    return notes


def apply(head: Head, appends: Sequence[Ordered], known: Mapping[bytes, Known]) -> Applied:
    """Continue the log after ``head`` with these appends.

    ``known`` holds, of :func:`keys_of` and :func:`keys_of_repeats`, those that are in the log.
    """
    batch = _Batch(head, known)
    receipts = [batch.add(append) for append in appends]
    return Applied(
        *(batch.head, batch.events, batch.rows, batch.keys, receipts),
        *(batch.erased, batch.compacted),
    )


class _Batch:
    """The log as it grows by one group: mutable here, and seen by nobody before it is whole."""

    def __init__(self, head: Head, known: Mapping[bytes, Known]) -> None:
        self.head = head
        self.events: list[RecordedEvent] = []
        self.rows: list[EventRow] = []
        self.keys: list[tuple[bytes, int]] = []
        self.erased: list[int] = []
        self.compacted: list[tuple[int, int]] = []
        self._known = dict(known)

    def add(self, append: Ordered) -> list[Receipt]:
        receipts: list[Receipt] = []
        for draft, data, salt in _each((append,)):
            cause = None if draft.cause is None else receipts[draft.cause].position
            first = None if draft.key is None else self._known.get(draft.key)
            if first is None:
                self._record(draft, data, salt, append.time, cause)
                receipts.append(Receipt(self.head.position, self.head.hash))
            else:
                self._note_repeat(first, draft, data, salt, append.time, cause)
                receipts.append(Receipt(first.position, first.hash, duplicate=True))
        return receipts

    def _note_repeat(
        self, first: Known, draft: Draft, data: bytes, salt: bytes, now: int, cause: int | None
    ) -> None:
        """G2: the first content stands; that another one came is recorded, once."""
        if not _disputed(first, draft, data):
            return
        key = _note_key(draft, data)
        if key not in self._known:
            event = WebhookDuplicated(first.position)
            note = Draft(draft.stream, event, draft.conversation, key, draft.correlation_id)
            # The salt is free: the draft it was drawn for is not recorded.
            self._record(note, encode(event), salt, now, cause)

    def _record(self, draft: Draft, data: bytes, salt: bytes, now: int, cause: int | None) -> None:
        position = self.head.position + 1
        recorded_at = max(now, self.head.recorded_at + 1)
        stream, conversation, correlation = draft.stream, draft.conversation, draft.correlation_id
        type_, version = draft.event.type, draft.event.version
        commitment = data_hash(salt, data)
        envelope = header(
            position, recorded_at, stream, conversation, type_, version, correlation, cause
        )
        hash_ = link(self.head.hash, envelope, commitment)
        self.events.append(
            RecordedEvent(
                position, recorded_at, stream, conversation, type_, version,
                data, correlation, cause, hash_,
            )
        )  # fmt: skip
        self.rows.append(
            (
                position, recorded_at, stream, conversation, type_, version,
                data, commitment, salt, correlation, cause, hash_,
            )
        )  # fmt: skip
        self.head = Head(position, recorded_at, hash_)
        if isinstance(draft.event, MessageRedacted):
            self.erased.extend(draft.event.positions)
        elif isinstance(draft.event, HeartbeatsCompacted):
            self.compacted.append((draft.event.after, draft.event.until))
        if draft.key is not None:
            self.keys.append((draft.key, position))
            self._known[draft.key] = Known(position, hash_, commitment, salt)


def _each(appends: Sequence[Ordered]) -> Iterator[tuple[Draft, bytes, bytes]]:
    for append in appends:
        yield from zip(append.drafts, append.data, append.salts, strict=True)


def _disputed(first: Known, draft: Draft, data: bytes) -> bool:
    """Whether a repeat says something else than what is stored under its key.

    A raw webhook may differ in its headers at each try; what was derived from it is compared.
    """
    if first.salt is None or not draft.stream.startswith("inbox:"):
        return False
    if isinstance(draft.event, WebhookReceived):
        return False
    return data_hash(first.salt, data) != first.data_hash


def _note_key(draft: Draft, data: bytes) -> bytes:
    """The key of the note that this content came under that key: a repeated repeat adds nothing."""
    assert draft.key is not None
    return idempotency_key(
        draft.stream, WebhookDuplicated.type, draft.key.hex(), data_hash(b"", data).hex()
    )
