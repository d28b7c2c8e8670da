"""/v1/audit/trace/{position}: the whole life of one message, whatever became of it."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest
from starlette.testclient import TestClient

from eventstore.draft import Draft
from eventstore.events import (
    Contact,
    Event,
    MemberRemoved,
    MessageEdited,
    MessageReceived,
    MessageRevoked,
    MessageStatusChanged,
    Reaction,
    Text,
)
from tests.api.serving import (
    Place,
    chat,
    connect,
    hello,
    order,
    post,
    receive,
    signed,
)
from tests.api.test_contract import demand_true
from tests.api.test_deliveries import park, replay, say, settle


def traced(
    client: TestClient, place: Place, position: int, user: str = "aud", **query: Any
) -> dict[str, Any]:
    """The trace, with everything in it that is recorded by now."""
    settle(client)
    path = f"/v1/audit/trace/{position}"
    answer = client.get(path, params=query, headers=place.headers(user))
    assert answer.status_code == 200, answer.text
    document = client.get("/openapi.json").json()
    demand_true(document, "GET", "/v1/audit/trace/{position}", answer)
    found: dict[str, Any] = answer.json()
    return found


def record(client: TestClient, draft: Draft) -> None:
    """Something that no route of today records."""
    assert client.portal is not None
    client.portal.call(client.app_state["house"].records.record, draft)


def received(client: TestClient, inbox: str, webhook: Any, **headers: str) -> int:
    """The position of the one message of a webhook."""
    body, signatures = webhook
    answer = post(client, inbox, (body, signatures | headers))
    [receipt] = answer.json()["receipts"]
    position: int = receipt["position"]
    return position


def taken(client: TestClient, place: Place, user: str, *, acknowledge: bool = True) -> None:
    """A device of the user gets all that waits for it, acknowledges it or not, and leaves."""
    with connect(client) as socket:
        hello(socket, place.tokens[user])
        if acknowledge:
            cursor = receive(socket, "events")["cursor"]
            say(socket, {"type": "ack", "cursor": cursor})
        receive(socket, "live")
        say(socket, {"type": "pong", "id": 1})  # no ping was sent: the server closes
        receive(socket, "bye")
    settle(client)


def together(client: TestClient, *ids: str, **headers: str) -> list[int]:
    """The positions of messages that came in one webhook."""
    body = json.loads(chat(ids[0])[0])
    value = body["entry"][0]["changes"][0]["value"]
    value["messages"] = [{**value["messages"][0], "id": id_} for id_ in ids]
    raw = json.dumps(body).encode()
    answer = post(client, "support", (raw, signed("support", raw) | headers))
    return [receipt["position"] for receipt in answer.json()["receipts"]]


def steps(device: dict[str, Any]) -> list[str]:
    """What happened to it on its way to this device."""
    return [step["step"] for step in device["steps"]]


def test_a_message_is_traced_from_its_webhook_to_each_ack(client: TestClient, place: Place) -> None:
    """The raw bytes' hash, the request, what was derived beside it, and who has it since when."""
    taken(client, place, "ana", acknowledge=False)
    taken(client, place, "otto", acknowledge=False)
    webhook = chat("wamid.1", "hello")
    headers = {"X-Request-ID": "request-1", "webhook-id": "ignored"}
    at = received(client, "support", webhook, **headers)
    taken(client, place, "ana")
    found = traced(client, place, at)
    raw, event = found["webhook"], found["event"]
    assert (raw["provider"], raw["inbox"], raw["correlation_id"]) == (
        "whatsapp", "support", "request-1",
    )  # fmt: skip
    assert raw["body_sha256"] == sha256(webhook[0]).hexdigest()
    assert (raw["body_bytes"], raw["redacted"]) == (len(webhook[0]), False)
    assert event["causation_id"] == raw["position"] < event["position"] == at
    assert event["data"]["content"]["body"] == "hello"
    assert "body" not in raw
    [device] = found["devices"]
    assert (device["user"], device["device"], device["outcome"]) == ("ana", "d", "acknowledged")
    addressed, ack = device["steps"]
    assert (addressed["step"], addressed["position"]) == ("addressed", at)
    assert (ack["type"], ack["position"]) == ("delivery.acknowledged", device["position"])
    assert ack["after"] < at <= ack["until"]
    assert ack["session"]
    assert device["took_us"] > 0
    assert found["next"] is None


def test_what_one_webhook_recorded_stands_beside_each_other(
    client: TestClient, place: Place
) -> None:
    """From a message, and from the raw webhook itself."""
    first, second = together(client, "wamid.1", "wamid.2")
    post(client, "support", chat("wamid.3"))
    assert [each["position"] for each in traced(client, place, first)["beside"]] == [second]
    webhook = traced(client, place, traced(client, place, second)["webhook"]["position"])
    assert webhook["event"]["type"] == "webhook.received"
    assert webhook["event"]["data"] is None
    assert webhook["webhook"]["position"] == webhook["event"]["position"]
    assert [each["position"] for each in webhook["beside"]] == [first, second]
    assert webhook["devices"] == []


def test_what_was_put_aside_and_delivered_again_is_a_step_each(
    client: TestClient, place: Place
) -> None:
    """With its reason and who asked; outstanding while it is under way."""
    [at] = park(client, place, 1)
    [device] = traced(client, place, at)["devices"]
    assert (device["outcome"], device["steps"][-1]["reason"]) == ("parked", "no good")
    replay(client, place, {"user": "ana"})
    [device] = traced(client, place, at)["devices"]
    assert (device["outcome"], device["position"]) == ("outstanding", None)
    with connect(client) as socket:
        hello(socket, place.tokens["ana"])
        request = receive(socket, "replayed")["request"]
        say(socket, {"type": "replay_ack", "request": request, "positions": [at]})
        say(socket, {"type": "pong", "id": 9})
        receive(socket, "bye")
    [device] = traced(client, place, at)["devices"]
    assert steps(device) == ["addressed", "parked", "replay_requested", "replayed", "acknowledged"]
    assert device["steps"][2]["by"] == "adm"
    assert device["outcome"] == "acknowledged"


def test_of_a_user_who_was_removed_what_waited_is_withdrawn(
    client: TestClient, place: Place
) -> None:
    """And of a device that was not here yet, nothing is said."""
    taken(client, place, "ana", acknowledge=False)
    at = received(client, "support", chat("wamid.1"))
    [device] = traced(client, place, at)["devices"]
    assert (device["outcome"], steps(device)) == ("outstanding", ["addressed"])
    record(client, Draft("system", MemberRemoved("ana")))
    [device] = traced(client, place, at)["devices"]
    assert (device["outcome"], device["steps"][-1]["type"]) == ("withdrawn", "member.removed")


def test_after_an_erasure_the_trace_is_complete_without_words(
    client: TestClient, place: Place
) -> None:
    """Webhook, hashes, request and acks stay; who erased it and why is among what came later."""
    taken(client, place, "ana", acknowledge=False)
    at = received(client, "support", chat("wamid.1", "secret words"))
    taken(client, place, "ana")
    before = traced(client, place, at)
    answer = client.post(
        "/v1/audit/redact", json={"position": at, "reason": "asked"}, headers=place.headers("aud")
    )
    assert answer.status_code == 200, answer.text
    after = traced(client, place, at)
    assert "secret words" not in json.dumps(after)
    assert (after["event"]["data"], after["event"]["redacted"]) == (None, True)
    for name in ("hash", "data_hash", "correlation_id", "position", "time"):
        assert after["webhook"][name] == before["webhook"][name]
    assert (after["webhook"]["body_sha256"], after["webhook"]["redacted"]) == (None, True)
    assert after["devices"] == before["devices"]
    [erasure] = after["later"]
    assert erasure["type"] == "message.redacted"
    assert (erasure["data"]["by"], erasure["data"]["reason"]) == ("aud", "asked")


def test_after_an_erasure_what_was_said_of_the_message_is_still_found(
    client: TestClient, place: Place
) -> None:
    """Its statuses, edits, reactions and revocation, before it and after; also once rebuilt.

    They name it by the provider's id, which the erasure takes out of the message.
    """
    at = received(client, "support", chat("wamid.1", "secret words"))
    conversation = traced(client, place, at)["event"]["conversation"]

    def say_of_it(*events: Event) -> None:
        for event in events:
            record(client, Draft("inbox:support", event, conversation))

    reaction = MessageReceived("wamid.2", Contact("1"), Reaction("wamid.1", "+"))
    edit = MessageEdited("wamid.1", Text("other secret words"))
    say_of_it(edit, MessageStatusChanged("wamid.1", "delivered"), reaction)
    before = traced(client, place, at)["later"]
    erased = client.post(
        "/v1/audit/redact", json={"position": at, "reason": "asked"}, headers=place.headers("aud")
    ).json()
    assert {at, before[0]["position"]} < set(erased["erased"])
    say_of_it(MessageStatusChanged("wamid.1", "read"), MessageRevoked("wamid.1"))
    after = traced(client, place, at)
    assert "secret words" not in json.dumps(after)
    assert [each["position"] for each in after["later"][:3]] == [
        each["position"] for each in before
    ]
    assert [(each["type"], each["redacted"]) for each in after["later"]] == [
        ("message.edited", True),
        ("message.status_changed", False),
        ("message.received", False),
        ("message.redacted", False),
        ("message.status_changed", False),
        ("message.revoked", False),
    ]
    assert client.portal is not None
    client.portal.call(client.app_state["house"].projector.rebuild)
    assert traced(client, place, at) == after


def test_a_repeat_with_another_content_is_among_what_came_later(
    client: TestClient, place: Place
) -> None:
    """The first one stands."""
    at = received(client, "orders", order("o-1", "one"))
    post(client, "orders", order("o-1", "another"))
    found = traced(client, place, at)
    assert [each["type"] for each in found["later"]] == ["webhook.duplicated"]
    assert found["webhook"]["delivery_id"] == "o-1"


def test_devices_come_a_page_at_a_time(client: TestClient, place: Place) -> None:
    """``next`` goes into ``after``, until there is none."""
    for user in ("ana", "adm", "otto"):
        taken(client, place, user, acknowledge=False)
    at = received(client, "support", chat("wamid.1"))
    found, after = [], {}
    while after is not None:
        page = traced(client, place, at, limit=1, **after)
        found += [each["user"] for each in page["devices"]]
        after = None if page["next"] is None else {"after": page["next"]}
    assert found == ["adm", "ana"]


def test_of_a_device_with_very_many_sessions_it_is_said_how_many_events_are_left_out(
    client: TestClient, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And which of the lists are not whole."""
    taken(client, place, "otto", acknowledge=False)
    at = received(client, "orders", order("o-1", "one"))
    for another in ("two", "three"):
        post(client, "orders", order("o-1", another))
        taken(client, place, "otto", acknowledge=False)
    whole = traced(client, place, at)
    assert (whole["truncated"], len(whole["later"])) == ([], 2)
    assert whole["devices"][0]["left_out"] == 0
    monkeypatch.setattr("api.trace.EACH_MAX", 1)
    monkeypatch.setattr("api.trace.LATER_MAX", 1)
    cut = traced(client, place, at)
    assert (cut["truncated"], cut["later"]) == (["later"], whole["later"][:1])
    [device] = cut["devices"]
    assert device == {**whole["devices"][0], "left_out": 3}, "a beginning and two ends of sessions"


def test_a_webhook_that_recorded_more_than_is_shown_says_so(
    client: TestClient, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Providers join thousands of messages in one."""
    at = together(client, "wamid.1", "wamid.2", "wamid.3")[1]
    for most, shown, cut in ((2, 2, []), (1, 1, ["beside"])):
        monkeypatch.setattr("api.trace.BESIDE_MAX", most)
        found = traced(client, place, at)
        assert (len(found["beside"]), found["truncated"]) == (shown, cut)


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ("one", 400),
        ("-1", 400),
        ("9" * 30, 400),
        ("0", 404),
        ("99999", 404),
        ("1", 404),  # an event of the system
        ("{at}?limit=0", 400),
        ("{at}?after=ana", 400),
        ("{at}?as_of=1", 400),
    ],
)
def test_what_is_no_event_of_an_inbox_or_cannot_be_read_is_refused(
    client: TestClient, place: Place, asked: str, status: int
) -> None:
    """A problem of the usual kind, which says what is wrong."""
    at = received(client, "support", chat("wamid.1"))
    path = f"/v1/audit/trace/{asked.format(at=at)}"
    answer = client.get(path, headers=place.headers("aud"))
    assert answer.status_code == status
    assert answer.json()["type"].startswith("urn:malote:problem:")


def test_members_may_not_trace(client: TestClient, place: Place) -> None:
    """Who else has read what is for auditors."""
    at = received(client, "support", chat("wamid.1"))
    answer = client.get(f"/v1/audit/trace/{at}", headers=place.headers("ana"))
    assert answer.status_code == 403
