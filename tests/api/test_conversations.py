"""/v1/conversations: as they stand, as they stood, and who may ask for which."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api.serving import Place, chat, order, post, serving


@pytest.fixture
def client(place: Place) -> Iterator[TestClient]:
    """A server on it, with two conversations in one inbox and one in the other."""
    with serving(place.folder) as client:
        post(client, "support", chat("s-1", "first", "5511955501111"))
        post(client, "support", chat("s-2", "second", "5511955502222"))
        post(client, "support", chat("s-3", "third", "5511955501111"))
        post(client, "orders", order("o-1"))
        # sync waits until the rows are there
        client.get("/v1/sync", headers=place.headers("adm"))
        yield client


def get(client: TestClient, place: Place, user: str, path: str, **query: Any) -> dict[str, Any]:
    """A GET below /v1/conversations that must be answered 200."""
    answer = client.get(f"/v1/conversations{path}", params=query, headers=place.headers(user))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def own(client: TestClient, place: Place, user: str) -> list[str]:
    """The ids of a user's conversations, the newest first."""
    return [row["id"] for row in get(client, place, user, "")["conversations"]]


def test_the_newest_conversation_comes_first(client: TestClient, place: Place) -> None:
    """With the cursor at which the answer stands."""
    answer = get(client, place, "ana", "")
    assert [row["last"]["text"] for row in answer["conversations"]] == ["third", "second"]
    assert answer["cursor"].count(".") == 2


def test_a_page_goes_on_before_the_last_one(client: TestClient, place: Place) -> None:
    """`before` is the position of the last row."""
    [first] = get(client, place, "ana", "", limit=1)["conversations"]
    [second] = get(client, place, "ana", "", limit=1, before=first["last_position"])[
        "conversations"
    ]
    assert first["id"] != second["id"]


def test_an_inbox_one_may_not_see_is_as_empty_as_one_that_is_not(
    client: TestClient, place: Place
) -> None:
    """Names and counts of other inboxes are nobody's business (G21)."""
    theirs = get(client, place, "ana", "", inbox="orders")
    nobodys = get(client, place, "ana", "", inbox="nowhere")
    assert theirs["conversations"] == nobodys["conversations"] == []


def test_messages_come_newest_first_and_as_of_a_position(client: TestClient, place: Place) -> None:
    """The past does not change when the present does."""
    newest = own(client, place, "ana")[0]
    messages = get(client, place, "ana", f"/{newest}/messages")["messages"]
    assert [message["preview"] for message in messages] == ["third", "first"]
    then = messages[1]["position"]
    for as_of in (then, messages[1]["time"]):
        [before] = get(client, place, "ana", f"/{newest}/messages", as_of=as_of)["messages"]
        assert before["preview"] == "first"
    assert get(client, place, "ana", f"/{newest}", as_of=then)["conversation"]["messages"] == 1


@pytest.mark.parametrize("path", ["", "/messages"])
def test_a_foreign_conversation_and_none_at_all_answer_alike(
    client: TestClient, place: Place, path: str
) -> None:
    """Same status, same body."""
    [foreign] = own(client, place, "otto")
    headers = place.headers("ana") | {"X-Request-ID": "the-same"}
    answers = [
        client.get(f"/v1/conversations/{id_}{path}", headers=headers)
        for id_ in (foreign, "c_00000000000000000000", "%00", "x" * 5000)
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1


def test_read_is_recorded_and_seen_at_once(client: TestClient, place: Place) -> None:
    """Read your own writes; the same again adds nothing."""
    newest = own(client, place, "ana")[0]
    row = get(client, place, "ana", f"/{newest}")["conversation"]
    assert row["unread"] == 2
    path, body = f"/v1/conversations/{newest}/read", {"position": row["last_position"]}
    first = client.post(path, json=body, headers=place.headers("ana"))
    assert first.status_code == 200
    assert get(client, place, "ana", f"/{newest}")["conversation"]["unread"] == 0
    assert client.post(path, json=body, headers=place.headers("ana")).json() == first.json()


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b"7", b'{"position": 0}', b'{"position": -1}', b'{"position": "1"}',
     b'{"position": true}', b'{"position": 1.0}', b'{"position": 999999}',
     b'{"position": 1, "x": 1}', b'{"position": NaN}', b"\xff", b"[" * 4000,
     b'{"position": 99999999999999999999999}',
     b'{"position": null}'],
)  # fmt: skip
def test_a_malformed_read_is_400(client: TestClient, place: Place, body: bytes) -> None:
    """Whatever is in it."""
    newest = own(client, place, "ana")[0]
    answer = client.post(
        f"/v1/conversations/{newest}/read", content=body, headers=place.headers("ana")
    )
    assert answer.status_code == 400


def test_a_read_of_4_kib_is_read_no_further(client: TestClient, place: Place) -> None:
    """Every body has a limit."""
    answer = client.post(
        "/v1/conversations/x/read", content=b" " * 5000, headers=place.headers("ana")
    )
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "before=x", "as_of=tomorrow", "as_of=99999999", "as_of=-1", "cursor=1",
     "inbox=", "as_of=2026-11-22"],
)  # fmt: skip
def test_a_bad_parameter_is_400(client: TestClient, place: Place, query: str) -> None:
    """Strictly read, as everywhere."""
    answer = client.get(f"/v1/conversations?{query}", headers=place.headers("ana"))
    assert answer.status_code == 400
