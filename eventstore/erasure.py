"""Erasure (LGPD, GDPR): what may be erased, and what is left of it where it was held in memory.

Erasing sets an event's data and salt to NULL; the hash of both stays, so that the chain still
verifies and, without the salt, tells nothing. It is done by the transaction that records the
``message.redacted`` which names the positions: *apply* erases what such an event names, on every
node alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import evolve

from eventstore.codec import of_type
from eventstore.events import (
    MessageEdited,
    MessageReceived,
    MessageRedacted,
    MessageRevoked,
    MessageStatusChanged,
    RecordedEvent,
    WebhookReceived,
    WebhookUnparsed,
)

ERASABLE = frozenset(
    cls.type
    for cls in (
        MessageReceived,
        MessageEdited,
        MessageStatusChanged,
        MessageRevoked,
        WebhookReceived,
        WebhookUnparsed,
    )
)
"""Not joins, read marks and erasures themselves: they hold no words, and are folded again."""

REASON_CHARS_MAX = 500
_DATA = b',"data":'


class CannotErase(ValueError):
    """That is nothing that can be erased; the message says why, and nothing was changed."""


def demand_erasable(asked: Sequence[int], found: Sequence[RecordedEvent]) -> list[RecordedEvent]:
    """Of the events at the positions asked for, those that still have content; at least one.

    Raises :class:`CannotErase` for a position that is none or another kind of event, for several
    streams, and where all of it is gone already.
    """
    if missing := set(asked) - {event.position for event in found}:
        raise CannotErase(f"there is no position {min(missing)}")
    for event in found:
        if event.type not in ERASABLE:
            raise CannotErase(f"position {event.position} is a {event.type}, which holds no words")
    if len({event.stream for event in found}) != 1:
        raise CannotErase("one erasure concerns one inbox")
    left = [event for event in found if event.data is not None]
    if not left:
        raise CannotErase("its content is gone already")
    return left


def erased_by(events: Iterable[RecordedEvent]) -> frozenset[int]:
    """The positions that these newly recorded events erase."""
    return frozenset(
        position
        for _, erasure in of_type(events, MessageRedacted)
        for position in erasure.positions
    )


def without_data(event: RecordedEvent) -> RecordedEvent:
    """The event as a reader finds it after its erasure."""
    return evolve(event, data=None)


def tombstone(body: bytes) -> bytes:
    """What :func:`eventstore.codec.encode_recorded` made, without the data, which come last.

    Inside a JSON string a quote is escaped, so the first such comma is not in one.
    """
    return body.partition(_DATA)[0] + _DATA + b"null}"
