"""Standard Webhooks: what is proven, and what is made of a payload."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from api.providers import (
    Request,
    Secret,
    SecretMalformed,
    SignatureInvalid,
    conversation_id,
    standard,
)
from eventstore.draft import Draft, idempotency_key
from eventstore.events import Contact, Generic, MessageReceived, WebhookReceived, WebhookUnparsed

SECRET_TEXT = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECRET = Secret(SECRET_TEXT.encode())
OTHER = Secret(b"whsec_" + base64.b64encode(b"another secret of thirty bytes"))
NOW_S = 1_800_000_000
BODY = b'{"type":"order.paid",\t"data":{"a":"\\u00e9","a":1}} \n'
HEADERS = standard.sign(BODY, SECRET, now_s=NOW_S, id="msg_2mFcXnnBgxY")

Parse = Callable[..., list[Draft]]


def verify(headers: dict[str, str], *secrets: Secret, body: bytes = BODY) -> None:
    """Verify against the given secrets, or the one."""
    standard.verify(headers, body, secrets or (SECRET,), NOW_S)


# --- signature ---------------------------------------------------------------------------------


def test_the_raw_bytes_are_what_is_signed() -> None:
    """A body with odd white space and equal keys is accepted under the signature of its bytes."""
    verify(HEADERS)


def test_the_specifications_example_verifies() -> None:
    """The example of the specification's test suite, to the letter."""
    body = b'{"test": 2432232314}'
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    standard.verify(headers, body, [SECRET], 1614265330)


SIGNATURE = HEADERS["webhook-signature"]
REFUSED: dict[str, dict[str, str | None]] = {
    "no id": {"webhook-id": None},
    "empty id": {"webhook-id": ""},
    "another id": {"webhook-id": "msg_2mFcXnnBgxZ"},
    "no timestamp": {"webhook-timestamp": None},
    "empty timestamp": {"webhook-timestamp": ""},
    "another timestamp": {"webhook-timestamp": str(NOW_S + 1)},
    "no signature": {"webhook-signature": None},
    "empty signature": {"webhook-signature": ""},
    "only spaces": {"webhook-signature": "   "},
    "no version": {"webhook-signature": SIGNATURE.removeprefix("v1,")},
    "version without comma": {"webhook-signature": SIGNATURE.replace(",", "")},
    "only a version": {"webhook-signature": "v1,"},
    "public-key version": {"webhook-signature": SIGNATURE.replace("v1,", "v1a,")},
    "next version": {"webhook-signature": SIGNATURE.replace("v1,", "v2,")},
    "cut": {"webhook-signature": SIGNATURE[:-1]},
    "not base64": {"webhook-signature": "v1,%%%%"},
    "not ASCII": {"webhook-signature": "v1,é" + SIGNATURE[4:]},
    "lone surrogate": {"webhook-signature": "v1,\udce9" + SIGNATURE[4:]},
    "comma-separated": {"webhook-signature": f"{SIGNATURE},{SIGNATURE}"},
    "a tab between": {"webhook-signature": f"v1,x\t{SIGNATURE}"},
    "100,000 wrong ones": {"webhook-signature": "v1,x " * 100_000},
}


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED)
def test_a_bad_header_is_refused_and_nothing_else(change: dict[str, str | None]) -> None:
    """Every missing, malformed or exchanged header is SignatureInvalid, without detail."""
    headers = {k: v for k, v in {**HEADERS, **change}.items() if v is not None}
    with pytest.raises(SignatureInvalid) as refusal:
        verify(headers)
    assert refusal.value.args == ()


def signed(id_: str, timestamp: str) -> dict[str, str]:
    """Headers with a right signature over whatever id and timestamp."""
    content = f"{id_}.{timestamp}.".encode("utf-8", "surrogatepass") + BODY
    key = base64.b64decode(SECRET_TEXT.removeprefix("whsec_"))
    return {
        "webhook-id": id_,
        "webhook-timestamp": timestamp,
        "webhook-signature": "v1," + base64.b64encode(_hmac(key, content)).decode(),
    }


def _hmac(key: bytes, content: bytes) -> bytes:
    """HMAC-SHA256, from its definition: RFC 2104."""
    block = key.ljust(64, b"\x00")
    inner = sha256(bytes(byte ^ 0x36 for byte in block) + content).digest()
    return sha256(bytes(byte ^ 0x5C for byte in block) + inner).digest()


@pytest.mark.parametrize("offset_s", [0, 300, -300])
def test_a_timestamp_within_five_minutes_is_fresh(offset_s: int) -> None:
    """The tolerance includes its ends, on both sides."""
    verify(signed("msg_1", str(NOW_S + offset_s)))


@pytest.mark.parametrize(
    "timestamp",
    [
        str(NOW_S + 301),
        str(NOW_S - 301),
        "0",
        f"-{NOW_S}",
        f"+{NOW_S}",
        f" {NOW_S}",
        f"{NOW_S}\n",
        f"{NOW_S}.0",
        f"{NOW_S:_}",
        "1.8e9",
        f"{NOW_S:x}",
        "NaN",
        "Infinity",
        "9" * 13,
        "9" * 5000,
        "\uff11" + str(NOW_S)[1:],
        "2027-01-15T08:00:00Z",
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_timestamp_that_is_stale_or_makes_no_sense_is_refused(timestamp: str) -> None:
    """Fail closed, though the signature over it is right: a leaked delivery is good for minutes."""
    with pytest.raises(SignatureInvalid):
        verify(signed("msg_1", timestamp))


@pytest.mark.parametrize(
    "id_", ["", "a.b", ".", "msg 1", "msg\n1", "é", "\udce9", "\x00", "m" * 257], ids=repr
)
def test_an_id_that_could_be_read_in_two_ways_is_refused(id_: str) -> None:
    """With a full stop inside, ``id.timestamp`` of one delivery is that of another."""
    with pytest.raises(SignatureInvalid):
        verify(signed(id_, str(NOW_S)))


@pytest.mark.parametrize("id_", ["1", "msg_2mFcXnnBgxY", "a/b+c=", "!~", "m" * 256])
def test_a_plain_id_is_taken(id_: str) -> None:
    """Any other printable ASCII, up to 256 characters."""
    verify(signed(id_, str(NOW_S)))


def test_one_good_signature_among_several_will_do() -> None:
    """The header lists one for each of the sender's secrets, of any version."""
    verify(HEADERS | {"webhook-signature": f"v1a,AAAA v1,AAAA  {SIGNATURE} v9,x"})


@pytest.mark.parametrize("secrets", [(SECRET, OTHER), (OTHER, SECRET), (Secret(b"typo"), SECRET)])
def test_any_of_several_secrets_will_do(secrets: tuple[Secret, ...]) -> None:
    """While secrets rotate either verifies; one that is malformed disables no other."""
    verify(HEADERS, *secrets)


@pytest.mark.parametrize(
    "secrets", [(), (OTHER,), (Secret(b"typo"),), (Secret(SECRET.value, not_after_s=NOW_S - 1),)]
)
def test_without_the_right_active_secret_nothing_is_accepted(secrets: tuple[Secret, ...]) -> None:
    """No secret, another, a malformed one, or the right one after its date."""
    with pytest.raises(SignatureInvalid):
        standard.verify(HEADERS, BODY, secrets, NOW_S)


@settings(deadline=None)
@given(place=st.integers(0, len(BODY) - 1), bit=st.integers(0, 7))
def test_one_flipped_bit_of_the_body_is_noticed(place: int, bit: int) -> None:
    """No byte of the body is outside of the signature."""
    tampered = bytearray(BODY)
    tampered[place] ^= 1 << bit
    with pytest.raises(SignatureInvalid):
        verify(HEADERS, body=bytes(tampered))


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from(sorted(HEADERS)), st.text() | st.text("0123456789,. v1=whsec"))
)
def test_no_headers_whatsoever_do_anything_but_pass_or_fail(headers: dict[str, str]) -> None:
    """Arbitrary text in any header is refused."""
    with pytest.raises(SignatureInvalid):
        verify(headers)


@settings(deadline=None)
@given(entropy=st.binary(min_size=1, max_size=64), body=st.text(), offset_s=st.integers(-400, 400))
def test_the_reference_library_agrees(entropy: bytes, body: str, offset_s: int) -> None:
    """What either signs the other verifies; both refuse what is too old or too new."""
    oracle, secret = Webhook(entropy), Secret(standard.new_secret(entropy).encode())
    now = datetime.now(UTC)
    now_s = int(now.timestamp())

    moment = datetime.fromtimestamp(now_s + offset_s, UTC)
    theirs = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(now_s + offset_s),
        "webhook-signature": oracle.sign("msg_1", moment, body),
    }
    ours = standard.sign(body.encode(), secret, now_s=now_s + offset_s, id="msg_1")
    assert theirs.items() <= ours.items()

    # The library asks the wall clock: the seconds around the limit are left out.
    if abs(offset_s) < 290:
        standard.verify(theirs, body.encode(), [secret], now_s)
        oracle.verify(body, ours, json_parse=False)
    elif abs(offset_s) > 310:
        with pytest.raises(SignatureInvalid):
            standard.verify(theirs, body.encode(), [secret], now_s)
        with pytest.raises(WebhookVerificationError):
            oracle.verify(body, ours, json_parse=False)


@pytest.mark.parametrize("text", ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_%%%%"])
def test_a_malformed_secret_is_told_when_it_is_added(text: str) -> None:
    """Without its prefix, not base64, or empty; and it signs nothing."""
    with pytest.raises(SecretMalformed):
        standard.check_secret(Secret(text.encode()))
    if text:
        with pytest.raises(SecretMalformed):
            standard.sign(BODY, Secret(text.encode()), now_s=NOW_S)


def test_a_secret_without_padding_is_the_same_secret() -> None:
    """Some systems leave the ``=`` out."""
    entropy = bytes(range(25))
    unpadded = Secret(standard.new_secret(entropy).rstrip("=").encode())
    headers = standard.sign(BODY, Secret(standard.new_secret(entropy).encode()), now_s=NOW_S)
    standard.verify(headers, BODY, [unpadded], NOW_S)


def test_an_id_made_of_the_body_is_the_same_on_repetition() -> None:
    """A simulated delivery repeated later carries the id of the first."""
    first, again = (standard.sign(BODY, SECRET, now_s=now_s) for now_s in (NOW_S, NOW_S + 60))
    assert first["webhook-id"] == again["webhook-id"]
    assert re.fullmatch("msg_[0-9a-f]{24}", first["webhook-id"])


def test_there_is_no_handshake() -> None:
    """No query gets a challenge answered."""
    query = {"hub.mode": "subscribe", "hub.verify_token": "t", "hub.challenge": "1"}
    assert standard.challenge(query, "t") is None


# --- payload -----------------------------------------------------------------------------------


@pytest.fixture
def derive(parse: Parse) -> Callable[..., Draft]:
    """The one draft of a payload, delivered under the id ``msg_1``."""

    def run(payload: Any) -> Draft:
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        [draft] = parse("standard", body, {"webhook-id": "msg_1"})
        return draft

    return run


Derive = Callable[..., Draft]


def message(draft: Draft) -> MessageReceived:
    """The message, which lies in its contact's conversation."""
    assert isinstance(draft.event, MessageReceived)
    assert draft.conversation == conversation_id("shop", draft.event.contact.id)
    return draft.event


def test_the_best_shape_gives_the_best_message(derive: Derive) -> None:
    """The payload of the module's docstring, field by field."""
    data = {
        "text": "Order 1042 was paid",
        "contact": {"id": "customer-7", "name": "Ana", "phone": "+55 00", "username": "ana"},
        "direction": "outbound",
        "reply_to": "msg_0",
        "order": 1042,
    }
    payload = {"type": "order.paid", "timestamp": "2026-11-22T10:00:00.5Z", "data": data}
    draft = derive(payload)
    assert message(draft) == MessageReceived(
        "msg_1",
        Contact("customer-7", "Ana", "+55 00", "ana"),
        Generic("order.paid", "Order 1042 was paid", data),
        "outbound",
        datetime(2026, 11, 22, 10, 0, 0, 500_000, UTC),
        "msg_0",
    )
    assert draft.key == idempotency_key("shop", "message", "msg_1")


INBOX = Contact("shop", "shop")


@pytest.mark.parametrize(
    ("data", "contact"),
    [
        ({"contact": "c-1"}, Contact("c-1")),
        ({"contact": 42}, Contact("42")),
        ({"contact": {"id": 42, "name": "Ana"}}, Contact("42", "Ana")),
        ({"contact": {"phone": "+55", "name": "Ana"}}, Contact("+55", "Ana", "+55")),
        ({"contact": {"email": "a@b", "phone": 5}}, Contact("a@b")),
        ({"contact": {"id": "", "phone": "+55"}}, Contact("+55", None, "+55")),
        ({"from": "f", "contact": "c"}, Contact("c")),
        ({"from": "f", "sender": "s", "customer": "c", "user": "u"}, Contact("f")),
        ({"sender": "s", "customer": "c", "user": "u"}, Contact("s")),
        ({"customer": {"id": "c"}, "user": "u"}, Contact("c")),
        ({"user": {"id": "u", "username": "ana"}}, Contact("u", username="ana")),
        ({"contact": {"name": "Ana"}, "from": "f"}, Contact("f")),
        ({"contact": True, "from": None, "sender": [], "customer": ""}, INBOX),
        ({"contact": {"id": True}, "user": {"id": 1.5}}, INBOX),
        ({}, INBOX),
        ("text", INBOX),
        ([{"contact": "c"}], INBOX),
        (None, INBOX),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_the_contact_is_the_first_that_can_be_told_apart(
    data: Any, contact: Contact, derive: Derive
) -> None:
    """In the documented precedence; nobody in particular is the inbox itself."""
    assert message(derive({"type": "t", "data": data})).contact == contact


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"text": "t", "body": "b", "message": "m"}, "t"),
        ({"body": "b", "message": "m"}, "b"),
        ({"message": "m"}, "m"),
        ({"text": {"x": 1}, "body": 5, "message": "m"}, "m"),
        ({"text": ""}, None),
        ("a text alone", "a text alone"),
        (["x"], None),
        (7, None),
        (None, None),
    ],
)
def test_the_text_is_the_first_string_of_three(data: Any, text: str | None, derive: Derive) -> None:
    """``text``, ``body`` or ``message``; data that is a string is its own text; data is kept."""
    assert message(derive({"type": "t", "data": data})).content == Generic("t", text, data)


def test_data_may_be_missing(derive: Derive) -> None:
    """A type alone is a message."""
    assert message(derive({"type": "ping"})).content == Generic("ping")


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        ("2026-11-22T10:00:00+02:00", datetime(2026, 11, 22, 8, tzinfo=UTC)),
        ("2026-11-22T10:00:00", datetime(2026, 11, 22, 10, tzinfo=UTC)),
        ("2026-11-22", datetime(2026, 11, 22, tzinfo=UTC)),
        (1795341600, datetime.fromtimestamp(1795341600, UTC)),
        ("1795341600", datetime.fromtimestamp(1795341600, UTC)),
        ("0001-01-01T00:00:00+23:59", None),
        ("9999-12-31T23:59:59-23:59", None),
        ("0999-12-31T00:00:00Z", None),
        ("yesterday", None),
        ("2026-13-01T00:00:00Z", None),
        (2**62, None),
        (-1, None),
        (1.5, None),
        (True, None),
        ({}, None),
        (None, None),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_time_that_makes_no_sense_is_no_time(
    timestamp: Any, expected: datetime | None, derive: Derive
) -> None:
    """ISO 8601, in UTC where it does not say, or seconds; anything else is none."""
    assert message(derive({"type": "t", "timestamp": timestamp})).sent_at == expected


@pytest.mark.parametrize("direction", ["inbound", "Outbound", True, None, {}])
def test_only_outbound_is_outbound(direction: Any, derive: Derive) -> None:
    """Any other direction is a message to us."""
    payload = {"type": "t", "data": {"direction": direction}}
    assert message(derive(payload)).direction == "inbound"


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ([], "not an object"),
        ("type", "not an object"),
        (None, "not an object"),
        ({}, "no type"),
        ({"type": ""}, "no type"),
        ({"type": 7, "data": {}}, "no type"),
    ],
)
def test_authentic_json_of_another_shape_waits_in_the_log(
    payload: Any, reason: str, derive: Derive
) -> None:
    """One ``webhook.unparsed``; the raw webhook beside it has everything."""
    assert derive(payload).event == WebhookUnparsed("standard", reason, "$")


@pytest.mark.parametrize("body", [b"", b"hello", b"<xml/>", b"a=1&b=2", b"\xff\xfe", b"{"])
def test_authentic_content_that_is_not_json_waits_in_the_log(body: bytes, derive: Derive) -> None:
    """The specification allows any content."""
    event = derive(body).event
    assert isinstance(event, WebhookUnparsed)
    assert event.reason.startswith("not strict JSON")


def test_the_same_id_with_another_body_has_the_same_key(derive: Derive) -> None:
    """The first message stands (G2); the raw webhook is kept, for it is other bytes."""
    bodies = [b'{"type":"a"}', b'{"type":"b"}']
    assert derive(bodies[0]).key == derive(bodies[1]).key
    raws = [standard.parse(Request("shop", {"webhook-id": "m"}, body, 0))[0] for body in bodies]
    assert raws[0].key != raws[1].key


def test_the_delivery_id_and_time_are_kept_and_the_signature_is_not() -> None:
    """What was signed stays provable; what authenticates does not go into the log."""
    request = Request("shop", {**HEADERS, "authorization": "Bearer x", "cookie": "y"}, BODY, 0)
    assert standard.parse(request)[0].event == WebhookReceived(
        "standard",
        BODY,
        {
            "content-type": "application/json",
            "webhook-id": "msg_2mFcXnnBgxY",
            "webhook-timestamp": str(NOW_S),
        },
    )
