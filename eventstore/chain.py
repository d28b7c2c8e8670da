r"""The hash chain: every event commits to its own bytes and to the whole history before it.

    data_hash = sha256(salt || data)                       the content, erasable
    hash      = sha256(previous hash || header || data_hash)

``header`` is the canonical form of the envelope: the line ``malote/1`` and then position,
recorded_at, stream, conversation, type, version, correlation_id and causation_id, each on a line of
its own, absent ones empty. No field may hold a line feed, so the form is unambiguous; the two
hashes around it have a fixed length. Erasing ``data`` and ``salt`` leaves ``data_hash``, so a
redacted log still verifies, and without the salt the content cannot be guessed from the hash.

The first event's previous hash is 32 zero bytes. ``eventstore/verify.py`` computes all this again
without importing a line of it.
"""

from __future__ import annotations

from hashlib import sha256

GENESIS = bytes(32)
SALT_BYTES = 16


def data_hash(salt: bytes, data: bytes) -> bytes:
    """The commitment to an event's content, 32 bytes."""
    return sha256(salt + data).digest()


def header(
    position: int,
    recorded_at: int,
    stream: str,
    conversation: str | None,
    type_: str,
    version: int,
    correlation_id: str | None,
    causation_id: int | None,
) -> bytes:
    """The canonical envelope that the chain hash covers."""
    cause = "" if causation_id is None else causation_id
    return (
        f"malote/1\n{position}\n{recorded_at}\n{stream}\n{conversation or ''}\n{type_}\n{version}\n"
        f"{correlation_id or ''}\n{cause}\n"
    ).encode()


def link(previous: bytes, header_: bytes, data_hash_: bytes) -> bytes:
    """The chain hash at an event, 32 bytes."""
    return sha256(previous + header_ + data_hash_).digest()
