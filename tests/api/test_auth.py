"""Who may ask: every route for every role, tokens of both kinds, and what refusals give away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from httpx2 import Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient

from api.app import ROUTES
from api.control import call
from tests.api.serving import JWT_SECRET, USERS, Place, chat, order, post, serving

OPEN_TO_ANYONE = {"/livez", "/readyz", "/webhooks/{inbox}", "/openapi.json", "/asyncapi.json"}
STREAMS = {"/v1/events", "/v1/ws"}
"""They end with their client; their own files test who is let in."""


@pytest.fixture
def client(place: Place) -> Iterator[TestClient]:
    """A server on it that also takes a backend's JWTs, with one message in `support`."""
    with serving(place.folder, jwt_secret=JWT_SECRET) as client:
        post(client, "support", chat("s-1"))
        post(client, "orders", order("o-1"))
        yield client


@pytest.fixture(scope="module")
def stranger(shared_place: Place) -> Iterator[TestClient]:
    """Such a server for all who ask in vain: whoever is refused leaves nothing behind."""
    with serving(shared_place.folder, jwt_secret=JWT_SECRET) as client:
        yield client


def conversation(client: TestClient, place: Place, user: str = "ana") -> str:
    """The id of the one conversation that this member sees."""
    page = client.get("/v1/sync", headers=place.headers(user)).json()
    found: str = page["conversations"][0]["id"]
    return found


NOBODY = dict.fromkeys(USERS, 404)
OF_SUPPORT = {"ana": 200, "otto": 404, "noa": 404, "aud": 200, "adm": 200}
OF_ORDERS = {"ana": 404, "otto": 200, "noa": 404, "aud": 200, "adm": 200}
ANY = dict.fromkeys(USERS, 200)
ADMIN = dict.fromkeys(USERS, 403) | {"adm": 200}
WRITE = {"aud": 403}
ADMIN_NONE = ADMIN | {"adm": 404}
AUDIT = dict.fromkeys(USERS, 403) | {"aud": 200, "adm": 200}
MATRIX: list[tuple[str, str, dict[str, int]]] = [
    ("GET", "/v1/me", ANY),
    ("GET", "/v1/sync", ANY),
    ("GET", "/v1/conversations", ANY),
    ("GET", "/v1/conversations/{id}", OF_SUPPORT),
    ("GET", "/v1/conversations/{id}/messages", OF_SUPPORT),
    ("POST", "/v1/conversations/{id}/read", OF_SUPPORT | WRITE),
    ("POST", "/v1/inboxes/{inbox}/test-message", ADMIN),
    ("GET", "/v1/deliveries", ANY),
    ("POST", "/v1/deliveries/{device}/replay", ADMIN | {"adm": 400}),
    ("GET", "/v1/metrics/history", AUDIT),
    ("GET", "/debug/connections", ADMIN),
    ("GET", "/debug/deliveries", ADMIN),
    ("GET", "/debug/config", ADMIN),
    ("GET", "/metrics", ADMIN),
    ("GET", "/v1/audit/checkpoint", AUDIT | {"aud": 404, "adm": 404}),
    ("GET", "/v1/audit/checkpoints", AUDIT),
    ("GET", "/v1/audit/events", AUDIT),
    ("GET", "/v1/audit/ledger", AUDIT),
    ("GET", "/v1/audit/presence", AUDIT),
    ("GET", "/v1/audit/trace/{position}", AUDIT),
    ("GET", "/v1/audit/screen", AUDIT | {"aud": 400, "adm": 400}),
    ("POST", "/v1/audit/redact", AUDIT | {"aud": 400, "adm": 400}),
]
"""Each route, and how it answers each user where its id is support's. A route has to be here, or to
be open to anyone on purpose."""


def ask(
    client: TestClient, place: Place, method: str, path: str, user: str, **ids: str
) -> Response:
    """Ask as this user."""
    body = {"position": 1} if path.endswith("/read") else None
    return client.request(method, path.format(**ids), json=body, headers=place.headers(user))


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize(("method", "path", "expected"), MATRIX, ids=lambda value: str(value)[:40])
def test_each_route_answers_each_role_as_the_table_says(
    client: TestClient, place: Place, method: str, path: str, expected: dict[str, int], user: str
) -> None:
    """Own inbox, another's inbox, none, auditor, admin."""
    ids = {"id": conversation(client, place), "inbox": "support", "device": "desk"}
    ids["position"] = client.get("/v1/sync", headers=place.headers("ana")).json()["events"][0][
        "position"
    ]
    answer = ask(client, place, method, path, user, **ids)
    assert answer.status_code == expected[user]
    if path in ("/v1/sync", "/v1/conversations"):
        seen = [OF_SUPPORT[user], OF_ORDERS[user]].count(200)
        assert len(answer.json()["conversations"]) == seen


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [row for row in MATRIX if "{id}" in row[1] or "{inbox}" in row[1]],
    ids=lambda value: str(value)[:40],
)
def test_a_foreign_id_and_one_that_never_was_answer_alike(
    client: TestClient, place: Place, method: str, path: str, expected: dict[str, int], user: str
) -> None:
    """The other inbox's id answers its own people; for everybody else it does not exist."""
    refused = {name: status for name, status in expected.items() if status == 403}
    foreign = {"id": conversation(client, place, "otto"), "inbox": "orders"}
    answer = ask(client, place, method, path, user, **foreign)
    assert answer.status_code == (OF_ORDERS | refused)[user]
    none = ask(client, place, method, path, user, id="c_" + "0" * 20, inbox="nowhere")
    assert none.status_code == (NOBODY | refused)[user]
    if answer.status_code == 404:
        same = ("type", "title", "status", "detail")
        assert [answer.json().get(key) for key in same] == [none.json().get(key) for key in same]
        assert answer.headers.keys() == none.headers.keys()


def test_the_table_has_every_route_that_asks_for_a_token() -> None:
    """A new route must be added to the matrix, or be open to anyone on purpose."""
    covered = {(method, path) for method, path, _ in MATRIX}
    there = {
        (method, route.path)
        for route in ROUTES
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert len(covered) == len(MATRIX)
    assert {path for _, path in there - covered} == OPEN_TO_ANYONE | (STREAMS - {"/v1/ws"})
    assert covered <= there
    assert {route.path for route in ROUTES if isinstance(route, WebSocketRoute)} == {"/v1/ws"}


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Basic YTpi", "Bearer mlt_x_y", "Bearer \u00e9".encode(),
     b"Bearer \xff", "mlt_0", "Bearer a.b.c", "Bearer " + "x" * 10_000,
     f"Bearer mlt_{'0' * 32}_{'A' * 32}"],
)  # fmt: skip
@pytest.mark.parametrize(
    ("method", "path"), [*((method, path) for method, path, _ in MATRIX), ("GET", "/v1/events")]
)
def test_without_a_valid_token_every_route_is_401(
    stranger: TestClient, method: str, path: str, authorization: str | bytes | None
) -> None:
    """With the scheme to try, before anything is looked up or read."""
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = stranger.request(
        method, path.format(id="c_1", inbox="orders", device="desk", position=1), headers=headers
    )
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["type"] == "urn:malote:problem:unauthorized"


def test_a_token_in_the_query_is_no_token(stranger: TestClient, place: Place) -> None:
    """It would end up in somebody's access log."""
    assert stranger.get(f"/v1/sync?token={place.tokens['ana']}").status_code == 401


def test_a_revoked_token_is_refused_at_once(client: TestClient, place: Place) -> None:
    """And only that one."""
    assert client.get("/v1/sync", headers=place.headers("ana")).status_code == 200
    asyncio.run(call(place.folder, "revoke_token", token=place.tokens["ana"]))
    assert client.get("/v1/sync", headers=place.headers("ana")).status_code == 401
    assert client.get("/v1/sync", headers=place.headers("otto")).status_code == 200


def test_the_log_alone_revokes(place: Place) -> None:
    """A keyring put back from a backup does not bring a revoked token to life."""
    keyring = place.folder / "keyring.json"
    before = keyring.read_bytes()
    asyncio.run(call(place.folder, "revoke_token", token=place.tokens["ana"]))
    keyring.write_bytes(before)
    with serving(place.folder) as client:
        assert client.get("/v1/sync", headers=place.headers("ana")).status_code == 401
        assert client.get("/v1/sync", headers=place.headers("otto")).status_code == 200


def test_an_expired_token_is_refused(
    client: TestClient, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the server's clock, to the microsecond."""
    made = asyncio.run(call(place.folder, "create_token", user="ana", ttl_s=60))
    headers = {"Authorization": f"Bearer {made['token']}"}
    assert client.get("/v1/sync", headers=headers).status_code == 200
    gate = client.app_state["house"].gate
    monkeypatch.setattr(gate, "_clock", lambda: time.time_ns() // 1000 + 61_000_000)
    assert client.get("/v1/sync", headers=headers).status_code == 401


def test_a_changed_role_counts_from_the_next_question(client: TestClient, place: Place) -> None:
    """Nothing of an earlier answer is remembered."""
    id_ = conversation(client, place)
    assert client.get(f"/v1/conversations/{id_}", headers=place.headers("ana")).status_code == 200
    asyncio.run(call(place.folder, "add_user", name="ana", role="member", inboxes=["orders"]))
    assert client.get(f"/v1/conversations/{id_}", headers=place.headers("ana")).status_code == 404


def claims(**changes: Any) -> dict[str, Any]:
    """What a good JWT says, but for these changes; None takes a claim out."""
    good = {
        "sub": "backend-user",
        "inboxes": ["support"],
        "role": "member",
        "exp": int(time.time()) + 60,
    }
    return {name: value for name, value in (good | changes).items() if value is not None}


def with_jwt(client: TestClient, token: str) -> Any:
    """Ask with this JWT."""
    return client.get("/v1/sync", headers={"Authorization": f"Bearer {token}"})


def test_a_backends_jwt_is_taken(client: TestClient) -> None:
    """It says itself who it is for and what they see."""
    page = with_jwt(client, jwt.encode(claims(), JWT_SECRET, "HS256")).json()
    assert {event["inbox"] for event in page["events"]} == {"support"}
    other = with_jwt(client, jwt.encode(claims(inboxes=["orders", "nowhere"]), JWT_SECRET, "HS256"))
    assert {event["inbox"] for event in other.json()["events"]} == {"orders"}
    auditor = jwt.encode(claims(inboxes=[], role="auditor"), JWT_SECRET, "HS256")
    assert with_jwt(client, auditor).json()["events"]


@pytest.mark.parametrize(
    "changes",
    [{"sub": None}, {"inboxes": None}, {"role": None}, {"exp": None}, {"exp": 1}, {"exp": "soon"},
     {"exp": 1e400}, {"sub": "a/b"}, {"sub": ""}, {"sub": "x" * 65}, {"sub": 7}, {"sub": "a\nb"},
     {"role": "root"}, {"role": ["admin"]}, {"inboxes": "support"}, {"inboxes": [1]},
     {"inboxes": {"support": 1}}, {"nbf": int(time.time()) + 3600}],
)  # fmt: skip
def test_a_jwt_with_other_claims_is_refused(stranger: TestClient, changes: dict[str, Any]) -> None:
    """Each claim is required, and of one shape."""
    token = jwt.encode({k: v for k, v in claims(**changes).items() if k != "exp"}, JWT_SECRET)
    if changes.get("exp", 0) is not None:
        try:
            token = jwt.encode(claims(**changes), JWT_SECRET)
        except (TypeError, ValueError, OverflowError):
            pytest.skip("this library does not even encode it")
    assert with_jwt(stranger, token).status_code == 401


def test_a_jwt_of_another_key_or_algorithm_is_refused(client: TestClient) -> None:
    """The algorithm is ours to say, not the token's (RFC 8725)."""
    assert with_jwt(client, jwt.encode(claims(), "x" * 64, "HS256")).status_code == 401
    assert with_jwt(client, jwt.encode(claims(), JWT_SECRET * 2, "HS512")).status_code == 401
    assert with_jwt(client, jwt.encode(claims(), None, "none")).status_code == 401
    long = jwt.encode(claims(inboxes=["support"] * 5000), JWT_SECRET, "HS256")
    assert with_jwt(client, long).status_code == 401


def test_without_a_secret_no_jwt_is_taken(place: Place) -> None:
    """There is no default secret."""
    with serving(place.folder) as client:
        for secret in (JWT_SECRET, "\0" * 32):
            assert with_jwt(client, jwt.encode(claims(), secret, "HS256")).status_code == 401
