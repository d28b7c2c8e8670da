"""/v1/audit/ledger, and what tells a person when it does not balance."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api.serving import Place, chat, connect, hello, order, post, receive
from tests.api.test_contract import demand_true
from transport.ack_ranges import AckRanges

TERMS = ("addressed", "acknowledged", "outstanding", "parked", "skipped", "withdrawn", "residue")


def asked(client: TestClient, place: Place, **parameters: Any) -> dict[str, Any]:
    """What the ledger says, with everything in it that is recorded by now."""
    house = client.app_state["house"]
    assert client.portal is not None
    client.portal.call(house.projector.wait_for, house.log.head.position)
    answer = client.get("/v1/audit/ledger", params=parameters, headers=place.headers("aud"))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def terms(account: dict[str, Any]) -> dict[str, int]:
    """The equation, without the zeros."""
    return {name: account[name] for name in TERMS if account[name]}


def handle(client: TestClient, place: Place, *numbers: int) -> None:
    """Ana's device gets these messages, acknowledges all but the last, and leaves."""
    with connect(client) as socket:
        hello(socket, place.tokens["ana"])
        post(client, "orders", order("not-for-ana"))
        for number in numbers:
            post(client, "support", chat(f"s-{number}"))
            frame = receive(socket, "events")
            if number != numbers[-1]:
                socket.send_text(json.dumps({"type": "ack", "cursor": frame["cursor"]}))
    until_recorded(client, "client.disconnected")


def until_recorded(client: TestClient, type_: str) -> None:
    """Wait for an event of this type, 10 s at most."""
    house = client.app_state["house"]
    deadline = time.monotonic() + 10
    while not house.recorded[type_]:
        assert time.monotonic() < deadline, f"no {type_} is recorded"
        time.sleep(0.01)


def test_each_device_is_accounted_for(client: TestClient, place: Place) -> None:
    """Every event that it was addressed, under what became of it; nothing is left over."""
    handle(client, place, 1, 2, 3)
    [account] = asked(client, place)["accounts"]
    assert (account["user"], account["device"], account["connected"]) == ("ana", "d", False)
    assert terms(account) == {"addressed": 3, "acknowledged": 2, "outstanding": 1}


def test_one_device_or_a_page_or_as_it_was(client: TestClient, place: Place) -> None:
    """At a position, the account as it stood; ``after`` the last one, the next page."""
    handle(client, place, 1, 2)
    [account] = asked(client, place, device="ana/d")["accounts"]
    assert asked(client, place, device="ana/other")["accounts"] == []
    assert asked(client, place, after="ana/d")["accounts"] == []
    assert asked(client, place, limit=1)["accounts"] == [account]
    before = asked(client, place, as_of=account["ack_floor"])
    [then] = before["accounts"]
    assert terms(then) == {"addressed": 1, "outstanding": 1}
    assert before["cursor"].split(".")[1] == str(account["ack_floor"])


def test_what_is_put_aside_and_delivered_again_is_accounted_for_at_each_step(
    client: TestClient, place: Place
) -> None:
    """Parked, outstanding once an admin has asked for it, acknowledged when it was handled."""
    with connect(client) as socket:
        hello(socket, place.tokens["ana"])
        post(client, "support", chat("s-1"))
        frame = receive(socket, "events")
        addressed, position = len(frame["events"]), frame["events"][0]["position"]
        socket.send_text(json.dumps({"type": "nack", "position": position, "reason": "bad"}))
        socket.send_text(json.dumps({"type": "ack", "cursor": frame["cursor"]}))
        until_recorded(client, "delivery.parked")
        [account] = asked(client, place)["accounts"]
        assert (account["parked"], account["residue"]) == (1, 0)
        answer = client.post(
            "/v1/deliveries/d/replay", json={"user": "ana"}, headers=place.headers("adm")
        )
        assert answer.json()["positions"] == [position]
        replayed = receive(socket, "replayed")
        [account] = asked(client, place)["accounts"]
        assert (account["parked"], account["residue"]) == (0, 0)
        assert account["outstanding"] > 0
        handled = {"request": replayed["request"], "positions": [position]}
        socket.send_text(json.dumps({"type": "replay_ack", **handled}))
        until_recorded(client, "delivery.replay_acknowledged")
    until_recorded(client, "client.disconnected")
    [account] = asked(client, place)["accounts"]
    assert terms(account) == {"addressed": addressed, "acknowledged": addressed}


def test_more_history_than_is_folded_for_an_answer_is_refused_with_the_way_to_have_it(
    client: TestClient, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million events would take a minute, and hold up others; a command has no bound."""
    handle(client, place, 1)
    monkeypatch.setattr("projections.projector.FOLDED_MAX", 5)
    asked(client, place, as_of=5)
    answer = client.get("/v1/audit/ledger?as_of=6", headers=place.headers("aud"))
    demand_true(client.get("/openapi.json").json(), "GET", "/v1/audit/ledger", answer)
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:malote:problem:history-too-long"
    assert answer.json()["detail"].endswith("malote ledger --at 6")


@pytest.mark.parametrize("bad", ["device=ana", "after=", "limit=0", "as_of=soon", "user=ana"])
def test_what_cannot_be_read_is_a_400(client: TestClient, place: Place, bad: str) -> None:
    """A device is named by its user, too."""
    answer = client.get(f"/v1/audit/ledger?{bad}", headers=place.headers("aud"))
    assert answer.status_code == 400


def test_a_session_that_counts_one_ack_too_many_is_found_and_told_to_a_person(
    client: TestClient, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault planted in the real session: the residue shows it, and so do health and metrics."""
    add = AckRanges.add
    monkeypatch.setattr(AckRanges, "add", lambda self, until, count: add(self, until, count + 1))
    handle(client, place, 1, 2)
    [account] = asked(client, place)["accounts"]
    assert terms(account) == {
        "addressed": 2, "acknowledged": 2, "outstanding": 1, "residue": -1
    }  # fmt: skip
    house = client.app_state["house"]
    assert client.portal is not None
    client.portal.call(house.balance.look, house.projector)
    ready = client.get("/readyz?verbose").json()
    assert (ready["status"], ready["parts"]["ledger"]) == ("degraded", "does not balance")
    figures = client.get("/metrics", headers=place.headers("adm")).text
    assert "malote_ledger_residue_events 1.0" in figures


def test_a_ledger_that_balances_worries_nobody(client: TestClient, place: Place) -> None:
    """Nothing to tell, however many devices there are."""
    handle(client, place, 1, 2)
    asked(client, place)
    house = client.app_state["house"]
    assert client.portal is not None
    client.portal.call(house.balance.look, house.projector)
    assert client.get("/readyz?verbose").json()["parts"]["ledger"] == "ok"
    assert house.balance.residue == 0
