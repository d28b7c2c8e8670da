"""WhatsApp messages beyond the recordings: rare shapes, future ones, and hostile ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from eventstore.draft import Draft
from eventstore.events import (
    Contacts,
    Content,
    Event,
    Location,
    Media,
    MessageEdited,
    MessageReceived,
    MessageRevoked,
    Notice,
    Order,
    OrderItem,
    ProviderError,
    Reaction,
    Reply,
    SharedContact,
    Text,
    Unsupported,
    WebhookUnparsed,
)

Derive = Callable[..., Event]


@pytest.fixture
def derive(
    parse: Callable[..., list[Draft]], whatsapp_body: Callable[..., bytes]
) -> Callable[..., Event]:
    """The one event of one message; members given as None are left out."""

    def run(**members: Any) -> Event:
        usual = {"from": "5500955500000", "id": "wamid.1", "timestamp": "1700000000"}
        message = {k: v for k, v in {**usual, **members}.items() if v is not None}
        [draft] = parse("whatsapp", whatsapp_body({"messages": [message]}))
        return draft.event

    return run


def content(event: Event) -> Content:
    """What a message says."""
    assert isinstance(event, MessageReceived)
    return event.content


UNUSUAL: list[tuple[dict[str, Any], Content]] = [
    ({"type": "text", "text": {"body": " \n"}}, Text(" \n")),
    ({"type": "text", "text": {"body": "a\x00b\u2028<b>"}}, Text("a\x00b\u2028<b>")),
    ({"type": "image", "image": {}}, Media("image")),
    ({"type": "image", "image": {"id": 7, "caption": ["x"], "url": ""}}, Media("image")),
    ({"type": "audio", "audio": {"id": "1", "voice": "true"}}, Media("audio", "1")),
    (
        {"type": "location", "location": {"latitude": -23, "longitude": "-46.63", "name": 5}},
        Location(-23.0, -46.63),
    ),
    (
        {"type": "contacts", "contacts": [{"name": {"first_name": "Ana"}}, {}]},
        Contacts((SharedContact("Ana"), SharedContact(""))),
    ),
    (
        {"type": "contacts", "contacts": [{"phones": [{"wa_id": "55"}, {"phone": 5}, 7]}]},
        Contacts((SharedContact("", ("55",)),)),
    ),
    (
        {
            "type": "order",
            "order": {"product_items": [{"product_retailer_id": "A", "quantity": "2"}]},
        },
        Order(None, (OrderItem("A", 2.0),)),
    ),
    (
        {"type": "order", "order": {"catalog_id": "c", "text": "soon, please"}},
        Order("c", (), "soon, please"),
    ),
    ({"type": "reaction", "reaction": {"message_id": "m", "emoji": None}}, Reaction("m", None)),
    ({"type": "button", "button": {}}, Reply("button")),
    (
        {"type": "interactive", "interactive": {"type": "nfm_reply", "nfm_reply": {}}},
        Reply("form"),
    ),
    (
        {"type": "interactive", "interactive": {"type": "hologram", "hologram": {}}},
        Unsupported("interactive hologram"),
    ),
    ({"type": "system", "system": {}}, Notice("system")),
    ({"type": "request_welcome"}, Unsupported("request_welcome")),
    ({"type": "unknown"}, Unsupported("unknown")),
    ({"type": "unsupported", "unsupported": {"type": 4}}, Unsupported("unsupported")),
    ({"type": "from_the_future", "from_the_future": {"x": 1}}, Unsupported("from_the_future")),
    ({"type": "errors", "errors": "none"}, Unsupported("errors")),
    (
        {"type": "image", "errors": [{"code": 131052, "title": "Media download error"}]},
        Unsupported("image", (ProviderError(131052, "Media download error"),)),
    ),
    (
        {"type": "unknown", "errors": [{"code": "x", "title": 1, "message": "m"}, 3]},
        Unsupported("unknown", (ProviderError(detail="m"),)),
    ),
]


@pytest.mark.parametrize(("members", "expected"), UNUSUAL, ids=lambda value: repr(value)[:60])
def test_an_unusual_message_is_shown_as_well_as_it_can_be(
    members: dict[str, Any], expected: Content, derive: Derive
) -> None:
    """What a message can do without may be absent or of any type; a new type keeps its name."""
    assert content(derive(**members)) == expected


MALFORMED: list[tuple[dict[str, Any], str]] = [
    ({"type": None, "text": {"body": "x"}}, "type: no text"),
    ({"type": 7}, "type: no text"),
    ({"type": ["text"]}, "type: no text"),
    ({"type": "text", "id": None, "text": {"body": "x"}}, "id: no text"),
    ({"type": "text", "id": "", "text": {"body": "x"}}, "id: no text"),
    ({"type": "text", "id": 5, "text": {"body": "x"}}, "id: no text"),
    ({"type": "text", "from": None, "text": {"body": "x"}}, "from: nobody is named"),
    ({"type": "text", "from": 55, "text": {"body": "x"}}, "from: nobody is named"),
    ({"type": "text"}, "text: not an object"),
    ({"type": "text", "text": "x"}, "text: not an object"),
    ({"type": "text", "text": {}}, "text.body: no text"),
    ({"type": "text", "text": {"body": ""}}, "text.body: no text"),
    ({"type": "text", "text": {"body": {"x": 1}}}, "text.body: no text"),
    ({"type": "image"}, "image: not an object"),
    ({"type": "image", "image": [1]}, "image: not an object"),
    ({"type": "location", "location": {"latitude": 1}}, "location.longitude: no number"),
    (
        {"type": "location", "location": {"latitude": True, "longitude": 1}},
        "location.latitude: no number",
    ),
    (
        {"type": "location", "location": {"latitude": "1e5", "longitude": 1}},
        "location.latitude: no number",
    ),
    ({"type": "contacts"}, "contacts: no contacts"),
    ({"type": "contacts", "contacts": {"name": "x"}}, "contacts: not a list"),
    ({"type": "contacts", "contacts": ["x"]}, "contacts[0]: not an object"),
    ({"type": "order", "order": {"product_items": {}}}, "order.product_items: not a list"),
    (
        {"type": "order", "order": {"product_items": [{"quantity": 1}]}},
        "order.product_items[0].product_retailer_id: no text",
    ),
    (
        {"type": "order", "order": {"product_items": [{"product_retailer_id": "A"}]}},
        "order.product_items[0].quantity: no number",
    ),
    ({"type": "reaction", "reaction": {"emoji": "x"}}, "reaction.message_id: no text"),
    ({"type": "interactive"}, "interactive: not an object"),
    ({"type": "interactive", "interactive": {}}, "interactive.type: no text"),
    (
        {"type": "interactive", "interactive": {"type": "list_reply"}},
        "interactive.list_reply: not an object",
    ),
    ({"type": "button"}, "button: not an object"),
    ({"type": "system", "system": 1}, "system: not an object"),
    ({"type": "edit", "edit": {"message": {}}}, "edit.original_message_id: no text"),
    ({"type": "edit", "edit": {"original_message_id": "m"}}, "edit.message: not an object"),
    (
        {"type": "edit", "edit": {"original_message_id": "m", "message": {"type": "text"}}},
        "edit.message.text: not an object",
    ),
    ({"type": "revoke"}, "revoke: not an object"),
    ({"type": "revoke", "revoke": {}}, "revoke.original_message_id: no text"),
]


@pytest.mark.parametrize(("members", "reason"), MALFORMED, ids=lambda value: repr(value)[:60])
def test_a_message_without_what_it_is_about_waits_in_the_log(
    members: dict[str, Any], reason: str, derive: Derive
) -> None:
    """It is ``webhook.unparsed`` with the message's JSON path; the reason names the very spot."""
    assert derive(**members) == WebhookUnparsed(
        "whatsapp", reason, "$.entry[0].changes[0].value.messages[0]"
    )


TEXT: dict[str, Any] = {"type": "text", "text": {"body": "x"}}


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        ("1700000000", datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        (1700000000, datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        ("0", datetime(1970, 1, 1, tzinfo=UTC)),
        ("253402300799", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("253402300800", None),
        ("-1", None),
        (-1, None),
        (2**62, None),
        ("9" * 5000, None),
        ("1700000000.5", None),
        (1700000000.5, None),
        ("\u0660\u0661", None),
        (" 1700000000", None),
        ("1700000000\n", None),
        ("", None),
        (True, None),
        ({"seconds": 1}, None),
        (None, None),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_time_that_makes_no_sense_is_no_time(
    timestamp: Any, expected: datetime | None, derive: Derive
) -> None:
    """The provider's clock may be absent or wrong; the message counts all the same."""
    event = derive(**TEXT, timestamp=timestamp)
    assert isinstance(event, MessageReceived)
    assert event.sent_at == expected


@pytest.mark.parametrize(
    ("context", "reply_to", "forwarded"),
    [
        ({"id": "wamid.0", "from": "x"}, "wamid.0", False),
        ({"id": "wamid.0", "forwarded": True}, "wamid.0", True),
        ({"frequently_forwarded": True}, None, True),
        ({"forwarded": "yes", "frequently_forwarded": 1, "id": ""}, None, False),
        ({"id": {"$ne": None}}, None, False),
        ([], None, False),
        ("wamid.0", None, False),
        (None, None, False),
    ],
)
def test_context_tells_of_replies_and_forwards(
    context: Any, reply_to: str | None, forwarded: bool, derive: Derive
) -> None:
    """Only a text id is a reply, only ``true`` is forwarded; anything else is neither."""
    event = derive(**TEXT, context=context)
    assert isinstance(event, MessageReceived)
    assert (event.reply_to, event.forwarded) == (reply_to, forwarded)


@pytest.mark.parametrize("referral", ["ad", [1], 7, {}])
def test_a_referral_that_is_no_object_is_none(referral: Any, derive: Derive) -> None:
    """What brought the contact here is kept where it is an object that says something."""
    event = derive(**TEXT, referral=referral)
    assert isinstance(event, MessageReceived)
    assert event.referral is None


def test_an_edit_names_the_original_and_brings_any_content(derive: Derive) -> None:
    """An edit to a type we do not know is an edit all the same."""
    edit = {"original_message_id": "wamid.0", "message": {"type": "poll"}}
    at = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    event = derive(type="edit", edit=edit)
    assert event == MessageEdited("wamid.0", Unsupported("poll"), at)


def test_a_revocation_names_the_original(derive: Derive) -> None:
    """Its own id is only its idempotency key."""
    event = derive(type="revoke", revoke={"original_message_id": "wamid.0"}, timestamp=None)
    assert event == MessageRevoked("wamid.0")


def test_a_long_id_is_an_id(derive: Derive) -> None:
    """Ids of any length are kept whole: nothing of a message's own goes into the event's header."""
    event = derive(**TEXT | {"id": "w" * 100_000, "from": "5\n" * 10_000})
    assert isinstance(event, MessageReceived)
    assert len(event.message_id) == 100_000
    assert len(event.contact.id) == 20_000
