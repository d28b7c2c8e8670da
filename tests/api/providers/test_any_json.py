"""Arbitrary JSON in the place of any part of a valid payload: parse never raises, loses nothing."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.providers import PROVIDERS, Request
from eventstore import codec
from eventstore.draft import Draft
from eventstore.events import MessageReceived, WebhookReceived, WebhookUnparsed

SAMPLES = [
    payload
    for file in sorted((Path(__file__).parents[2] / "samples").rglob("*.json"))
    for payload in (
        json.loads(file.read_text()).values()
        if file.parent.name in ("whatsapp", "whatsapp_made")
        else [json.loads(file.read_text())]
    )
]
STANDARD: dict[str, Any] = {
    "type": "order.paid",
    "timestamp": "2026-11-22T10:00:00Z",
    "data": {
        "text": "paid",
        "contact": {"id": "c", "name": "Ana", "phone": "+55", "username": "ana"},
        "from": "f",
        "direction": "outbound",
        "reply_to": "m",
    },
}
# Names the parsers look for, so that a graft has a chance to be taken for something.
_NAMES = """
    id from type text body context errors code timestamp contact name status emoji data messages
    statuses contacts wa_id user_id profile group_id referral edit revoke system interactive order
    recipient_type from_user_id message field value changes entry object message_echoes
"""
NAMES = st.sampled_from(_NAMES.split())
STRINGS = st.text(st.characters(exclude_categories=["Cs"])) | NAMES | st.just("9" * 300)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | STRINGS
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | STRINGS, inner, max_size=3),
    max_leaves=8,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values within a JSON value, itself included."""
    members = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [path, *(place for key, inner in members for place in places(inner, (*path, key)))]


def grafted(value: Any, path: tuple[Any, ...], graft: Any) -> Any:
    """The value with ``graft`` at the path."""
    if not path:
        return graft
    value = copy.deepcopy(value)
    parent = value
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = graft
    return value


@st.composite
def mutilated(draw: st.DrawFn) -> bytes:
    """A valid payload of either provider with up to three parts replaced."""
    payload = draw(st.sampled_from([*SAMPLES, STANDARD]))
    for _ in range(draw(st.integers(1, 3))):
        payload = grafted(payload, draw(st.sampled_from(places(payload))), draw(VALUES))
    return json.dumps(payload, ensure_ascii=draw(st.booleans())).encode()


def checked(provider: str, body: bytes) -> list[Draft]:
    """The drafts, of which everything that must always hold is asserted."""
    request = Request("shop", {"webhook-id": "msg_1"}, body, 0, "request-1")
    drafts = PROVIDERS[provider].parse(request)
    assert drafts == PROVIDERS[provider].parse(request), "not deterministic"

    received, *derived = drafts
    assert isinstance(received.event, WebhookReceived)
    assert received.event.body == body
    assert derived, "an authentic webhook of which nothing is said"
    for draft in derived:
        assert draft.cause == 0
        assert draft.key is not None
        assert (draft.conversation is None) == isinstance(draft.event, WebhookUnparsed)
        if isinstance(draft.event, WebhookUnparsed):
            # A bug would be caught and named so; then this test has found it.
            assert not draft.event.reason.startswith("unexpected")
        if isinstance(draft.event, MessageReceived):
            assert draft.event.message_id
            assert draft.event.contact.id
        data = codec.encode(draft.event)
        assert codec.decode(draft.event.type, draft.event.version, data) == draft.event
    return drafts


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(body=mutilated())
def test_whatever_stands_in_a_payload_parse_stores_the_body_and_says_something(body: bytes) -> None:
    """Both providers, on payloads of their own and of others: never an exception."""
    for provider in PROVIDERS:
        checked(provider, body)


@settings(deadline=None)
@given(value=VALUES)
def test_any_json_at_all_is_stored(value: Any) -> None:
    """Not even the envelope needs to be there."""
    for provider in PROVIDERS:
        checked(provider, json.dumps(value).encode())


@settings(deadline=None)
@given(graft=VALUES, place=st.data())
def test_a_graft_in_one_message_leaves_the_next_alone(graft: Any, place: st.DataObject) -> None:
    """Whatever replaces a part of the first message, the second is derived as if alone."""
    message = {
        "from": "5500955500001",
        "from_user_id": "BR.1",
        "id": "wamid.1",
        "timestamp": "1700000000",
        "type": "image",
        "image": {"id": "1", "caption": "c"},
        "context": {"id": "wamid.0"},
        "errors": [{"code": 1, "error_data": {"details": "d"}}],
        "referral": {"source_url": "u"},
    }
    second = message | {"id": "wamid.2", "from": "5500955500002", "from_user_id": "BR.2"}
    path = place.draw(st.sampled_from(places(message)))
    value = {"messages": [grafted(message, path, graft), second]}
    change = {"field": "messages", "value": value}
    body = {"object": "whatsapp_business_account", "entry": [{"changes": [change]}]}
    last = checked("whatsapp", json.dumps(body).encode())[-1].event
    assert isinstance(last, MessageReceived)
    assert last.message_id == "wamid.2"
    assert last.contact.id == "BR.2"
