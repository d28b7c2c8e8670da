"""WhatsApp's handshake and signature: what is proven, and that all else is only refused."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.providers import Secret, SignatureInvalid, whatsapp

SECRET = Secret(b"5ebe2294ecd0e0f08eab7690d2a6ee69")
OTHER = Secret(b"another secret of the same app")
# Odd white space, an escape where none is needed, equal keys: bytes, not a document.
BODY = b'{ "a":1,\t"a" : "\\u00e9\\u0041" }\r\n'
DIGEST = hmac.new(SECRET.value, BODY, hashlib.sha256).hexdigest()
NOW_S = 1_800_000_000


def verify(headers: dict[str, str], body: bytes = BODY, *secrets: Secret) -> None:
    """Verify against the given secrets, or the one."""
    whatsapp.verify(headers, body, secrets or (SECRET,), NOW_S)


def header(value: str) -> dict[str, str]:
    """Only the signature header."""
    return {"x-hub-signature-256": value}


def test_the_raw_bytes_are_what_is_signed() -> None:
    """A body no JSON library would write again is accepted under the HMAC of its bytes."""
    verify(header(f"sha256={DIGEST}"))


def test_what_we_sign_is_what_meta_signs() -> None:
    """``sign`` gives the documented header; there is no oracle library but the definition."""
    assert whatsapp.sign(BODY, SECRET, now_s=NOW_S)["x-hub-signature-256"] == f"sha256={DIGEST}"


REFUSED = {
    "empty": "",
    "no scheme": DIGEST,
    "scheme only": "sha256=",
    "other scheme": f"sha1={DIGEST}",
    "scheme in capitals": f"SHA256={DIGEST}",
    "digest in capitals": f"sha256={DIGEST.upper()}",
    "cut": f"sha256={DIGEST[:-1]}",
    "longer": f"sha256={DIGEST}0",
    "space before": f" sha256={DIGEST}",
    "space after": f"sha256={DIGEST} ",
    "line feed after": f"sha256={DIGEST}\n",
    "given twice, as one value": f"sha256={DIGEST}, sha256={DIGEST}",
    "not hex": "sha256=" + "z" * 64,
    "not ASCII": "sha256=é" + DIGEST[1:],
    "wide digits": "sha256=" + "\uff10" * 64,
    "lone surrogate": "sha256=\udce9" + DIGEST[1:],
    "NUL": f"sha256={DIGEST}\x00",
    "a megabyte": "sha256=" + "0" * 1_000_000,
    "of another body": whatsapp.sign(BODY + b" ", SECRET, now_s=0)["x-hub-signature-256"],
    "of another secret": whatsapp.sign(BODY, OTHER, now_s=0)["x-hub-signature-256"],
}


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED)
def test_a_bad_signature_header_is_refused_and_nothing_else(value: str) -> None:
    """Every malformed header is SignatureInvalid, and that carries no detail."""
    with pytest.raises(SignatureInvalid) as refusal:
        verify(header(value))
    assert refusal.value.args == ()


def test_a_missing_header_is_refused() -> None:
    """No header is no proof; SHA-1 alone, which Meta also sends, is none either."""
    with pytest.raises(SignatureInvalid):
        verify({"x-hub-signature": "sha1=" + hmac.new(SECRET.value, BODY, "sha1").hexdigest()})


def test_an_inbox_without_active_secrets_accepts_nothing() -> None:
    """Not even what an empty key would sign."""
    with pytest.raises(SignatureInvalid):
        whatsapp.verify(header(f"sha256={DIGEST}"), BODY, [], NOW_S)
    with pytest.raises(SignatureInvalid):
        verify(header(f"sha256={DIGEST}"), BODY, Secret(SECRET.value, not_after_s=NOW_S - 1))


@pytest.mark.parametrize("secrets", [(SECRET, OTHER), (OTHER, SECRET)])
def test_any_of_several_secrets_will_do(secrets: tuple[Secret, ...]) -> None:
    """While secrets rotate, a webhook signed with either is accepted."""
    verify(header(f"sha256={DIGEST}"), BODY, *secrets)


@settings(deadline=None)
@given(place=st.integers(0, len(BODY) - 1), bit=st.integers(0, 7))
def test_one_flipped_bit_of_the_body_is_noticed(place: int, bit: int) -> None:
    """No byte of the body is outside of the signature."""
    tampered = bytearray(BODY)
    tampered[place] ^= 1 << bit
    with pytest.raises(SignatureInvalid):
        verify(header(f"sha256={DIGEST}"), bytes(tampered))


@settings(deadline=None)
@given(st.text())
def test_no_header_whatsoever_does_anything_but_pass_or_fail(value: str) -> None:
    """Arbitrary text is refused."""
    with pytest.raises(SignatureInvalid):
        verify(header(value))


@settings(deadline=None)
@given(body=st.binary(), secret=st.binary(min_size=1))
def test_what_is_signed_verifies(body: bytes, secret: bytes) -> None:
    """``sign`` and ``verify`` belong together for every body and secret."""
    headers = whatsapp.sign(body, Secret(secret), now_s=NOW_S)
    whatsapp.verify(headers, body, [Secret(secret)], NOW_S)


QUERY = {"hub.mode": "subscribe", "hub.verify_token": "tök-en", "hub.challenge": "1158201444"}


def test_the_handshake_returns_the_challenge() -> None:
    """Subscribe, our token: the challenge comes back as it is."""
    assert whatsapp.challenge(QUERY, "tök-en") == "1158201444"


@pytest.mark.parametrize(
    "change",
    [
        {"hub.mode": "unsubscribe"},
        {"hub.mode": ""},
        {"hub.verify_token": "tok-en"},
        {"hub.verify_token": ""},
        {"hub.verify_token": "\udcff"},
        {"hub.verify_token": "tök-en" * 100_000},
        {"hub.challenge": ""},
        {"hub.challenge": "<script>\n"},
        {"hub.challenge": "é"},
        {"hub.challenge": "1" * 257},
    ],
    ids=repr,
)
def test_a_handshake_that_is_not_ours_is_refused(change: dict[str, str]) -> None:
    """Another mode, another token, or a challenge that is no plain short word."""
    assert whatsapp.challenge(QUERY | change, "tök-en") is None


@pytest.mark.parametrize("missing", QUERY)
def test_a_handshake_lacking_a_part_is_refused(missing: str) -> None:
    """All three parameters must be there."""
    query = {key: value for key, value in QUERY.items() if key != missing}
    assert whatsapp.challenge(query, "tök-en") is None


@pytest.mark.parametrize("token", [None, ""])
def test_an_inbox_without_verify_token_answers_no_handshake(token: str | None) -> None:
    """An empty token offered to an inbox that has none is not a match."""
    assert whatsapp.challenge(QUERY | {"hub.verify_token": ""}, token) is None
