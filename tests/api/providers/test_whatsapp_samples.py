"""Every recorded or made WhatsApp payload, and exactly what is derived from it."""

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

FOLDERS = {
    folder: sorted((Path(__file__).parents[2] / "samples" / folder).glob("*.json"))
    for folder in ("whatsapp", "whatsapp_made")
}
SAMPLES = {
    f"{file.stem}.{case}": json.dumps(payload).encode()
    for files in FOLDERS.values()
    for file in files
    for case, payload in json.loads(file.read_text()).items()
}

USER_ID, WA_ID = "US.13491208655302741918", "972987654321"
TEST_NAME = Contact(id=USER_ID, name="Test Name", phone=WA_ID)

# Of the payloads of our own.
LIA_ID, LIA_WA_ID = "BR.7000000000000000001", "5500955507001"
LIA = Contact(id=LIA_ID, name="Lia Prado", phone=LIA_WA_ID, username="lia.prado")

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


def chosen(time: int, reply: Reply, id_: str, **more: Any) -> Derived:
    """Lia's answer to an interactive message, in a payload of our own."""
    event = MessageReceived(id_, LIA, reply, sent_at=at(time), **more)
    return [alias(LIA_ID, LIA_WA_ID), (LIA_ID, event)]


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
    # In these two the message's number is not the contact's: nothing of the contact is taken.
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
    "choices.row_of_a_list": chosen(
        1767268800,
        Reply("list_reply", choice_id="table-7", title="Mesa na varanda"),
        "wamid.made-choice-1",
        reply_to="wamid.made-offer-1",
    ),
    "choices.described_row": chosen(
        1767268860,
        Reply(
            "list_reply",
            choice_id="table-9",
            title="Mesa no salão",
            description="Seis lugares, perto do piano",
        ),
        "wamid.made-choice-2",
    ),
    "choices.form_filled_in": chosen(
        1767268920,
        Reply(
            "form",
            title="Reserva enviada",
            form='{"guests": 6, "when": "20:00", "flow_token": "made-token"}',
        ),
        "wamid.made-choice-3",
        reply_to="wamid.made-offer-2",
    ),
    "choices.form_left_empty": chosen(
        1767268980, Reply("form", title="Nada a dizer", form="{}"), "wamid.made-choice-4"
    ),
    "echoes.written_on_the_phone": [
        alias(LIA_ID, LIA_WA_ID),
        (
            LIA_ID,
            MessageReceived(
                "wamid.made-echo-1",
                Contact(id=LIA_ID, phone=LIA_WA_ID),
                Text("Sua mesa está pronta às oito."),
                "outbound",
                at(1767265200),
            ),
        ),
    ],
    "echoes.to_a_hidden_number": [
        (
            "BR.7000000000000000005",
            MessageReceived(
                "wamid.made-echo-2",
                Contact(id="BR.7000000000000000005", name="Nina"),
                media(
                    "audio",
                    media_id="710000000000000001",
                    mime_type="audio/ogg",
                    sha256="Zm9yIHRlc3Rz",
                    voice=True,
                ),
                "outbound",
                at(1767265260),
            ),
        )
    ],
    "echoes.corrected": [
        (
            "5500955507006",
            MessageEdited(
                "wamid.made-echo-0", Text("Sua mesa está pronta às nove."), at(1767265320)
            ),
        )
    ],
    "echoes.taken_back": [
        alias(LIA_ID, LIA_WA_ID),
        (LIA_ID, MessageRevoked("wamid.made-echo-1", at(1767265380))),
    ],
    "notices.moved_to_another_number": [
        (
            "5500955507002",
            MessageReceived(
                "wamid.made-notice-1",
                Contact(id="5500955507002", phone="5500955507002"),
                Notice("user_changed_number", "5500955507002 now writes from 5500955507003"),
                sent_at=at(1767261600),
            ),
        ),
        (
            "5500955507003",
            ContactAliased(conversation_id("shop", "5500955507002"), "changed_number"),
        ),
    ],
    "notices.identity_not_the_same": [
        (
            "5500955507004",
            MessageReceived(
                "wamid.made-notice-2",
                Contact(id="5500955507004", name="Otto Reis", phone="5500955507004"),
                Notice("customer_identity_changed", "Otto's security code is new"),
                sent_at=at(1767261660),
            ),
        )
    ],
    "other_fields.account": not_derived("account_update"),
    "other_fields.call": not_derived("calls"),
    "other_fields.template": not_derived("message_template_status_update"),
    # Messages of long ago are not news, although they look like it.
    "other_fields.past_messages": not_derived("history"),
}


def test_every_sample_has_an_expectation() -> None:
    """A payload added to either folder without saying what it must give is tested for nothing."""
    assert set(EXPECTED) == set(SAMPLES)
    counts = {
        folder: sum(len(json.loads(file.read_text())) for file in files)
        for folder, files in FOLDERS.items()
    }
    # An empty folder would pass unseen, and so would a case that hides another of its name.
    assert counts["whatsapp"] >= 35
    assert counts["whatsapp_made"] >= 14
    assert sum(counts.values()) == len(SAMPLES)


@pytest.mark.parametrize("case", SAMPLES)
def test_a_sample_gives_exactly_these_events(case: str, parse: Callable[..., list[Draft]]) -> None:
    """Events, their order and their conversations, field by field."""
    drafts = parse("whatsapp", SAMPLES[case])
    assert [(draft.conversation, draft.event) for draft in drafts] == [
        (contact_key and conversation_id("shop", contact_key), event)
        for contact_key, event in EXPECTED[case]
    ]


@pytest.mark.parametrize("case", SAMPLES)
def test_a_sample_survives_the_log(case: str, parse: Callable[..., list[Draft]]) -> None:
    """What is stored is read back equal."""
    for draft in parse("whatsapp", SAMPLES[case]):
        data = codec.encode(draft.event)
        assert codec.decode(draft.event.type, draft.event.version, data) == draft.event


def test_a_message_is_keyed_by_its_id_alone(parse: Callable[..., list[Draft]]) -> None:
    """Delivered again in another batch, or as an edit's own id, it is one event (G2)."""
    key = parse("whatsapp", SAMPLES["message.reply"])[-1].key
    assert key == idempotency_key("shop", "message", "wamid.xyzxyz")
    edit = parse("whatsapp", SAMPLES["echoes.corrected"])[-1].key
    assert edit == idempotency_key("shop", "message", "wamid.made-echo-3")


def test_a_report_is_keyed_by_id_status_and_time(parse: Callable[..., list[Draft]]) -> None:
    """Sent, delivered and read of one message are three events, each of them recorded once."""
    keys = [
        parse("whatsapp", SAMPLES[f"message_status.{word}"])[-1].key for word in ("sent", "read")
    ]
    assert keys == [
        idempotency_key("shop", "status", "wamid.xyzxyz", "sent", "1698266945"),
        idempotency_key("shop", "status", "wamid.xyzxyz", "read", "1689380458"),
    ]
