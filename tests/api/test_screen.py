"""/v1/audit/screen: what a user's devices showed, from what they had acknowledged by then."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from api.commands import main
from eventstore.draft import Draft
from eventstore.events import MemberRemoved
from tests.api.serving import Place, chat, connect, hello, order, post, receive, serving
from tests.api.test_contract import demand_true
from tests.api.test_deliveries import park, replay, say, settle
from tests.api.test_trace import received, record, taken


def shown(client: TestClient, place: Place, **query: Any) -> list[dict[str, Any]]:
    """The devices' screens, with everything in them that is recorded by now."""
    settle(client)
    answer = client.get("/v1/audit/screen", params=query, headers=place.headers("aud"))
    assert answer.status_code == 200, answer.text
    demand_true(client.get("/openapi.json").json(), "GET", "/v1/audit/screen", answer)
    found: list[dict[str, Any]] = answer.json()["devices"]
    return found


def previews(device: dict[str, Any]) -> list[str | None]:
    """What its list said, the newest first."""
    return [row["last"]["text"] for row in device["conversations"]]


def conversation(client: TestClient, place: Place) -> str:
    """The id of the newest conversation."""
    settle(client)
    page = client.get("/v1/conversations", headers=place.headers("aud")).json()
    found: str = page["conversations"][0]["id"]
    return found


def how(device: dict[str, Any]) -> list[tuple[str | None, str]]:
    """Each message's words, and how the device came to have it, the oldest first."""
    rows = reversed(device["messages"])
    return [(row["message"]["preview"], row["how"]) for row in rows]


def test_a_device_showed_what_it_had_acknowledged_and_the_rest_was_outstanding(
    client: TestClient, place: Place
) -> None:
    """Two came, one was acknowledged; at an earlier moment neither had been."""
    with connect(client) as socket:
        hello(socket, place.tokens["ana"])
        receive(socket, "live")
        first = received(client, "support", chat("m-1", "one"))
        say(socket, {"type": "ack", "cursor": receive(socket, "events")["cursor"]})
        second = received(client, "support", chat("m-2", "two"))
        receive(socket, "events")
        say(socket, {"type": "pong", "id": 1})  # no ping was sent: the server closes
        receive(socket, "bye")
    [now] = shown(client, place, user="ana")
    assert previews(now) == ["one"]
    assert now["outstanding"]["count"] == 1
    [waiting] = now["outstanding"]["events"]
    assert (waiting["position"], waiting["type"], waiting["outcome"]) == (
        second, "message.received", "outstanding",
    )  # fmt: skip
    assert now["last_ack"]["until"] == now["ack_floor"] >= first
    assert now["inboxes"] == ["support"]
    [before] = shown(client, place, user="ana", at=first)
    assert (previews(before), before["outstanding"]["count"]) == ([], 1)
    assert before["last_ack"] is None


def test_how_it_was_connected_is_told_as_of_then(client: TestClient, place: Place) -> None:
    """Since when, by which session; and afterwards when and why that ended."""
    with connect(client) as socket:
        session = hello(socket, place.tokens["ana"])["session"]
        receive(socket, "live")
        [now] = shown(client, place, user="ana")
        assert (now["connected"], now["link"]["session"]) == (True, session)
        assert now["link"]["ended"] is None
        say(socket, {"type": "pong", "id": 1})
        receive(socket, "bye")
    [after] = shown(client, place, user="ana")
    assert (after["connected"], after["link"]["code"]) == (False, 4400)
    assert after["link"]["since"] == now["link"]["since"] < after["link"]["ended"]
    [then] = shown(client, place, user="ana", at=after["link"]["since"])
    assert then["connected"]
    assert shown(client, place, user="ana", at=after["link"]["position"] - 1) == []


def test_a_server_that_was_started_anew_ended_the_link(place: Place) -> None:
    """A killed one recorded no disconnects, and nobody is connected for ever."""
    with serving(place.folder) as client, connect(client) as socket:
        hello(socket, place.tokens["ana"])
        receive(socket, "live")
        settle(client)
        house = client.app_state["house"]
        head = house.log.head.position
    with serving(place.folder) as client:
        [now] = shown(client, place, user="ana")
        assert not now["connected"]
        [then] = shown(client, place, user="ana", at=head)
        assert then["connected"]


def test_a_conversations_messages_are_told_with_how_the_device_has_each(
    client: TestClient, place: Place
) -> None:
    """Loaded where it is older than the device, acknowledged when and by whom, put aside."""
    post(client, "support", chat("m-0", "older"))
    parked = park(client, place, 1)
    id_ = conversation(client, place)
    [device] = shown(client, place, user="ana", conversation=id_)
    assert how(device) == [("older", "loaded"), ("hello", "parked"), ("hello", "acknowledged")]
    newest, aside, oldest = device["messages"]
    assert newest["position"] == device["last_ack"]["position"]
    assert newest["time"] == device["last_ack"]["time"]
    assert aside["message"]["position"] == parked[0]
    assert oldest["position"] is None
    replay(client, place, {"user": "ana"})
    [device] = shown(client, place, user="ana", conversation=id_)
    assert how(device)[1] == ("hello", "outstanding")
    [before] = shown(client, place, user="ana", conversation=id_, at=aside["position"] - 1)
    assert "parked" not in {row["how"] for row in before["messages"]}
    [one] = shown(client, place, user="ana", conversation=id_, limit=1)
    assert one["messages"][0]["message"] == newest["message"]
    older = newest["message"]["position"]
    [rest] = shown(client, place, user="ana", conversation=id_, before=older)
    assert [row["message"] for row in rest["messages"]] == [aside["message"], oldest["message"]]


def test_what_was_skipped_was_never_shown(place: Place) -> None:
    """It lies below the floor, and is told with when and why."""
    with serving(place.folder, queue_events_max=1) as client:
        taken(client, place, "ana", acknowledge=False)
        for number in range(3):
            received(client, "support", chat(f"m-{number}", str(number)))
        taken(client, place, "ana")
        [device] = shown(client, place, user="ana", conversation=conversation(client, place))
        assert how(device) == [("0", "skipped"), ("1", "skipped"), ("2", "acknowledged")]
        assert (device["last_skip"]["count"], device["last_skip"]["reason"]) == (2, "queue_limit")


def test_what_was_erased_since_is_told_without_its_words(client: TestClient, place: Place) -> None:
    """That it was there, and how the device came to have it, stays."""
    taken(client, place, "ana", acknowledge=False)
    at = received(client, "support", chat("m-1", "secret words"))
    taken(client, place, "ana")
    id_ = conversation(client, place)
    client.post(
        "/v1/audit/redact", json={"position": at, "reason": "asked"}, headers=place.headers("aud")
    )
    found = shown(client, place, user="ana", conversation=id_)
    assert "secret words" not in json.dumps(found)
    [message] = found[0]["messages"]
    assert (message["message"]["redacted"], message["how"]) == (True, "acknowledged")


def test_each_device_of_a_user_has_its_own_screen(client: TestClient, place: Place) -> None:
    """One by name; nobody's, none; a user who was removed is still told of."""
    for name in ("a", "b"):
        with connect(client) as socket:
            hello(socket, place.tokens["ana"], name)
            receive(socket, "live")
            say(socket, {"type": "pong", "id": 1})
            receive(socket, "bye")
        post(client, "support", chat(f"m-{name}", name))
        post(client, "orders", order(f"o-{name}"))
    one, other = shown(client, place, user="ana")
    assert [one["device"], other["device"]] == ["a", "b"]
    assert (one["outstanding"]["count"], other["outstanding"]["count"]) == (2, 1)
    assert shown(client, place, user="ana", device="b") == [other]
    assert shown(client, place, user="ana", after="a") == [other]
    assert shown(client, place, user="ana", device="c") == shown(client, place, user="nobody") == []
    record(client, Draft("system", MemberRemoved("ana")))
    [gone, _] = shown(client, place, user="ana")
    assert {event["outcome"] for event in gone["outstanding"]["events"]} == {"withdrawn"}


def test_the_command_line_shows_the_same(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a running server, or as here without one; for a person in words."""
    with serving(place.folder) as client:
        [parked] = park(client, place, 1)
        id_ = conversation(client, place)
        [device] = shown(client, place, user="ana", conversation=id_, at=parked)
        when = device["link"]["since"]
        [early] = shown(client, place, user="ana", at=when)
    for row in device["messages"]:
        del row["message"]["content"]  # the command has its preview
    monkeypatch.setenv("MALOTE_DATA", str(place.folder))
    at = ("--at", str(parked), "--conversation", id_, "--json")
    printed = CliRunner().invoke(main, ["screen", "ana", *at])
    assert json.loads(printed.output)["devices"] == [device]
    printed = CliRunner().invoke(main, ["screen", "ana", "--at", when, "--json"])
    assert json.loads(printed.output)["devices"] == [early]
    text = CliRunner().invoke(main, ["screen", "ana", "--conversation", id_]).output
    state, floor, row, *messages = text.splitlines()
    assert state.startswith("ana/d  away since 20")
    assert "0 outstanding" in floor
    assert "support  Ana" in row
    assert [line.split()[2] for line in messages] == ["parked", "acknowledged"]
    nobody = CliRunner().invoke(main, ["screen", "nobody"])
    assert (nobody.exit_code, nobody.stdout) == (0, "")
    beyond = CliRunner().invoke(main, ["screen", "ana", "--at", "99999"])
    assert (beyond.exit_code, beyond.output) == (1, "Error: there is no position 99999 yet\n")
    assert CliRunner().invoke(main, ["screen", "ana", "--at", "soon"]).exit_code == 2


@pytest.mark.parametrize(
    "bad",
    ["", "user=", "user=ana&at=soon", "user=ana&at=99999", "user=ana&limit=0", "user=ana&device=",
     "user=ana&conversation=", "user=ana&before=x", "user=ana&as_of=1"],
)  # fmt: skip
def test_what_cannot_be_read_is_a_400(client: TestClient, place: Place, bad: str) -> None:
    """And a question about nobody is none."""
    answer = client.get(f"/v1/audit/screen?{bad}", headers=place.headers("aud"))
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:malote:problem:bad-request"


def test_members_may_not_look_at_anybodys_screen(client: TestClient, place: Place) -> None:
    """Nor at their own: it is for auditors."""
    answer = client.get("/v1/audit/screen?user=ana", headers=place.headers("ana"))
    assert answer.status_code == 403
