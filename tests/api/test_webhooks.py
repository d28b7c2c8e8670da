"""Webhooks in: who is let in, what is answered, and what is in the log afterwards."""

from __future__ import annotations

import sqlite3
from base64 import b64decode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from api.providers import standard
from eventstore.log import EventLog, LogHalted, LogUnavailable
from tests.api.serving import Place, chat, order, post, signed


def stored(folder: Path) -> list[tuple[str | None, str]]:
    """Raw body (base64) and correlation id of each event of an inbox, read without our own code."""
    query = """SELECT data ->> '$.body', correlation_id FROM events
        WHERE stream GLOB 'inbox:*' ORDER BY position"""
    with closing(sqlite3.connect(f"file:{folder / 'log.db'}?mode=ro", uri=True)) as database:
        return database.execute(query).fetchall()


def stored_bodies(folder: Path) -> list[bytes]:
    """The raw webhooks in the log, in order."""
    return [b64decode(body) for body, _ in stored(folder) if body is not None]


def test_a_message_is_answered_with_its_receipt(client: TestClient) -> None:
    """The receipt is the message's, not the raw webhook's."""
    answer = post(client, "orders", order("m-1"))
    assert answer.status_code == 200
    given = answer.json()
    assert (given["accepted"], given["duplicates"]) == (1, 0)
    [receipt] = given["receipts"]
    assert len(receipt["hash"]) == 64


def test_a_repeat_gets_the_first_receipt(client: TestClient) -> None:
    """However often it comes, and whatever its body is by then."""
    first = post(client, "orders", order("m-1")).json()["receipts"]
    for text in ("hello", "something else"):
        again = post(client, "orders", order("m-1", text)).json()
        assert (again["accepted"], again["duplicates"]) == (0, 1)
        assert again["receipts"] == first


def test_the_same_id_on_two_inboxes_is_two_messages(client: TestClient) -> None:
    """Keys count within an inbox."""
    one = post(client, "orders", order("wamid-1")).json()
    other = post(client, "support", chat("wamid-1")).json()
    assert one["accepted"] == other["accepted"] == 1


def test_what_is_authentic_but_not_understood_is_kept(client: TestClient, place: Place) -> None:
    """200, with the receipt of the stored webhook."""
    body = b"not json at all \xff\xfe"
    answer = post(client, "orders", (body, signed("orders", body)))
    assert answer.status_code == 200
    assert answer.json()["accepted"] == 1
    assert stored_bodies(place.folder) == [body]


def tampered(inbox: str) -> list[tuple[str, bytes, dict[str, str | bytes]]]:
    """Webhooks that prove nothing, each for another reason."""
    body, headers = order("m-1") if inbox == "orders" else chat("m-1")
    name = "webhook-signature" if inbox == "orders" else "x-hub-signature-256"
    good: dict[str, str | bytes] = {**{key.lower(): value for key, value in headers.items()}}
    cases: list[tuple[str, bytes, dict[str, str | bytes]]] = [
        ("another body", body + b" ", good),
        ("no headers", body, {}),
        ("non-ASCII signature", body, good | {name: "sha256=\u00e9".encode()}),
        ("raw bytes", body, good | {name: b"v1,\xff\xfe"}),
        ("empty signature", body, good | {name: ""}),
        ("wrong signature", body, good | {name: "sha256=" + "0" * 64}),
    ]
    if inbox == "orders":
        cases += [
            ("another time", body, good | {"webhook-timestamp": "1"}),
            ("no number", body, good | {"webhook-timestamp": "now"}),
            ("overflow", body, good | {"webhook-timestamp": "9" * 400}),
            ("a dot", body, good | {"webhook-id": "a.b"}),
        ]
    return cases


@pytest.mark.parametrize("inbox", ["orders", "support"])
def test_every_refusal_looks_the_same(client: TestClient, place: Place, inbox: str) -> None:
    """Unknown inbox, bad signature, bad timestamp: one status and, but for the id, one body."""
    answers = {}
    for why, body, headers in tampered(inbox):
        for target in (inbox, "nobody"):
            answers[why, target] = client.post(
                f"/webhooks/{target}", content=body, headers=headers | {"X-Request-ID": "the-same"}
            )
    body, headers = order("m-1")
    answers["right", "nobody"] = client.post(
        "/webhooks/nobody", content=body, headers=headers | {"X-Request-ID": "the-same"}
    )
    assert {answer.status_code for answer in answers.values()} == {401}
    assert len({answer.content for answer in answers.values()}) == 1
    assert len({str(sorted(answer.headers.items())) for answer in answers.values()}) == 1
    assert stored_bodies(place.folder) == []


def test_an_unknown_inbox_costs_a_verification_too(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The body is hashed for an inbox nobody knows, so that time does not tell."""
    verified: list[tuple[bytes, int]] = []
    verify = standard.verify

    def counted(headers, body, secrets, now_s) -> None:  # type: ignore[no-untyped-def] # as verify's
        verified.append((body, len(secrets)))
        verify(headers, body, secrets, now_s)

    monkeypatch.setattr(standard, "verify", counted)
    body, headers = order("m-1")
    client.post("/webhooks/nobody", content=body, headers=headers)
    assert verified == [(body, 1)]


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "identity, gzip", "GZIP"])
def test_an_encoded_body_is_415(client: TestClient, encoding: str) -> None:
    """What was signed is what is on the wire."""
    body, headers = order("m-1")
    answer = client.post(
        "/webhooks/orders", content=body, headers=headers | {"Content-Encoding": encoding}
    )
    assert answer.status_code == 415


def test_identity_is_no_encoding(client: TestClient) -> None:
    """Saying so is allowed."""
    body, headers = order("m-1")
    headers["Content-Encoding"] = "identity"
    assert client.post("/webhooks/orders", content=body, headers=headers).status_code == 200


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("inbox", "most"),
    [("orders", 256 * 1024), ("support", 3 * 1024 * 1024), ("nobody", 256 * 1024)],
)
def test_a_body_over_the_limit_is_413(
    client: TestClient, inbox: str, most: int, chunked: bool
) -> None:
    """By its declared length, or as soon as it has come; at the limit it is only unauthentic."""

    def content(size: int) -> bytes | Iterator[bytes]:
        return (b"x" * size for _ in range(1)) if chunked else b"x" * size

    assert client.post(f"/webhooks/{inbox}", content=content(most + 1)).status_code == 413
    assert client.post(f"/webhooks/{inbox}", content=content(most)).status_code == 401


@pytest.mark.parametrize("trouble", [LogUnavailable("disk", 7.0), LogHalted("chain")])
def test_our_own_trouble_is_503_with_retry_after(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    """Never a 4xx, after which a provider gives up."""

    async def refuse(*_: object) -> None:
        raise trouble

    monkeypatch.setattr(EventLog, "append", refuse)
    answer = post(client, "orders", order("m-1"))
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["type"] == "urn:malote:problem:log-unavailable"


def test_the_challenge_is_answered_in_plain_text(client: TestClient) -> None:
    """Meta wants back what it sent, and nothing else."""
    query = {
        "hub.mode": "subscribe",
        "hub.verify_token": "verify-me",
        "hub.challenge": "1158201444",
    }
    answer = client.get("/webhooks/support", params=query)
    assert (answer.status_code, answer.text) == (200, "1158201444")
    assert answer.headers["content-type"].startswith("text/plain")


def test_a_wrong_challenge_is_403_whatever_the_inbox(client: TestClient) -> None:
    """Wrong token, provider without a handshake, unknown inbox: alike."""
    query = {"hub.mode": "subscribe", "hub.verify_token": "wrong", "hub.challenge": "1"}
    answers = [
        client.get(f"/webhooks/{inbox}", params=query, headers={"X-Request-ID": "the-same"})
        for inbox in ("support", "orders", "nobody")
    ]
    assert {answer.status_code for answer in answers} == {403}
    assert len({answer.content for answer in answers}) == 1


def test_a_slash_at_the_end_is_not_redirected(client: TestClient) -> None:
    """A redirected POST would come back without its body."""
    body, headers = order("m-1")
    answer = client.post("/webhooks/orders/", content=body, headers=headers, follow_redirects=False)
    assert answer.status_code == 404


def test_the_request_id_becomes_the_correlation_id(client: TestClient, place: Place) -> None:
    """From an answer to what it recorded."""
    body, headers = order("m-1")
    client.post("/webhooks/orders", content=body, headers=headers | {"X-Request-ID": "delivery-77"})
    assert {ident for _, ident in stored(place.folder)} == {"delivery-77"}


def test_no_secret_signature_or_body_is_in_any_log_line(
    client: TestClient,
    place: Place,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Everything that went in, well and badly, and then the lines searched for it."""
    body, headers = order("m-1", "a very private text")
    post(client, "orders", (body, headers))
    post(client, "orders", (body + b" ", headers))
    for user in place.tokens:
        client.get("/v1/sync", headers=place.headers(user))
        client.get(f"/v1/sync?token={place.tokens[user]}", headers=place.headers(user))
    client.get("/v1/sync", headers={"Authorization": f"Bearer {place.tokens['ana']}x"})
    printed = caplog.text + "".join(capsys.readouterr())
    assert "webhook refused" in printed
    for secret in (*place.tokens.values(), "a very private text", *headers.values(), "whsec_"):
        assert secret not in printed
