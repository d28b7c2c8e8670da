"""/v1/audit/presence: who is online, and who was."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api.serving import Place, connect, hello


def asked(client: TestClient, place: Place, **parameters: Any) -> dict[str, Any]:
    """Who is there, with everything that is recorded by now."""
    house = client.app_state["house"]
    assert client.portal is not None
    client.portal.call(house.hub.recorded)
    client.portal.call(house.projector.wait_for, house.log.head.position)
    answer = client.get("/v1/audit/presence", params=parameters, headers=place.headers("aud"))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def users(found: dict[str, Any]) -> list[tuple[str, int]]:
    """Who is online, on how many devices."""
    return [(user["user"], user["devices"]) for user in found["online"]]


def test_who_is_connected_is_online_and_was_at_that_position(
    client: TestClient, place: Place
) -> None:
    """Nobody before the first came; then one, then both, and both still when both have left."""
    nobody = client.app_state["house"].log.head.position
    with connect(client) as socket:
        hello(socket, place.tokens["ana"])
        one = asked(client, place)
        with connect(client) as other:
            hello(other, place.tokens["otto"])
            both = asked(client, place)
    left = asked(client, place)
    assert (users(one), users(both)) == ([("ana", 1)], [("ana", 1), ("otto", 1)])
    assert users(left) == users(both), "a reload or a tunnel must not flicker"
    assert left["connections"] == []
    for then in (one, both):
        position = int(then["cursor"].split(".")[1])
        again = asked(client, place, as_of=position)
        assert (again["connections"], again["cursor"]) == (then["connections"], then["cursor"])
        assert users(again) == users(then)
    assert asked(client, place, as_of=nobody)["online"] == []
    assert [row["user"] for row in both["connections"]] == ["otto", "ana"]
    assert (
        asked(client, place, as_of=both["connections"][0]["opened_at"])["connections"]
        == (both["connections"])
    )


def test_a_page_goes_on_before_the_last_connection(client: TestClient, place: Place) -> None:
    """The newest first, ``limit`` at a time."""
    with connect(client) as socket, connect(client) as other:
        hello(socket, place.tokens["ana"])
        hello(other, place.tokens["otto"])
        [newest] = asked(client, place, limit=1)["connections"]
        [oldest] = asked(client, place, limit=1, before=newest["position"])["connections"]
    assert (newest["user"], oldest["user"]) == ("otto", "ana")


@pytest.mark.parametrize("bad", ["limit=0", "limit=1001", "before=x", "as_of=soon", "user=ana"])
def test_what_cannot_be_asked_is_refused(client: TestClient, place: Place, bad: str) -> None:
    """400 for a parameter that is none or has no such value."""
    answer = client.get(f"/v1/audit/presence?{bad}", headers=place.headers("aud"))
    assert answer.status_code == 400
