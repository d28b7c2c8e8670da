"""What goes wrong behind a route is answered in one way, whatever the route."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from projections.projector import ProjectionsBehind, Projector
from tests.api.serving import Place, chat, post


@pytest.mark.parametrize(
    "path",
    [
        "/v1/sync",
        "/v1/conversations",
        "/v1/conversations?as_of=1",
        "/v1/conversations/c_1",
        "/v1/conversations/c_1/messages",
        "/v1/deliveries",
        "/v1/metrics/history",
        "/v1/audit/checkpoints",
        "/v1/audit/ledger",
        "/v1/audit/presence",
        "/v1/audit/screen?user=ana",
        "/v1/audit/trace/{message}",
        "/debug/deliveries",
    ],
)
def test_projections_that_are_made_anew_are_a_matter_of_a_moment(
    client: TestClient, place: Place, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """503 with `Retry-After`, and never a 500: the log is whole, and the rows are coming."""
    message = post(client, "support", chat("wamid.1")).json()["receipts"][0]["position"]

    async def fail(*_: object) -> None:
        raise ProjectionsBehind("the projections are being folded anew")

    for name in ("fetch", "fetch_as_of", "wait_for"):
        monkeypatch.setattr(Projector, name, fail)
    answer = client.get(path.format(message=message), headers=place.headers("adm"))
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:malote:problem:overloaded"
    assert answer.json()["detail"] == "the lists are being brought up to date"
    assert answer.headers["Retry-After"] == "1"
