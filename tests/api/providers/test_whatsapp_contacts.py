"""Who a WhatsApp message is from or for, and which conversations are one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from api.providers import conversation_id
from eventstore.draft import Draft, idempotency_key
from eventstore.events import Contact, ContactAliased, MessageReceived, WebhookUnparsed

ANA, ANAS_NUMBER = "BR.1000000000000001", "5500955500001"
LISTED = {"wa_id": ANAS_NUMBER, "user_id": ANA, "profile": {"name": "Ana", "username": "ana"}}
TEXT: dict[str, Any] = {"id": "wamid.1", "type": "text", "text": {"body": "x"}}

Derive = Callable[..., list[Draft]]


@pytest.fixture
def derive(parse: Callable[..., list[Draft]], whatsapp_body: Callable[..., bytes]) -> Derive:
    """The drafts of one value."""

    def run(field: str = "messages", **value: Any) -> list[Draft]:
        return parse("whatsapp", whatsapp_body(value, field=field))

    return run


def conversation(key: str) -> str:
    """The conversation with this contact."""
    return conversation_id("shop", key)


def alias_of(draft: Draft) -> tuple[str | None, str, str]:
    """Which conversation takes in which, and why."""
    assert isinstance(draft.event, ContactAliased)
    return draft.conversation, draft.event.alias, draft.event.reason


def contact_of(draft: Draft) -> Contact:
    """Whom the message names."""
    assert isinstance(draft.event, MessageReceived)
    assert draft.conversation == conversation(draft.event.contact.id)
    return draft.event.contact


NAMED: list[tuple[dict[str, Any], list[Any], Contact]] = [
    ({"from": ANAS_NUMBER}, [], Contact(ANAS_NUMBER, phone=ANAS_NUMBER)),
    ({"from_user_id": ANA}, [], Contact(ANA)),
    ({"from_user_id": ANA, "from": ANAS_NUMBER}, [], Contact(ANA, phone=ANAS_NUMBER)),
    ({"from": ANAS_NUMBER}, [LISTED], Contact(ANA, "Ana", ANAS_NUMBER, "ana")),
    ({"from_user_id": ANA}, [LISTED], Contact(ANA, "Ana", ANAS_NUMBER, "ana")),
    ({}, [LISTED], Contact(ANA, "Ana", ANAS_NUMBER, "ana")),
    ({"from": f"+{ANAS_NUMBER}"}, [LISTED], Contact(ANA, "Ana", ANAS_NUMBER, "ana")),
    ({"from": "+55 (00) 95550-0001"}, [LISTED], Contact(ANA, "Ana", ANAS_NUMBER, "ana")),
    ({"from": ANAS_NUMBER}, [{"wa_id": ANAS_NUMBER}], Contact(ANAS_NUMBER, phone=ANAS_NUMBER)),
    (
        {"from": ANAS_NUMBER, "from_user_id": 5},
        [7, LISTED],
        Contact(ANA, "Ana", ANAS_NUMBER, "ana"),
    ),
    (
        {"from": ANAS_NUMBER},
        [{"wa_id": "1", "user_id": "US.1"}, LISTED],
        Contact(ANA, "Ana", ANAS_NUMBER, "ana"),
    ),
    # The number is hidden: only the user id is there.
    ({"from_user_id": ANA}, [LISTED | {"wa_id": ""}], Contact(ANA, "Ana", username="ana")),
    # Somebody else is listed under this number, or nobody we mean.
    (
        {"from": ANAS_NUMBER, "from_user_id": "BR.2"},
        [LISTED],
        Contact("BR.2", phone=ANAS_NUMBER),
    ),
    ({"from": "5500955500002"}, [LISTED], Contact("5500955500002", phone="5500955500002")),
    ({"from": "not a number"}, [], Contact("not a number", phone="not a number")),
    ({"from": ANAS_NUMBER}, [{**LISTED, "profile": []}], Contact(ANA, None, ANAS_NUMBER)),
]


@pytest.mark.parametrize(("sender", "contacts", "expected"), NAMED)
def test_the_most_stable_id_is_the_contacts_key(
    sender: dict[str, Any], contacts: list[Any], expected: Contact, derive: Derive
) -> None:
    """The user id where the payload has one for this sender, else the number's digits."""
    *_, message = derive(contacts=contacts, messages=[TEXT | sender])
    assert contact_of(message) == expected


@pytest.mark.parametrize(
    "contacts",
    [[], [{}], [{"profile": {"name": "Ana"}}], [LISTED, LISTED | {"user_id": "BR.2"}], None, "x"],
)
def test_a_message_of_nobody_waits_in_the_log(contacts: Any, derive: Derive) -> None:
    """No sender, and contacts that do not tell: a guess could put it before the wrong eyes."""
    [draft] = derive(contacts=contacts, messages=[TEXT])
    path = "$.entry[0].changes[0].value.messages[0]"
    assert draft.event == WebhookUnparsed("whatsapp", "from: nobody is named", path)


def test_both_ids_in_one_payload_join_the_two_conversations(derive: Derive) -> None:
    """The conversation by number becomes part of the one by user id, then the message comes."""
    alias, message = derive(contacts=[LISTED], messages=[TEXT | {"from": ANAS_NUMBER}])
    assert alias_of(alias) == (conversation(ANA), conversation(ANAS_NUMBER), "user_id")
    assert message.conversation == conversation(ANA)


def test_the_same_proof_always_has_the_same_key(derive: Derive) -> None:
    """Every payload proves it again, in messages, echoes and reports; the log takes it once."""
    pair = {"user_id": ANA, "wa_id": ANAS_NUMBER}
    proofs = [
        derive(messages=[TEXT | {"from": ANAS_NUMBER, "from_user_id": ANA}])[0],
        derive(contacts=[pair], messages=[TEXT | {"id": "wamid.2", "from_user_id": ANA}])[0],
        derive(
            "smb_message_echoes",
            message_echoes=[TEXT | {"to": f"+{ANAS_NUMBER}", "to_user_id": ANA}],
        )[0],
        derive(
            statuses=[
                {
                    "id": "wamid.3",
                    "status": "read",
                    "recipient_id": ANAS_NUMBER,
                    "recipient_user_id": ANA,
                }
            ]
        )[0],
    ]
    assert len({draft.key for draft in proofs}) == 1
    assert len({draft.event for draft in proofs}) == 1


@pytest.mark.parametrize("sender", [{"from": ANAS_NUMBER}, {"from_user_id": ANA}, {"from": ANA}])
def test_one_id_alone_proves_nothing(sender: dict[str, Any], derive: Derive) -> None:
    """No alias from a payload that shows one id, or one id in both places."""
    assert len(derive(messages=[TEXT | sender])) == 1
    assert len(derive(contacts=[{"wa_id": ANA, "user_id": ANA}], messages=[TEXT | sender])) == 1


def test_a_group_is_one_conversation_of_many_contacts(derive: Derive) -> None:
    """Messages of a group lie together; who wrote each is its contact."""
    senders = ["5500955500001", "5500955500002"]
    drafts = derive(
        messages=[
            TEXT | {"id": f"wamid.{sender}", "from": sender, "group_id": "group-1"}
            for sender in senders
        ],
        statuses=[
            {
                "id": "wamid.9",
                "status": "read",
                "recipient_id": "group-1",
                "recipient_type": "group",
            }
        ],
    )
    assert {draft.conversation for draft in drafts} == {conversation("group-1")}
    contacts = [draft.event.contact.id for draft in drafts[:2] if hasattr(draft.event, "contact")]
    assert contacts == senders


def test_a_report_to_a_group_needs_the_group(derive: Derive) -> None:
    """A participant is not the conversation."""
    report = {
        "id": "w",
        "status": "read",
        "recipient_type": "group",
        "recipient_participant_id": "5",
    }
    [draft] = derive(statuses=[report])
    assert isinstance(draft.event, WebhookUnparsed)
    assert draft.event.reason == "recipient_id: no text"


def test_what_the_business_writes_on_its_phone_is_outbound(derive: Derive) -> None:
    """An echo belongs to the recipient's conversation."""
    echo = TEXT | {"from": "15550783881", "to": f"+{ANAS_NUMBER}"}
    [draft] = derive("smb_message_echoes", message_echoes=[echo])
    assert isinstance(draft.event, MessageReceived)
    assert draft.event.direction == "outbound"
    assert contact_of(draft) == Contact(ANAS_NUMBER, phone=ANAS_NUMBER)


NEW = "5500955500009"
CHANGED = "user_changed_number"


@pytest.mark.parametrize(
    ("sender", "system", "aliases"),
    [
        (
            {"from": ANAS_NUMBER},
            {"type": CHANGED, "wa_id": NEW},
            [(NEW, ANAS_NUMBER, "changed_number")],
        ),
        (
            {"from": ANAS_NUMBER},
            {"type": CHANGED, "wa_id": ANAS_NUMBER, "new_wa_id": f"+{NEW}"},
            [(NEW, ANAS_NUMBER, "changed_number")],
        ),
        (
            {"from": ANAS_NUMBER},
            {"type": "customer_changed_number", "wa_id": NEW},
            [(NEW, ANAS_NUMBER, "changed_number")],
        ),
        (
            {"from": ANAS_NUMBER, "from_user_id": ANA},
            {"type": CHANGED, "wa_id": NEW, "user_id": "BR.2"},
            [
                (ANA, ANAS_NUMBER, "user_id"),
                ("BR.2", NEW, "user_id"),
                ("BR.2", ANA, "changed_number"),
            ],
        ),
        ({"from": ANAS_NUMBER}, {"type": CHANGED, "wa_id": ANAS_NUMBER}, []),
        ({"from": ANAS_NUMBER}, {"type": CHANGED}, []),
        ({"from": ANAS_NUMBER}, {"type": CHANGED, "wa_id": 5}, []),
        ({"from": ANAS_NUMBER}, {"type": "customer_identity_changed", "wa_id": NEW}, []),
    ],
)
def test_a_changed_number_joins_the_old_conversation_to_the_new(
    sender: dict[str, str],
    system: dict[str, Any],
    aliases: list[tuple[str, str, str]],
    derive: Derive,
) -> None:
    """The notice stands in the old conversation, which the new one then takes in."""
    drafts = derive(messages=[{"id": "wamid.1", "type": "system", "system": system} | sender])
    messages = [draft for draft in drafts if isinstance(draft.event, MessageReceived)]
    assert [contact_of(draft).id for draft in messages] == [sender.get("from_user_id", ANAS_NUMBER)]
    assert [alias_of(draft) for draft in drafts if draft not in messages] == [
        (conversation(stays), conversation(goes), reason) for stays, goes, reason in aliases
    ]


def test_an_alias_is_keyed_by_what_it_says(derive: Derive) -> None:
    """Both conversations and the reason: nothing is recorded twice, nothing swallowed."""
    alias, _ = derive(contacts=[LISTED], messages=[TEXT | {"from": ANAS_NUMBER}])
    ids = (conversation(ANA), conversation(ANAS_NUMBER), "user_id")
    assert alias.key == idempotency_key("shop", "alias", *ids)
