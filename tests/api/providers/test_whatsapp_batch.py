"""WhatsApp batches: order, isolation of what is not understood, and reports."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest

from eventstore.draft import Draft, idempotency_key
from eventstore.events import (
    MessageReceived,
    MessageStatusChanged,
    WebhookUnparsed,
)

Parse = Callable[..., list[Draft]]
Body = Callable[..., bytes]


def text(id_: str) -> dict[str, Any]:
    """A message."""
    return {"from": "5500955500001", "id": id_, "type": "text", "text": {"body": "x"}}


def report(id_: str, word: str = "read", timestamp: Any = "1700000000") -> dict[str, Any]:
    """A status."""
    return {"id": id_, "status": word, "timestamp": timestamp, "recipient_id": "5500955500001"}


def outline(drafts: list[Draft]) -> list[str]:
    """One word per draft: a message's or report's id, or the path of what was not understood."""
    words = []
    for draft in drafts:
        match draft.event:
            case MessageReceived(message_id=id_) | MessageStatusChanged(message_id=id_):
                words.append(id_)
            case WebhookUnparsed(path=path):
                words.append(str(path))
    return words


def test_a_batch_keeps_the_order_of_its_updates(parse: Parse, whatsapp_body: Body) -> None:
    """Across changes, across lists and within them, as the payload has it."""
    body = whatsapp_body(
        {"statuses": [report("a"), report("b")], "messages": [text("c"), text("d")]},
        {"messages": [text("e")], "statuses": [report("f")]},
    )
    assert outline(parse("whatsapp", body)) == ["a", "b", "c", "d", "e", "f"]


def test_a_thousand_updates_are_a_thousand_events(parse: Parse, whatsapp_body: Body) -> None:
    """The largest batch Meta sends is one append."""
    body = whatsapp_body({"messages": [text(f"m{number}") for number in range(1000)]})
    drafts = parse("whatsapp", body)
    assert outline(drafts) == [f"m{number}" for number in range(1000)]
    assert len({draft.key for draft in drafts}) == 1000


def test_a_webhook_gives_a_bounded_number_of_events(parse: Parse, whatsapp_body: Body) -> None:
    """Past ten thousand the rest is left in the raw webhook, and the log says so."""
    drafts = parse("whatsapp", whatsapp_body({"messages": [text(f"m{n}") for n in range(10_001)]}))
    assert outline(drafts) == [*(f"m{number}" for number in range(10_000)), "$"]
    assert drafts[-1].event == WebhookUnparsed("whatsapp", "more than 10000 events", "$")
    drafts = parse("whatsapp", whatsapp_body({"messages": [text(f"m{n}") for n in range(10_000)]}))
    assert outline(drafts)[-1] == "m9999"


def test_a_malformed_message_proves_no_alias(parse: Parse, whatsapp_body: Body) -> None:
    """Nothing of an update that is not understood is derived."""
    message = {"from": "5500955500001", "from_user_id": "BR.1", "id": "a", "type": "text"}
    [draft] = parse("whatsapp", whatsapp_body({"messages": [message]}))
    assert isinstance(draft.event, WebhookUnparsed)


@pytest.mark.parametrize("broken", [7, None, [], "x", {}, {"id": "b"}, {"id": "b", "type": "text"}])
def test_one_broken_update_does_not_touch_the_others(
    broken: Any, parse: Parse, whatsapp_body: Body
) -> None:
    """It waits in the log under its JSON path, at its place in the order."""
    value = {
        "messages": [text("a"), broken, text("c")],
        "statuses": [report("d"), broken, report("f")],
    }
    path = "$.entry[0].changes[0].value"
    assert outline(parse("whatsapp", whatsapp_body(value))) == [
        "a",
        f"{path}.messages[1]",
        "c",
        "d",
        f"{path}.statuses[1]",
        "f",
    ]


@pytest.mark.parametrize("broken", [7, "x", {"0": text("a")}, True])
def test_one_broken_list_does_not_touch_the_other(
    broken: Any, parse: Parse, whatsapp_body: Body
) -> None:
    """Messages beside a ``statuses`` that is no list are derived, and the other way round."""
    path = "$.entry[0].changes[0].value"
    value = {"messages": [text("a")], "statuses": broken}
    assert outline(parse("whatsapp", whatsapp_body(value))) == ["a", f"{path}.statuses"]
    value = {"messages": broken, "statuses": [report("a")]}
    assert outline(parse("whatsapp", whatsapp_body(value))) == [f"{path}.messages", "a"]


@pytest.mark.parametrize("broken", [7, None, [], "x", {}, {"field": "messages"}, {"field": ["x"]}])
def test_one_broken_change_does_not_touch_the_others(broken: Any, parse: Parse) -> None:
    """Neither within an entry nor across entries."""
    good = [{"field": "messages", "value": {"messages": [text(id_)]}} for id_ in "abc"]
    entries = [{"changes": [good[0], broken, good[1]]}, {"changes": 7}, 7, {"changes": [good[2]]}]
    body = json.dumps({"object": "whatsapp_business_account", "entry": entries}).encode()
    assert outline(parse("whatsapp", body)) == [
        "a",
        "$.entry[0].changes[1]",
        "b",
        "$.entry[1]",
        "$.entry[2]",
        "c",
    ]


@pytest.mark.parametrize(
    "field", ["history", "account_update", "calls", "message_template_status_update", "flows"]
)
def test_a_field_nothing_is_derived_from_waits_in_the_log(
    field: str, parse: Parse, whatsapp_body: Body
) -> None:
    """Its reason names the field; the same body's messages are not affected."""
    [draft] = parse("whatsapp", whatsapp_body({"x": 1}, field=field))
    assert draft.event == WebhookUnparsed("whatsapp", f"field {field}", "$.entry[0].changes[0]")


def test_a_member_of_the_future_is_not_lost_silently(parse: Parse, whatsapp_body: Body) -> None:
    """A list or object we do not know, within a field we do, is named; scalars are not."""
    value = {"messages": [text("a")], "polls": [{"id": "p"}], "version": 2}
    *_, draft = parse("whatsapp", whatsapp_body(value))
    path = "$.entry[0].changes[0].value.polls"
    assert draft.event == WebhookUnparsed("whatsapp", "not known", path)


def test_errors_of_the_account_wait_in_the_log(parse: Parse, whatsapp_body: Body) -> None:
    """Errors with no message beside them that could carry them."""
    value = {"messaging_product": "whatsapp", "metadata": {}, "errors": [{"code": 131000}]}
    [draft] = parse("whatsapp", whatsapp_body(value))
    path = "$.entry[0].changes[0].value.errors"
    assert draft.event == WebhookUnparsed("whatsapp", "errors without a message", path)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ([], "not an object"),
        ("x", "not an object"),
        (None, "not an object"),
        ({}, "not a whatsapp_business_account"),
        ({"object": "page", "entry": []}, "not a whatsapp_business_account"),
        ({"object": ["whatsapp_business_account"]}, "not a whatsapp_business_account"),
        ({"object": "whatsapp_business_account"}, "nothing in it"),
        ({"object": "whatsapp_business_account", "entry": []}, "nothing in it"),
        ({"object": "whatsapp_business_account", "entry": [{}]}, "nothing in it"),
        ({"object": "whatsapp_business_account", "entry": {}}, "entry: not a list"),
    ],
)
def test_a_body_of_another_shape_waits_in_the_log(payload: Any, reason: str, parse: Parse) -> None:
    """Authentic, but not a batch of ours: one ``webhook.unparsed`` for the whole of it."""
    [draft] = parse("whatsapp", json.dumps(payload).encode())
    assert draft.event == WebhookUnparsed("whatsapp", reason, "$")


@pytest.mark.parametrize("order", list(permutations(["sent", "delivered", "read", "played"]))[::5])
def test_reports_come_as_they_come(
    order: tuple[str, ...], parse: Parse, whatsapp_body: Body
) -> None:
    """Out of order they are recorded out of order: what they amount to is the projection's."""
    body = whatsapp_body({"statuses": [report("a", word) for word in order]})
    drafts = parse("whatsapp", body)
    assert [d.event.status for d in drafts if isinstance(d.event, MessageStatusChanged)] == [*order]
    assert len({draft.key for draft in drafts}) == len(order)


@pytest.mark.parametrize("word", ["deleted", "warning", "", "SENT", None, 7, ["sent"]])
def test_a_report_of_an_unknown_kind_waits_in_the_log(
    word: Any, parse: Parse, whatsapp_body: Body
) -> None:
    """A status the lattice has no place for is not guessed at."""
    [draft] = parse("whatsapp", whatsapp_body({"statuses": [report("a", word)]}))
    assert isinstance(draft.event, WebhookUnparsed)
    assert draft.event.path == "$.entry[0].changes[0].value.statuses[0]"


def test_a_report_without_a_time_still_has_a_key(parse: Parse, whatsapp_body: Body) -> None:
    """Whatever stands in its place is part of the key, and no time is made of it."""
    drafts = parse(
        "whatsapp",
        whatsapp_body({"statuses": [report("a", timestamp=None), report("a", timestamp={"x": 1})]}),
    )
    assert len({draft.key for draft in drafts}) == 2
    assert [d.event.at for d in drafts if isinstance(d.event, MessageStatusChanged)] == [None, None]


def test_parts_not_understood_are_keyed_by_body_and_path(parse: Parse, whatsapp_body: Body) -> None:
    """The same body again adds nothing; two broken parts of one body are two events."""
    bodies = [whatsapp_body({"messages": [1, 2]}), whatsapp_body({"messages": [1, 3]})]
    keys = [[draft.key for draft in parse("whatsapp", body)] for body in [*bodies, bodies[0]]]
    assert keys[0] == keys[2]
    assert len({*keys[0], *keys[1]}) == 4


def test_a_key_is_the_messages_own_not_the_bodys(parse: Parse, whatsapp_body: Body) -> None:
    """Meta batches anew when it repeats: the same message in another batch is the same event."""
    alone = parse("whatsapp", whatsapp_body({"messages": [text("b")]}))
    among = parse("whatsapp", whatsapp_body({"messages": [text("a"), text("b")]}))
    assert alone[0].key == among[1].key == idempotency_key("shop", "message", "b")
