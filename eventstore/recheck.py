"""The check of stored rows against the chain, at open and after a failed write (G16).

The offline verifier, :mod:`eventstore.verify`, does not use this: it shares no code with the log.
"""

from __future__ import annotations

from collections.abc import Iterable

from eventstore.apply import Head
from eventstore.chain import SALT_BYTES, data_hash, header, link
from eventstore.events import RecordedEvent


class ChainBroken(Exception):
    """What is stored is not what was written; ``position`` is the first bad one."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(f"position {position}: {reason}")
        self.position = position


def follow(head: Head, rows: Iterable[tuple[RecordedEvent, bytes, bytes | None]]) -> Head:
    """Walk (event, data_hash, salt) on from ``head``; give the head at their end.

    Raises :class:`ChainBroken` at the first gap, step back in time, or hash that does not fit.
    """
    for event, commitment, salt in rows:
        if event.position != head.position + 1:
            raise ChainBroken(head.position + 1, "missing")
        if event.recorded_at <= head.recorded_at:
            raise ChainBroken(event.position, "not later than the one before")
        if event.data is not None and not _fits(salt or b"", event.data, commitment):
            raise ChainBroken(event.position, "the content is not what was committed to")
        envelope = header(
            event.position, event.recorded_at, event.stream, event.conversation,
            event.type, event.version, event.correlation_id, event.causation_id,
        )  # fmt: skip
        if link(head.hash, envelope, commitment) != event.hash:
            raise ChainBroken(event.position, "the chain hash does not fit")
        head = Head(event.position, event.recorded_at, event.hash)
    return head


def _fits(salt: bytes, data: bytes, commitment: bytes) -> bool:
    """The salt's length, too: bytes moved between it and the content leave the hash as it was."""
    return len(salt) == SALT_BYTES and data_hash(salt, data) == commitment
