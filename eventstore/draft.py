"""What is handed to the log, and what comes back: drafts, idempotency keys and receipts."""

from __future__ import annotations

import re
from hashlib import sha256

from attrs import frozen

from eventstore.events import Event

KEY_BYTES = 16
HEADER_FIELD_CHARS_MAX = 200
_HEADER_FIELD = re.compile(rf"[^\n\0\ud800-\udfff]{{1,{HEADER_FIELD_CHARS_MAX}}}").fullmatch


def _is_header_field(value: str) -> bool:
    if value.isascii():  # as nearly all are; the pattern takes ten times as long
        return 0 < len(value) <= HEADER_FIELD_CHARS_MAX and "\n" not in value and "\0" not in value
    return _HEADER_FIELD(value) is not None


def idempotency_key(inbox: str, kind: str, *ids: str) -> bytes:
    """A 16-byte digest under which at most one event of the inbox is ever stored (G2).

    Each part goes in with its length, so that ``("a", "bc")`` and ``("ab", "c")`` differ.
    """
    digest = sha256()
    for part in (inbox, kind, *ids):
        raw = part.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(4, "big") + raw)
    return digest.digest()[:KEY_BYTES]


@frozen
class Draft:
    """An event that wants to be recorded.

    ``key``, where there is one, makes it idempotent. ``cause`` is the index, within the same
    append, of the draft that caused it. A whole append is one transaction.
    """

    stream: str
    event: Event
    conversation: str | None = None
    key: bytes | None = None
    correlation_id: str | None = None
    cause: int | None = None

    def __attrs_post_init__(self) -> None:
        # The canonical header (eventstore/chain.py) is unambiguous only because of this, and a lone
        # surrogate or a NUL, which SQLite would cut a text at, would fail a whole group.
        for value in (self.stream, self.conversation, self.correlation_id):
            if value is not None and not _is_header_field(value):
                raise ValueError("empty, too long, or with a line feed, NUL or lone surrogate")
        if self.key is not None and len(self.key) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes")


@frozen
class Receipt:
    """Proof that a draft is in the log: its position and the chain hash there, 32 bytes.

    ``duplicate`` tells that the key was known: position and hash are then the first event's.
    """

    position: int
    hash: bytes
    duplicate: bool = False
