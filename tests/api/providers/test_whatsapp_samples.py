"""Every recorded WhatsApp payload, and exactly what is derived from it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest

from api.providers import conversation_id
from eventstore import codec
from eventstore.draft import Draft, idempotency_key
from eventstore.events import (
    Contact,
    ContactAliased,
    Contacts,
    Content,
    Event,
    Location,
    Media,
    MessageEdited,
    MessageReceived,
    MessageRevoked,
    MessageStatusChanged,
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

SAMPLES = {
    f"{file.stem}.{case}": json.dumps(payload).encode()
    for file in sorted((Path(__file__).parents[2] / "samples" / "whatsapp").glob("*.json"))
    for case, payload in json.loads(file.read_text()).items()
}

USER_ID, WA_ID = "US.13491208655302741918", "972987654321"
TEST_NAME = Contact(id=USER_ID, name="Test Name", phone=WA_ID)

Derived = list[tuple[str | None, Event]]
"""(contact key of the conversation, event), in order."""


def at(seconds: int) -> datetime:
    """The moment, as WhatsApp tells it."""
    return datetime.fromtimestamp(seconds, UTC)


def alias(user_id: str = USER_ID, wa_id: str = WA_ID) -> tuple[str, Event]:
    """The proof that both ids are one contact's."""
    return user_id, ContactAliased(conversation_id("shop", wa_id), "user_id")


def message(time: int, content: Content, id_: str = "wamid.xyzxyz", **more: Any) -> Derived:
    """A message of the recordings' usual contact, whose two ids the payload shows."""
    event = MessageReceived(id_, TEST_NAME, content, sent_at=at(time), **more)
    return [alias(), (USER_ID, event)]


def status(word: Literal["sent", "delivered", "read", "played"], time: int) -> Derived:
    """A report on a message to the recordings' usual contact."""
    return [alias(), (USER_ID, MessageStatusChanged("wamid.xyzxyz", word, at(time)))]


def media(kind: Literal["image", "audio", "video", "document", "sticker"], **more: Any) -> Media:
    """A medium under the id most recordings use."""
    return Media(kind, **({"media_id": "1234567890987654321"} | more))


def not_derived(field: str) -> Derived:
    """A change of a field nothing is derived from; the raw webhook has it."""
    path = "$.entry[0].changes[0]"
    return [(None, WebhookUnparsed("whatsapp", f"field {field}", path))]


UNKNOWN_TYPE = (
    ProviderError(131051, "Message type unknown", "Message type is currently not supported."),
)
ACCOUNT_UPDATES = [case for case in SAMPLES if case.startswith("account_update.")]

EXPECTED: dict[str, Derived] = {
    "message.text": message(1697043223, Text("Body Text")),
    "message.image": message(
        1697043379,
        media("image", media_id="65463453", mime_type="image/jpeg", sha256="4654+8g="),
    ),
    "message.media_with_url": message(
        1697043379,
        media(
            "image",
            media_id="65463453",
            mime_type="image/jpeg",
            sha256="4654+8g=",
            url="https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=65463453"
            "&source=webhook&ext=487r9re&hash=heiwchueowbcew-dnedcw",
        ),
    ),
    "message.video": message(
        1697044362,
        media(
            "video",
            media_id="765756756",
            mime_type="video/mp4",
            sha256="Jh+2ij6PzUv/J2y+grrtegr/ZMzRxkEPwc24Oyib4s03w9Jc=",
            caption="caption",
        ),
        forwarded=True,
    ),
    "message.document": message(
        1697043666,
        media(
            "document",
            mime_type="application/pdf",
            sha256="grwfwe/ZPx0wAbdfbdeFUNItPZ0RylL8gGUvdt3YFqc18SY=",
            caption="caption",
            filename="filename.pdf",
        ),
        forwarded=True,
    ),
    "message.audio": message(
        1697043509,
        media(
            "audio",
            mime_type="audio/ogg; codecs=opus",
            sha256="E3dxS/PdYZE7ppA3pQ4mpCFaXBJ8pX4SRN/dsfvds/iPGA=",
        ),
        forwarded=True,
    ),
    "message.voice": message(
        1697043473,
        media(
            "audio",
            mime_type="audio/ogg; codecs=opus",
            sha256="m04pFf2ERdaopTyFkGPA0+bX3i+YY2dYgVFwOgDLSDI=",
            voice=True,
        ),
    ),
    "message.static_sticker": message(
        1697043760,
        media(
            "sticker",
            mime_type="image/webp",
            sha256="OmT4nhjUhCMIPNmj7eeOZeCYjTXkLxoOv85OMCFwSuc=",
        ),
    ),
    "message.animated_sticker": message(
        1697043785,
        media(
            "sticker",
            mime_type="image/webp",
            sha256="HcwyCKrTKXHk0a00ms4HWIA76GY0Du6q4Z/iuwevw=",
            animated=True,
        ),
    ),
    "message.reaction": message(1697044456, Reaction("wamid.yzxyzx=", "😮")),
    "message.unreaction_empty": message(1697044456, Reaction("wamid.yzxyzx=", None)),
    "message.unreaction_no_emoji": message(1697044456, Reaction("wamid.yzxyzx=", None)),
    "message.current_location": message(1697044557, Location(12.25089, 43.90539), forwarded=True),
    "message.chosen_location": message(
        1697044557,
        Location(
            37.4611978,
            -122.2164385,
            "Facebook HQ",
            "1 Hacker Way, Menlo Park, CA 94025",
            "https://maps.google.com/?cid=2000000000000000000",
        ),
        forwarded=True,
    ),
    "message.contacts": message(
        1697044621,
        Contacts(
            (
                SharedContact("Chandler Bing", ("+1 555-555-5555",)),
                SharedContact("Monica", ("+1 666-666-6666",)),
                SharedContact("Rachel Green", ("+1 777-777-7777",)),
            )
        ),
    ),
    "message.order": message(
        1697044668,
        Order(
            "354160437058781",
            (
                OrderItem("HAMBURGER", 3, 30, "ILS"),
                OrderItem("FRENCH_FRIES", 2, 35, "ILS"),
                OrderItem("SODA", 2, 10, "ILS"),
            ),
        ),
    ),
    "message.unsupported": message(1697044706, Unsupported("unsupported", UNKNOWN_TYPE)),
    "message.unsupported_with_type": message(1697044706, Unsupported("pool", UNKNOWN_TYPE)),
    "message.reply": message(1697044746, Text("replied text"), reply_to="wamid.xyzxyz=="),
    "message.forwarded": message(1697044815, Text("forwarded text"), forwarded=True),
    "message.forwarded_many_times": message(
        1697044968, Text("text forwarded many times"), forwarded=True
    ),
    "message.interactive_message_with_err": message(
        1700505494,
        Unsupported(
            "interactive",
            (ProviderError(131000, "Something went wrong", "Unsupported webhook payload"),),
        ),
        "wamid.wegrchytvwcggt=",
        reply_to="wamid.gvwegfretge==",
    ),
    "message.referral": message(
        1697045000,
        Text("BODY"),
        "wamid.ID",
        referral={
            "source_url": "AD_OR_POST_FB_URL",
            "source_id": "ADID",
            "source_type": "ad or post",
            "headline": "AD_TITLE",
            "body": "AD_DESCRIPTION",
            "media_type": "image or video",
            "image_url": "RAW_IMAGE_URL",
            "video_url": "RAW_VIDEO_URL",
            "thumbnail_url": "RAW_THUMBNAIL_URL",
            "ctwa_clid": "CTWA_CLID",
        },
    ),
    "callback_button.button": message(
        1698266730,
        Reply("button_reply", choice_id="callback_data", title="title"),
        reply_to="wamid.xyzxyz",
    ),
    "callback_button.quick_reply": message(
        1698269027,
        Reply("button", choice_id="callback_data", title="title"),
        "wamid.xsidjw",
        reply_to="wamid.xyzxyz==",
    ),
    "callback_button.quick_reply_without_context": message(
        1698269027, Reply("button", choice_id="callback_data", title="title"), "wamid.xsidjx"
    ),
    "callback_selection.callback": message(
        1698266905,
        Reply("list_reply", choice_id="callback_data", title="title"),
        "wamid.zyzxyz",
        reply_to="wamid.xyzxyz",
    ),
    "callback_selection.description": message(
        1698266905,
        Reply("list_reply", choice_id="callback_data", title="title", description="description"),
        "wamid.zyzxyz",
        reply_to="wamid.xyzxyz",
    ),
    "flow_completion.completion": message(
        1702502473,
        Reply(
            "form",
            title="Sent",
            form='{"comment_text":"Comment Text","delivery_rating":"4","flow_token":'
            '"AQAAAAACS5FpgQ_cAAAAAD0QI3s.","purchase_rating":"2","recommend_radio":"0",'
            '"cs_rating":"0"}',
        ),
        "wamid.wegrchytvwcggt==",
        reply_to="wamid.gvwegfretge==",
    ),
    "flow_completion.without_flow_token": message(
        1702502473,
        Reply(
            "form",
            title="Sent",
            form='{"comment_text":"Comment Text","delivery_rating":"4","purchase_rating":"2",'
            '"recommend_radio":"0","cs_rating":"0"}',
        ),
        "wamid.wegrchytvwcggt==",
        reply_to="wamid.gvwegfretge==",
    ),
    # In these three the message's number is not the contact's: nothing of the contact is taken.
    "deleted_message.revoke": [
        (
            "<WHATSAPP_USER_PHONE_NUMBER>",
            MessageRevoked("<ORIGINAL_WHATSAPP_MESSAGE_ID>", at(1697043223)),
        )
    ],
    "edited_message.image": [
        (
            "16505551234",
            MessageEdited(
                "wamid.HBgLMTQxMjU1NTA4MjkVAgASGBQzQUNCNjk5RDUwNUZGMUZEM0VBRAA=",
                media(
                    "image",
                    media_id="1234567890",
                    mime_type="image/jpeg",
                    sha256="a1b2c3d4e5f6...",
                    caption="Updated image caption",
                    url="https://media.example.com/updated-image.jpg",
                ),
                at(1749854575),
            ),
        )
    ],
    "outgoing_message.text": [
        alias("<BSUID>", "<WHATSAPP_USER_PHONE_NUMBER>"),
        (
            "<BSUID>",
            MessageReceived(
                "<WHATSAPP_MESSAGE_ID>",
                Contact(id="<BSUID>", phone="<WHATSAPP_USER_PHONE_NUMBER>"),
                Text("Test message"),
                "outbound",
                at(1697043223),
            ),
        ),
    ],
    "outgoing_message.delete": [("972123456789", MessageRevoked("wamid.zzzzzz", at(1697044968)))],
    "outgoing_message.edit": [
        (
            "972123456789",
            MessageEdited("wamid.zzzzzz", Text("Text was edited"), at(1697044968)),
        )
    ],
    "message_status.sent": status("sent", 1698266945),
    "message_status.delivered": status("delivered", 1698266945),
    "message_status.read": status("read", 1689380458),
    "message_status.played": status("played", 1689380458),
    "message_status.with_tracker": status("sent", 1698266945),
    "message_status.failed": [
        alias(),
        (
            USER_ID,
            MessageStatusChanged(
                "wamid.xyzxyz",
                "failed",
                at(1689380458),
                (
                    ProviderError(
                        130472,
                        "User's number is part of an experiment",
                        "Failed to send message because this user's phone number is part of an"
                        " experiment",
                    ),
                ),
            ),
        ),
    ],
    "message_status.group": [
        alias("US.123456", "<GROUP_PARTICIPANT_USER_PHONE_NUMBER>"),
        (
            "fowefinoewcnw",
            MessageStatusChanged("<WHATSAPP_MESSAGE_ID>", "read", at(1698266945)),
        ),
    ],
    "system.phone_number_change": [
        (
            WA_ID,
            MessageReceived(
                "wamid.xyzxyz==",
                Contact(id=WA_ID, phone=WA_ID),
                Notice("user_changed_number", "User A changed from 972987654321 to 972912345678"),
                sent_at=at(1753851315),
            ),
        ),
        ("972912345678", ContactAliased(conversation_id("shop", WA_ID), "changed_number")),
    ],
    "system.identity_change": [
        (
            WA_ID,
            MessageReceived(
                "wamid.xyzxyz",
                Contact(id=WA_ID, name="User A", phone=WA_ID),
                Notice("customer_identity_changed", "User identity changed"),
                sent_at=at(1697044706),
            ),
        )
    ],
    "call_connect.business_initiated": not_derived("calls"),
    "call_connect.user_initiated": not_derived("calls"),
    "template_status_update.approved": not_derived("message_template_status_update"),
    "template_status_update.rejected": not_derived("message_template_status_update"),
    "user_marketing_preferences.resume": not_derived("user_preferences"),
    "user_marketing_preferences.signup": not_derived("user_preferences"),
    **{case: not_derived("account_update") for case in ACCOUNT_UPDATES},
}


def test_every_recording_has_an_expectation() -> None:
    """A recording added without saying what it must give would be tested for nothing."""
    assert set(EXPECTED) == set(SAMPLES)
    assert len(SAMPLES) > 60


@pytest.mark.parametrize("case", SAMPLES)
def test_a_recording_gives_exactly_these_events(
    case: str, parse: Callable[..., list[Draft]]
) -> None:
    """Events, their order and their conversations, field by field."""
    drafts = parse("whatsapp", SAMPLES[case])
    assert [(draft.conversation, draft.event) for draft in drafts] == [
        (contact_key and conversation_id("shop", contact_key), event)
        for contact_key, event in EXPECTED[case]
    ]


@pytest.mark.parametrize("case", SAMPLES)
def test_a_recording_survives_the_log(case: str, parse: Callable[..., list[Draft]]) -> None:
    """What is stored is read back equal."""
    for draft in parse("whatsapp", SAMPLES[case]):
        data = codec.encode(draft.event)
        assert codec.decode(draft.event.type, draft.event.version, data) == draft.event


def test_a_message_is_keyed_by_its_id_alone(parse: Callable[..., list[Draft]]) -> None:
    """Delivered again in another batch, or as an edit's own id, it is one event (G2)."""
    key = parse("whatsapp", SAMPLES["message.reply"])[-1].key
    assert key == idempotency_key("shop", "message", "wamid.xyzxyz")
    edit = parse("whatsapp", SAMPLES["outgoing_message.edit"])[-1].key
    assert edit == idempotency_key("shop", "message", "wamid.yyyyyy")


def test_a_report_is_keyed_by_id_status_and_time(parse: Callable[..., list[Draft]]) -> None:
    """Sent, delivered and read of one message are three events, each of them recorded once."""
    keys = [
        parse("whatsapp", SAMPLES[f"message_status.{word}"])[-1].key for word in ("sent", "read")
    ]
    assert keys == [
        idempotency_key("shop", "status", "wamid.xyzxyz", "sent", "1698266945"),
        idempotency_key("shop", "status", "wamid.xyzxyz", "read", "1689380458"),
    ]
