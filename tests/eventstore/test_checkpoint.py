"""Checkpoints: what is signed, when, and that the verifier's own Ed25519 agrees with OpenSSL's."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from eventstore.apply import Head
from eventstore.checkpoint import Due, SigningKey
from eventstore.events import CheckpointSigned, RecordedEvent, ServerStarted
from eventstore.verify import ed25519_verify

# RFC 8032, 7.1: secret seed, public key, message, signature.
VECTORS = (
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
)
ORDER = 2**252 + 27742317777372353535851937790883648493


@pytest.mark.parametrize(("seed", "public", "message", "signature"), VECTORS)
def test_the_rfc_vectors_verify(seed: str, public: str, message: str, signature: str) -> None:
    """RFC 8032's own examples, and that our keys are the same keys."""
    assert SigningKey(bytes.fromhex(seed)).public_key == public
    assert ed25519_verify(*map(bytes.fromhex, (public, message, signature)))


@settings(max_examples=40, deadline=None)
@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=99), data=st.data())
def test_it_takes_what_openssl_takes_and_nothing_else(
    seed: bytes, message: bytes, data: st.DataObject
) -> None:
    """The signature itself, and with any one bit of key, message or signature flipped."""
    private = Ed25519PrivateKey.from_private_bytes(seed)
    parts = [private.public_key().public_bytes_raw(), message, private.sign(message)]
    assert ed25519_verify(parts[0], parts[1], parts[2])
    which = data.draw(st.sampled_from([index for index in range(3) if parts[index]]))
    changed = bytearray(parts[which])
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    parts[which] = bytes(changed)
    assert ed25519_verify(parts[0], parts[1], parts[2]) is _openssl(*parts) is False


def _openssl(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def test_a_signature_has_one_form_only() -> None:
    """S plus the group's order is the same number to the equation, and not the same signature."""
    _, public, message, signature = map(bytes.fromhex, VECTORS[1])
    s = int.from_bytes(signature[32:], "little") + ORDER
    doubled = signature[:32] + s.to_bytes(32, "little")
    assert not ed25519_verify(public, message, doubled)
    assert not ed25519_verify(public, message, signature + b"\0")
    assert not ed25519_verify(b"\xff" * 32, message, signature)


def test_the_seed_shows_in_no_repr() -> None:
    """A traceback with locals must not carry the key away."""
    assert "seed" not in repr(SigningKey(b"s" * 32))


NOW = datetime(2026, 11, 22, tzinfo=UTC)
CHECKPOINT = CheckpointSigned("e", 1, "0" * 64, NOW, "k", "p", "s")


def recorded(type_: str, count: int = 1) -> list[RecordedEvent]:
    """So many events of a type."""
    return [RecordedEvent(1, 1, "system", None, type_, 1, b"{}", None, None, b"")] * count


def test_a_checkpoint_is_due_a_minute_after_the_first_event_or_at_the_thousandth() -> None:
    """60 s, however many come meanwhile; at once when 1,000 wait."""
    due = Due()
    assert due.wait_s(0.0) is None
    due.committed(recorded(ServerStarted.type), 100.0)
    due.committed(recorded(ServerStarted.type), 130.0)
    assert due.wait_s(140.0) == 20.0
    due.committed(recorded(ServerStarted.type, 998), 141.0)
    assert due.wait_s(141.0) == 0.0
    due.signed()
    assert due.wait_s(141.0) is None


def test_a_checkpoint_is_no_reason_for_another() -> None:
    """An idle log falls silent."""
    due = Due()
    due.committed(recorded(CheckpointSigned.type), 0.0)
    assert due.wait_s(1e9) is None


def test_what_is_signed_is_bound_to_log_place_and_time() -> None:
    """Two heads, epochs or times never share a signature."""
    key, head = SigningKey(b"s" * 32), Head(7, 9, b"h" * 32)
    signed = key.sign("e1", head, 1_780_000_000_000_001)
    assert (signed.position, signed.hash, signed.key_id) == (7, "68" * 32, key.key_id)
    others = (
        key.sign("e2", head, 1_780_000_000_000_001),
        key.sign("e1", Head(8, 9, b"h" * 32), 1_780_000_000_000_001),
        key.sign("e1", head, 1_780_000_000_000_002),
    )
    assert len({signed.signature, *(other.signature for other in others)}) == 4
