"""The raw webhook comes first, whole, whatever is or is not made of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.providers import PROVIDERS, Request, whatsapp
from api.providers.drafting import record
from eventstore import codec
from eventstore.draft import Draft, idempotency_key
from eventstore.events import WebhookReceived, WebhookUnparsed

NOT_STRICT = {
    "empty": b"",
    "bad UTF-8": b'{"type":"\xff"}',
    "NaN": b'{"type":"t","data":NaN}',
    "equal keys": b'{"type":"a","type":"b"}',
    "lone surrogate": b'{"type":"\\ud800"}',
    "depth 65": b'{"type":"t","data":' + b"[" * 64 + b"]" * 64 + b"}",
    "depth 100,000": b'{"type":"t","data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a large integer": b'{"type":"t","data":9223372036854775808}',
    "overflow": b'{"type":"t","data":1e999}',
}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("body", NOT_STRICT.values(), ids=NOT_STRICT)
def test_a_body_that_is_not_strict_json_is_stored_raw_and_marked(
    body: bytes, provider: str
) -> None:
    """Two drafts: the bytes as they came, and that nothing was made of them."""
    received, unparsed = PROVIDERS[provider].parse(Request("shop", {}, body, 0))
    assert received.event == WebhookReceived(provider, body)
    assert isinstance(unparsed.event, WebhookUnparsed)
    assert unparsed.event.reason.startswith("not strict JSON: ")
    assert (unparsed.event.path, unparsed.cause) == ("$", 0)


def test_a_bug_of_ours_loses_nothing_and_is_in_the_log() -> None:
    """A parser that raises must not become a 5xx: the provider would repeat, then drop it."""

    def broken(_: Request, __: Any) -> list[Draft]:
        raise ZeroDivisionError("with somebody's data in it")

    received, unparsed = record(Request("shop", {}, b"{}", 0), "whatsapp", broken, kept_headers=())
    assert received.event == WebhookReceived("whatsapp", b"{}")
    assert unparsed.event == WebhookUnparsed("whatsapp", "unexpected ZeroDivisionError", "$")


def test_a_raw_webhook_is_keyed_by_inbox_delivery_and_bytes() -> None:
    """A repeat is one event; another byte, inbox or delivery id is another."""

    def key(inbox: str, body: bytes, headers: dict[str, str]) -> bytes | None:
        return PROVIDERS["standard"].parse(Request(inbox, headers, body, 0))[0].key

    once = key("shop", b"{}", {"webhook-id": "1"})
    assert key("shop", b"{}", {"webhook-id": "1", "webhook-timestamp": "5"}) == once
    others = [
        key("shop", b"{} ", {"webhook-id": "1"}),
        key("shop", b"{}", {"webhook-id": "2"}),
        key("shop", b"{}", {}),
        key("desk", b"{}", {"webhook-id": "1"}),
    ]
    assert len({once, *others}) == 5


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    "body",
    [
        b"not JSON",
        b'{"type":"t"}',
        json.dumps(
            {
                "object": "whatsapp_business_account",
                "entry": [
                    {
                        "changes": [
                            {
                                "field": "messages",
                                "value": {
                                    "messages": [
                                        {
                                            "from": "5500955500001",
                                            "from_user_id": "BR.1",
                                            "id": "w",
                                            "type": "unknown",
                                        },
                                        7,
                                    ],
                                    "statuses": [
                                        {"id": "w", "status": "read", "recipient_id": "1"}
                                    ],
                                },
                            }
                        ]
                    }
                ],
            }
        ).encode(),
    ],
    ids=["not JSON", "standard", "whatsapp"],
)
def test_no_key_or_conversation_is_shared_between_inboxes(provider: str, body: bytes) -> None:
    """The same bytes on two inboxes are two sets of events (security row 7)."""
    drafts = [PROVIDERS[provider].parse(Request(inbox, {}, body, 0)) for inbox in ("a", "b")]
    ours, theirs = ({draft.key for draft in each} for each in drafts)
    assert len(ours) == len(drafts[0])
    assert None not in ours
    assert not ours & theirs
    conversations = [{d.conversation for d in each if d.conversation} for each in drafts]
    assert not conversations[0] & conversations[1]


def test_a_kept_header_may_hold_anything() -> None:
    """Latin-1, lone surrogates, NUL: it is stored, and the append does not fail over it."""
    headers = {"content-type": "t\udcff\x00é", "x-hub-signature-256": "sha256=0", "cookie": "c"}
    [received, *_] = whatsapp.parse(Request("shop", headers, b"{}", 0))
    assert received.event == WebhookReceived("whatsapp", b"{}", {"content-type": "t?\x00é"})
    data = codec.encode(received.event)
    assert codec.decode("webhook.received", 1, data) == received.event


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(body=st.binary())
def test_arbitrary_bytes_are_stored_as_they_are(body: bytes) -> None:
    """Neither provider raises or changes a byte of what was verified (G5)."""
    for provider in PROVIDERS.values():
        received, *_ = provider.parse(Request("shop", {}, body, 0))
        data = codec.encode(received.event)
        stored = codec.decode("webhook.received", 1, data)
        assert isinstance(stored, WebhookReceived)
        assert stored.body == body


def test_a_part_not_understood_is_keyed_by_its_place() -> None:
    """Inbox, body and JSON path."""
    request = Request("shop", {}, b"[]", 0)
    [_, unparsed] = whatsapp.parse(request)
    assert unparsed.key == idempotency_key("shop", "unparsed", request.body_digest, "$")
