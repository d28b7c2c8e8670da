r"""Checkpoints: a signed (epoch, position, chain hash, time), to be kept where the log is not.

What is signed, with Ed25519, are these lines, each with its line feed::

    malote checkpoint/1
    <epoch>
    <position>
    <chain hash there, hex>
    <time, RFC 3339 with microseconds>
    <key id>

The key id is the first 16 hex digits of the SHA-256 of the public key. The key itself goes along,
so that a checkpoint can be told from a damaged one without anything else; whom to trust, the reader
decides by the key they were given beforehand. ``eventstore/verify.py`` checks all this again
without importing a line of it.
"""

from __future__ import annotations

from hashlib import sha256

from attrs import field, frozen
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from eventstore.apply import Head
from eventstore.codec import datetime_of, time_text
from eventstore.events import CheckpointSigned, RecordedEvent

SEED_BYTES = 32
EVENTS_MAX = 1_000
AGE_MAX_S = 60.0


@frozen
class SigningKey:
    """An Ed25519 key pair, by its 32-byte seed."""

    seed: bytes = field(repr=False)

    @property
    def public_key(self) -> str:
        """The public half, 64 hex digits."""
        return self._private.public_key().public_bytes_raw().hex()

    @property
    def key_id(self) -> str:
        """Its name: 16 hex digits."""
        return key_id(self.public_key)

    @property
    def _private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    def sign(self, epoch: str, head: Head, now_us: int) -> CheckpointSigned:
        """A checkpoint of the log as it stands. ``now_us``: µs since the Unix epoch."""
        key, hash_ = self.key_id, head.hash.hex()
        text = signed_text(epoch, head.position, hash_, time_text(now_us), key)
        return CheckpointSigned(
            epoch=epoch,
            position=head.position,
            hash=hash_,
            time=datetime_of(now_us),
            key_id=key,
            public_key=self.public_key,
            signature=self._private.sign(text).hex(),
        )


def key_id(public_key: str) -> str:
    """The name of a public key."""
    return sha256(bytes.fromhex(public_key)).hexdigest()[:16]


def signed_text(epoch: str, position: int, hash_: str, time: str, key: str) -> bytes:
    """The bytes that the signature is over."""
    return f"malote checkpoint/1\n{epoch}\n{position}\n{hash_}\n{time}\n{key}\n".encode()


class Due:
    """When the next checkpoint is to be signed: at once after 1,000 events, 60 s after the first.

    A checkpoint itself is no event worth one, or an idle log would sign for ever.
    """

    def __init__(self) -> None:
        self._events = 0
        self._since = 0.0

    def committed(self, events: list[RecordedEvent], now: float) -> None:
        """These were recorded. ``now`` in seconds of a steady clock."""
        count = sum(event.type != CheckpointSigned.type for event in events)
        if count and not self._events:
            self._since = now
        self._events += count

    def wait_s(self, now: float) -> float | None:
        """How long until one is due, 0 or less if it is; None while nothing has happened."""
        if not self._events:
            return None
        return 0.0 if self._events >= EVENTS_MAX else self._since + AGE_MAX_S - now

    def signed(self) -> None:
        """All that was recorded by now is covered."""
        self._events = 0
