"""/v1/me, and the test message that an administrator can send."""

from __future__ import annotations

import jwt
import pytest
from starlette.testclient import TestClient

from tests.api.serving import JWT_SECRET, Place, chat, post, serving

SUPPORT = {"id": "support", "provider": "whatsapp", "webhook_path": "/webhooks/support"}
ORDERS = {"id": "orders", "provider": "standard", "webhook_path": "/webhooks/orders"}


@pytest.mark.parametrize(
    ("user", "role", "inboxes", "may"),
    [
        ("ana", "member", [SUPPORT], ["read"]),
        ("noa", "member", [], ["read"]),
        ("aud", "auditor", [ORDERS, SUPPORT], []),
        ("adm", "admin", [ORDERS, SUPPORT], ["read", "send_test_message"]),
    ],
)
def test_everybody_is_told_who_they_are_and_nothing_of_others_inboxes(
    client: TestClient, place: Place, user: str, role: str, inboxes: object, may: list[str]
) -> None:
    """Names of inboxes one may not see are nobody's business (security row 27)."""
    answer = client.get("/v1/me", headers=place.headers(user))
    known = {"user": user, "role": role, "inboxes": inboxes, "may": may}
    assert answer.json() == {**known, "expires_at": None}


def test_a_token_that_ends_says_when(place: Place) -> None:
    """So that a page can say it before it happens: no page can renew a token."""
    claims = {"sub": "ana", "role": "member", "inboxes": ["support"], "exp": 4_102_444_800}
    token = jwt.encode(claims, JWT_SECRET, algorithm="HS256")
    with serving(place.folder, jwt_secret=JWT_SECRET) as client:
        answer = client.get("/v1/me", headers={"Authorization": f"Bearer {token}"}).json()
    assert answer["expires_at"] == "2100-01-01T00:00:00.000000Z"


def test_nobody_is_told_nothing(client: TestClient) -> None:
    """Without a token there is no answer."""
    assert client.get("/v1/me").status_code == 401


@pytest.mark.parametrize("inbox", ["support", "orders"])
def test_an_administrator_sends_a_test_message_and_it_is_in_the_inbox(
    client: TestClient, place: Place, inbox: str
) -> None:
    """Signed and verified like any webhook; the answer is the provider's, with receipts."""
    headers = place.headers("adm")
    answer = client.post(f"/v1/inboxes/{inbox}/test-message", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["accepted"] >= 1
    events = client.get("/v1/sync", headers=headers).json()["events"]
    assert {event["inbox"] for event in events} == {inbox}


@pytest.mark.parametrize("user", ["ana", "aud"])
def test_only_administrators_send_test_messages(
    client: TestClient, place: Place, user: str
) -> None:
    """A member writes nothing into an inbox, an auditor nothing anywhere."""
    answer = client.post("/v1/inboxes/support/test-message", headers=place.headers(user))
    assert answer.status_code == 403


def test_an_inbox_that_is_not_there_gets_no_test_message(client: TestClient, place: Place) -> None:
    """As everywhere: 404."""
    answer = client.post("/v1/inboxes/nowhere/test-message", headers=place.headers("adm"))
    assert answer.status_code == 404


def test_words_are_looked_for_in_the_callers_inboxes_only(client: TestClient, place: Place) -> None:
    """With the message that matches; a question without words is a 400."""
    post(client, "support", chat("s-1", "Não chegou"))
    client.get("/v1/sync", headers=place.headers("ana"))

    def search(user: str, q: str) -> list[str]:
        answer = client.get("/v1/conversations", params={"q": q}, headers=place.headers(user))
        assert answer.status_code == 200, answer.text
        return [row["match"]["text"] for row in answer.json()["conversations"]]

    assert search("ana", "nao") == ["Não chegou"]
    assert search("otto", "nao") == []
    for wrong in ("", "  ", "x" * 201):
        answer = client.get("/v1/conversations", params={"q": wrong}, headers=place.headers("ana"))
        assert answer.status_code == 400
