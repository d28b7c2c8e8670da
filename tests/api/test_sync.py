"""/v1/sync: all events once, in order, from any cursor; and what is said of any other cursor."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from itertools import pairwise
from typing import Any

import pytest
from starlette.testclient import TestClient

from eventstore.log import EventLog, LogUnavailable
from tests.api.serving import Place, chat, order, post, serving

PER_INBOX = 7


@pytest.fixture
def client(place: Place) -> Iterator[TestClient]:
    """A server on it, with messages in both inboxes."""
    with serving(place.folder) as client:
        for number in range(PER_INBOX):
            assert post(client, "orders", order(f"o-{number}")).status_code == 200
            assert post(client, "support", chat(f"s-{number}")).status_code == 200
        yield client


def sync(client: TestClient, place: Place, user: str, **query: Any) -> dict[str, Any]:
    """One page; it must be answered 200."""
    answer = client.get("/v1/sync", params=query, headers=place.headers(user))
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def all_pages(client: TestClient, place: Place, user: str, limit: int) -> list[dict[str, Any]]:
    """Every page from the beginning until it says that there is no more."""
    pages = [sync(client, place, user, limit=limit)]
    while pages[-1]["has_more"]:
        pages.append(sync(client, place, user, limit=limit, cursor=pages[-1]["cursor"]))
    return pages


@pytest.mark.parametrize("limit", [1, 3, 7, 1000])
def test_the_pages_hold_every_event_once_and_in_order(
    client: TestClient, place: Place, limit: int
) -> None:
    """Whatever the size of a page; and each begins where the one before ended."""
    pages = all_pages(client, place, "ana", limit)
    events = [event for page in pages for event in page["events"]]
    assert [event["data"]["message_id"] for event in events] == [f"s-{n}" for n in range(PER_INBOX)]
    assert [event["position"] for event in events] == sorted(event["position"] for event in events)
    assert all(len(page["events"]) <= limit for page in pages)
    for page, following in pairwise(pages):
        assert following["after"] == page["cursor"]
    assert [page["up_to_date"] for page in pages] == [False] * (len(pages) - 1) + [True]


@pytest.mark.parametrize(
    ("user", "inboxes"),
    [("ana", {"support"}), ("otto", {"orders"}), ("noa", set()), ("aud", {"support", "orders"}),
     ("adm", {"support", "orders"})],
)  # fmt: skip
def test_everybody_gets_their_own_inboxes_only(
    client: TestClient, place: Place, user: str, inboxes: set[str]
) -> None:
    """Events and conversations alike, and no raw webhook for anybody."""
    page = sync(client, place, user)
    assert {event["inbox"] for event in page["events"]} == inboxes
    assert {row["inbox"] for row in page["conversations"]} == inboxes
    assert not [event for event in page["events"] if event["type"].startswith("webhook.")]


def test_the_receipt_can_be_computed_by_the_client(client: TestClient, place: Place) -> None:
    """SHA-256 over each event's cursor and a line feed."""
    page = sync(client, place, "ana", limit=3)
    text = "".join(f"{event['cursor']}\n" for event in page["events"])
    assert page["receipt"] == {
        "from": page["after"],
        "to": page["cursor"],
        "count": 3,
        "digest": sha256(text.encode()).hexdigest(),
    }
    assert page["skipped"] is None


def test_up_to_date_means_that_nothing_was_missed(client: TestClient, place: Place) -> None:
    """What comes after an up-to-date answer is exactly what that answer's cursor gives next."""
    done = sync(client, place, "ana")
    assert sync(client, place, "ana", cursor=done["cursor"])["events"] == []
    post(client, "orders", order("not-for-ana"))
    post(client, "support", chat("s-new"))
    [event] = sync(client, place, "ana", cursor=done["cursor"])["events"]
    assert event["data"]["message_id"] == "s-new"


def test_the_touched_conversations_stand_at_or_after_the_page(
    client: TestClient, place: Place
) -> None:
    """Only those that the events touched, as they are by then."""
    done = sync(client, place, "ana")
    post(client, "support", chat("s-new", contact="5511999990000"))
    page = sync(client, place, "ana", cursor=done["cursor"])
    [conversation] = page["conversations"]
    assert conversation["id"] == page["events"][0]["conversation"]
    assert conversation["touched"] >= page["events"][0]["position"]


def test_since_begins_with_the_events_of_that_moment(client: TestClient, place: Place) -> None:
    """A time is sought once; the cursor goes on from there."""
    events = sync(client, place, "ana")["events"]
    since = sync(client, place, "ana", since=events[3]["time"])
    assert since["events"] == events[3:]
    assert sync(client, place, "ana", since="1970-01-01T00:00:00Z")["events"] == events


@pytest.mark.parametrize(
    "query",
    ["cursor=x", "cursor=a.1.0000000g", "since=2999-01-01T00:00:00Z", "since=yesterday", "limit=0",
     "limit=1001", "limit=x", "page=2", "limit=1&limit=2", "cursor=a.1.00000000&since=x",
     "cursor=", "cursor=%00", "cursor=a.99999999999999999999.00000000", "limit=%ff",
     "since=1970-01-01T00:00:00Z&cursor=a.1.00000000"],
)  # fmt: skip
def test_a_bad_parameter_is_400(client: TestClient, place: Place, query: str) -> None:
    """Unknown, twice, out of bounds, malformed: said so, never guessed."""
    answer = client.get(f"/v1/sync?{query}", headers=place.headers("ana"))
    assert answer.status_code == 400
    assert answer.json()["type"].startswith("urn:malote:problem:")


def test_a_cursor_of_another_history_is_410_and_says_where_to_go_on(
    client: TestClient, place: Place
) -> None:
    """Beyond the head, another hash, another epoch: each by its name (G9)."""
    epoch, position, hash8 = sync(client, place, "ana")["cursor"].split(".")
    other = "0" * 8 if hash8 != "0" * 8 else "1" * 8
    for cursor, reason in [
        (f"{epoch}.{int(position) + 1000}.{hash8}", "ahead_of_log"),
        (f"{epoch}.{position}.{other}", "history_differs"),
        (f"another.{position}.{hash8}", "epoch_changed"),
    ]:
        answer = client.get("/v1/sync", params={"cursor": cursor}, headers=place.headers("ana"))
        assert answer.status_code == 410
        problem = answer.json()
        assert problem["type"] == "urn:malote:problem:reset"
        assert problem["reason"] == reason
        assert sync(client, place, "ana", cursor=problem["reset_to"])["events"] == []


def test_what_was_served_is_recorded_and_nothing_is_not(client: TestClient, place: Place) -> None:
    """One sync.served for a page with events; polling in vain does not grow the log."""
    first = sync(client, place, "ana")
    at = int(sync(client, place, "ana", cursor=first["cursor"])["cursor"].split(".")[1])
    again = int(sync(client, place, "ana", cursor=first["cursor"])["cursor"].split(".")[1])
    assert at == again == int(first["cursor"].split(".")[1]) + 1


def test_reading_goes_on_while_the_log_takes_nothing(
    client: TestClient, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk stops no reader (G15)."""

    async def refuse(*_: object) -> None:
        raise LogUnavailable("disk")

    monkeypatch.setattr(EventLog, "append", refuse)
    assert len(sync(client, place, "ana")["events"]) == PER_INBOX


def test_an_event_is_the_object_of_the_protocol(client: TestClient, place: Place) -> None:
    """The same fields on every surface, spliced from the stored bytes."""
    [event] = sync(client, place, "ana", limit=1)["events"]
    assert list(event) == [
        "position", "cursor", "type", "version", "time", "inbox", "conversation", "data",
    ]  # fmt: skip
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", event["time"])
    assert event["cursor"].split(".")[1] == str(event["position"])
