"""``/debug/…``: who is connected and how well, what waits, with which settings; for admins."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from api.settings import PREFIX, Settings
from tests.api.serving import JWT_SECRET, Place, connected, order, post, receive, serving


@pytest.fixture
def client(place: Place) -> Iterator[TestClient]:
    """A server on it."""
    with serving(place.folder, jwt_secret=JWT_SECRET) as client:
        yield client


def test_a_session_is_shown_with_what_it_has_not_acknowledged(
    client: TestClient, place: Place
) -> None:
    """Who, from where, how good, how far behind, what is in flight."""
    admin = place.headers("adm")
    with connected(client, place, "otto") as socket, connected(client, place, "ana"):
        post(client, "orders", order("m-1"))
        receive(socket, "events")
        answer = client.get("/debug/connections?user=otto", headers=admin).json()
        [row] = answer["connections"]
        assert (row["user"], row["device"], row["state"]) == ("otto", "desk", "live")
        assert (row["behind"], row["in_flight"]["events"], row["quality"]) == (1, 1, "good")
        assert (row["address"], row["inboxes"]) == ("192.0.2.7", ["orders"])
        assert answer["head"] >= int(row["sent"].split(".")[1])
        both = client.get("/debug/connections?limit=1", headers=admin).json()
        assert (len(both["connections"]), both["count"]) == (1, 2)
    assert client.get("/debug/connections", headers=admin).json()["connections"] == []


def test_deliveries_are_shown_as_the_log_has_them(client: TestClient, place: Place) -> None:
    """Each device, and what was put aside for it with the reason."""
    with connected(client, place, "otto") as socket:
        post(client, "orders", order("m-1"))
        position = receive(socket, "events")["events"][0]["position"]
        nack = {"type": "nack", "position": position, "reason": "cannot show it"}
        socket.send_text(json.dumps(nack))
    client.get("/v1/sync", headers=place.headers("otto"))
    answer = client.get("/debug/deliveries", headers=place.headers("adm")).json()
    assert [(row["user"], row["device"]) for row in answer["deliveries"]] == [("otto", "desk")]
    assert [(row["position"], row["reason"]) for row in answer["parked"]] == [
        (position, "cannot show it")
    ]


def test_every_setting_is_shown_and_no_secret(client: TestClient, place: Place) -> None:
    """As it is in force, not as the environment has it."""
    answer = client.get("/debug/config", headers=place.headers("adm"))
    settings = answer.json()["settings"]
    assert set(settings) == {f"{PREFIX}{name.upper()}" for name in Settings.__annotations__}
    assert settings["MALOTE_DATA"] == str(place.folder)
    assert settings["MALOTE_JWT_SECRET"] == "***"
    assert JWT_SECRET not in answer.text


@pytest.mark.parametrize("path", ["connections", "deliveries", "config"])
def test_only_admins_look(client: TestClient, place: Place, path: str) -> None:
    """Addresses and devices of everybody are nobody else's business."""
    assert client.get(f"/debug/{path}").status_code == 401
    for user, status in (("ana", 403), ("aud", 403), ("adm", 200)):
        answer = client.get(f"/debug/{path}", headers=place.headers(user))
        assert answer.status_code == status
