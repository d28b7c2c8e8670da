"""/v1/deliveries and `malote deliveries`: what was put aside, and its way back to the device."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from api.commands import main
from tests.api.serving import Place, chat, connect, hello, order, post, receive, serving


def settle(client: TestClient) -> None:
    """Whatever is on its way to the log is there, and shown."""
    house = client.app_state["house"]
    assert client.portal is not None
    client.portal.call(house.hub.recorded)
    client.portal.call(house.projector.wait_for, house.log.head.position)


def park(client: TestClient, place: Place, *numbers: int) -> list[int]:
    """Ana's device gets these messages, puts each aside, and leaves; their positions."""
    parked = []
    with connect(client) as socket:
        hello(socket, place.tokens["ana"])
        for number in numbers:
            post(client, "support", chat(f"s-{number}"))
            frame = receive(socket, "events")
            parked += [event["position"] for event in frame["events"]]
            say(socket, {"type": "nack", "position": parked[-1], "reason": "no good"})
        post(client, "support", chat("last"))
        say(socket, {"type": "ack", "cursor": receive(socket, "events")["cursor"]})
        say(socket, {"type": "pong", "id": 1})  # no ping was sent: the server closes
        receive(socket, "bye")
    settle(client)
    return parked


def say(socket: Any, frame: dict[str, Any]) -> None:
    """The client says something."""
    socket.send_text(json.dumps(frame))


def shown(
    client: TestClient, place: Place, user: str = "adm", **query: Any
) -> list[dict[str, Any]]:
    """The devices that a user is shown."""
    settle(client)
    answer = client.get("/v1/deliveries", params=query, headers=place.headers(user))
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["deliveries"]
    return found


def replay(client: TestClient, place: Place, body: Any, device: str = "d") -> Any:
    """An admin asks for the delivery of parked events again."""
    path = f"/v1/deliveries/{device}/replay"
    return client.post(path, json=body, headers=place.headers("adm"))


def test_what_was_put_aside_is_listed_with_its_reason(client: TestClient, place: Place) -> None:
    """For whom, where, why, since when and by which session."""
    first, second = park(client, place, 1, 2)
    [device] = shown(client, place)
    assert (device["user"], device["device"], device["parked"], device["replaying"]) == (
        "ana", "d", 2, 0,
    )  # fmt: skip
    assert [event["position"] for event in device["events"]] == [second, first]
    [event, _] = device["events"]
    assert (event["reason"], event["requested"]) == ("no good", None)
    assert event["parked_at"].endswith("Z")
    assert event["session"]


def test_members_are_shown_their_own_devices_and_others_page_by_device(
    client: TestClient, place: Place
) -> None:
    """What one may not see and what does not exist answer alike."""
    park(client, place, 1)
    assert len(shown(client, place, "ana")) == len(shown(client, place, "aud")) == 1
    assert shown(client, place, "otto") == shown(client, place, "otto", device="ana/d") == []
    assert shown(client, place, device="ana/other") == shown(client, place, after="ana/d") == []
    assert len(shown(client, place, device="ana/d", limit=1)) == 1


def test_it_comes_with_the_next_session_and_is_off_the_list_once_acknowledged(
    client: TestClient, place: Place
) -> None:
    """Asked for, delivered after `live`, acknowledged: each an event of the log."""
    parked = park(client, place, 1, 2)
    asked = replay(client, place, {"user": "ana"}).json()
    assert (asked["positions"], asked["left"]) == (parked, 0)
    [device] = shown(client, place)
    assert (device["parked"], device["replaying"]) == (2, 2)
    assert {event["requested"] for event in device["events"]} == {asked["request"]}
    with connect(client) as socket:
        hello(socket, place.tokens["ana"])
        frame = receive(socket, "replayed")
        assert frame["request"] == asked["request"]
        assert [event["position"] for event in frame["events"]] == parked
        say(socket, {"type": "replay_ack", "request": frame["request"], "positions": parked[:1]})
        say(socket, {"type": "nack", "position": parked[1], "reason": "still no good"})
        say(socket, {"type": "pong", "id": 9})
        receive(socket, "bye")
    [device] = shown(client, place)
    assert (device["parked"], device["replaying"], device["acknowledged"]) == (1, 0, 2)
    [event] = device["events"]
    assert (event["position"], event["reason"]) == (parked[1], "still no good")
    recorded = client.app_state["house"].recorded
    assert recorded["delivery.replay_requested"] == recorded["delivery.replayed"] == 1
    assert recorded["delivery.replay_acknowledged"] == 1


def test_a_device_that_is_here_gets_it_at_once(client: TestClient, place: Place) -> None:
    """The request is pushed as it is committed."""
    [parked] = park(client, place, 1)
    with connect(client) as socket:
        hello(socket, place.tokens["ana"])
        assert replay(client, place, {"user": "ana", "positions": [parked]}).status_code == 200
        [event] = receive(socket, "replayed")["events"]
        assert event["position"] == parked
        say(socket, {"type": "pong", "id": 9})
        receive(socket, "bye")


def test_what_is_not_parked_or_asked_for_already_is_passed_over(
    client: TestClient, place: Place
) -> None:
    """A second request asks for nothing, and records nothing."""
    first, second = park(client, place, 1, 2)
    one = replay(client, place, {"user": "ana", "positions": [first, first + 10_000]}).json()
    assert (one["positions"], one["left"]) == ([first], 1)
    again = replay(client, place, {"user": "ana", "positions": [first]}).json()
    assert again == {"request": None, "positions": [], "left": 1}
    rest = replay(client, place, {"user": "ana"}).json()
    assert (rest["positions"], rest["left"]) == ([second], 0)


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"user": ""},
        {"user": 7},
        {"user": "ana", "positions": []},
        {"user": "ana", "positions": None},
        {"user": "ana", "positions": [0]},
        {"user": "ana", "positions": [True]},
        {"user": "ana", "positions": [1.0]},
        {"user": "ana", "positions": [2**63]},
        {"user": "ana", "positions": list(range(1, 1_002))},
        {"user": "ana", "more": 1},
    ],
    ids=str,
)
def test_a_request_that_is_none_is_refused(client: TestClient, place: Place, body: Any) -> None:
    """A clear 400, and nothing recorded."""
    park(client, place, 1)
    assert replay(client, place, body).status_code == 400
    assert client.app_state["house"].recorded["delivery.replay_requested"] == 0


def test_a_device_that_never_was_is_not_found(client: TestClient, place: Place) -> None:
    """Nor is one of another user."""
    park(client, place, 1)
    assert replay(client, place, {"user": "ana"}, device="none").status_code == 404
    assert replay(client, place, {"user": "otto"}).status_code == 404
    post(client, "orders", order("x"))


def test_the_command_line_lists_and_asks(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a running server, or as here without one: the device gets it when it comes."""
    with serving(place.folder) as client:
        first, second = park(client, place, 1, 2)
    monkeypatch.setenv("MALOTE_DATA", str(place.folder))
    listed = CliRunner().invoke(main, ["deliveries", "list", "--json"])
    assert [json.loads(line)["position"] for line in listed.output.splitlines()] == [second, first]
    asked = CliRunner().invoke(main, ["deliveries", "replay", "ana", "d", str(first)])
    assert asked.output == "1 will be delivered again to ana/d; 1 more are put aside\n"
    asked = CliRunner().invoke(main, ["deliveries", "replay", "ana", "d", "--json"])
    assert json.loads(asked.output)["positions"] == [second]
    unknown = CliRunner().invoke(main, ["deliveries", "replay", "ana", "none"])
    assert (unknown.exit_code, unknown.output) == (1, "Error: ana has no device none\n")
    nothing = CliRunner().invoke(main, ["deliveries", "list", "--user", "otto"])
    assert (nothing.exit_code, nothing.stdout) == (0, "")
    with serving(place.folder) as client, connect(client) as socket:
        hello(socket, place.tokens["ana"])
        [event] = receive(socket, "replayed")["events"]
        assert event["position"] == first
        say(socket, {"type": "pong", "id": 9})
        receive(socket, "bye")


def test_the_devices_are_shown_as_they_were(client: TestClient, place: Place) -> None:
    """Before an event was put aside there is nothing, and after its replay what there was then."""
    [position] = park(client, place, 1)
    [now] = shown(client, place)
    assert [event["position"] for event in now["events"]] == [position]
    head = client.app_state["house"].log.head.position
    replay(client, place, {"user": "ana"})
    [asked] = shown(client, place)
    assert asked["replaying"] == 1
    assert shown(client, place, as_of=head) == [now]
    assert shown(client, place, as_of=now["last_at"]) == [now]
    [before] = shown(client, place, as_of=position)
    assert (before["parked"], before["events"]) == (0, [])
    assert shown(client, place, as_of=1) == []
