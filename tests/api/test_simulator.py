"""The simulator: its bodies are what the providers' parsers expect, and one seed is one history."""

from __future__ import annotations

import re
from collections import Counter
from random import Random

import orjson
import pytest

from api.providers import PROVIDERS, Request
from api.simulated_cast import CAST
from api.simulator import PLAYS, Simulator
from eventstore.draft import Draft
from eventstore.events import (
    Location,
    Media,
    MessageReceived,
    MessageStatusChanged,
    Reaction,
    Text,
)

NOW_S = 1_800_000_000
BODIES = 600


def history(provider: str, seed: int) -> list[bytes]:
    """The first bodies of a seed."""
    simulator = Simulator(Random(seed), provider)
    return [simulator.next(NOW_S + second) for second in range(BODIES)]


def parsed(provider: str, body: bytes) -> list[Draft]:
    """The drafts a webhook with this body gives."""
    return PROVIDERS[provider].parse(Request("shop", {}, body, NOW_S * 1_000_000))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_provider_can_be_simulated_and_is_understood(provider: str) -> None:
    """Each body gives the raw webhook and at least one message event, and nothing unparsed."""
    for body in history(provider, seed=1):
        received, *derived = parsed(provider, body)
        assert received.event.type == "webhook.received"
        assert {draft.event.type.split(".")[0] for draft in derived} <= {"message", "contact"}
        assert any(draft.event.type.startswith("message.") for draft in derived)


@pytest.mark.parametrize("provider", PLAYS)
def test_one_seed_is_one_history(provider: str) -> None:
    """Equal seeds give equal bytes, others do not."""
    assert history(provider, seed=1) == history(provider, seed=1)
    assert history(provider, seed=1) != history(provider, seed=2)


@pytest.mark.parametrize("provider", PLAYS)
def test_every_message_and_report_has_an_id_of_its_own(provider: str) -> None:
    """No two bodies share an idempotency key: each POST is something new."""
    keys = [
        draft.key
        for body in history(provider, seed=1)
        for draft in parsed(provider, body)
        if draft.event.type.startswith("message.")
    ]
    assert len(set(keys)) == len(keys) >= BODIES


def test_a_whatsapp_account_is_lively() -> None:
    """Texts, images, places, reactions, replies, answers and all three reports appear."""
    events = [draft.event for body in history("whatsapp", 1) for draft in parsed("whatsapp", body)]
    messages = [event for event in events if isinstance(event, MessageReceived)]
    assert {type(message.content) for message in messages} == {Text, Media, Location, Reaction}
    assert {message.direction for message in messages} == {"inbound", "outbound"}
    assert any(message.reply_to for message in messages)
    reports = Counter(e.status for e in events if isinstance(e, MessageStatusChanged))
    assert set(reports) == {"sent", "delivered", "read"}


def test_a_report_reaction_or_reply_is_about_an_answer_already_sent() -> None:
    """Nothing refers to a message the inbox has not seen, and reports climb one by one."""
    answered: dict[str, list[str]] = {}
    for body in history("whatsapp", 1):
        event = parsed("whatsapp", body)[-1].event
        if isinstance(event, MessageStatusChanged):
            answered[event.message_id].append(event.status)
        elif isinstance(event, MessageReceived):
            if event.direction == "outbound":
                answered[event.message_id] = []
            if isinstance(event.content, Reaction):
                assert event.content.message_id in answered
            assert event.reply_to is None or event.reply_to in answered
    for reports in answered.values():
        assert reports == ["sent", "delivered", "read"][: len(reports)]


def test_nobody_in_the_cast_can_be_telephoned() -> None:
    """Numbers lie in area code 00 of Brazil or in 555-01xx, and each id is one person's."""
    for actor in CAST:
        assert re.fullmatch(r"55009\d{8}|120255501\d{2}", actor.wa_id)
    assert (
        len({actor.wa_id for actor in CAST}) == len({actor.user_id for actor in CAST}) == len(CAST)
    )


def test_the_cast_is_the_same_in_every_history() -> None:
    """A second demo on the same folder goes on with the same conversations."""
    conversations = [
        {
            draft.conversation
            for body in history("whatsapp", seed)
            for draft in parsed("whatsapp", body)
        }
        for seed in (1, 2)
    ]
    assert conversations[0] == conversations[1]


def test_the_moment_is_the_callers() -> None:
    """``now_s`` is the message's own time."""
    event = parsed("whatsapp", Simulator(Random(1), "whatsapp").next(NOW_S))[-1].event
    assert isinstance(event, MessageReceived)
    assert event.sent_at is not None
    assert event.sent_at.timestamp() == NOW_S


def test_a_body_is_plain_ascii_json() -> None:
    """Everything else is escaped, as WhatsApp has it on the wire."""
    body = b"".join(history("whatsapp", 1))
    assert body.isascii()
    assert b"\\ud83d" in body
    assert orjson.loads(history("whatsapp", 1)[0])["object"] == "whatsapp_business_account"
