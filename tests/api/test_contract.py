"""``/openapi.json`` and ``/asyncapi.json``: complete, valid, and true of what is answered."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, get_args

import jsonschema_rs
import pytest
from httpx2 import Response
from starlette.requests import Request
from starlette.routing import Route
from starlette.testclient import TestClient

from api.app import ROUTES
from api.asyncapi import asyncapi
from api.openapi import openapi
from api.operations import OPERATIONS
from api.parameters import MEANINGS
from api.problems import PROBLEMS
from api.routes import query
from tests.api.serving import Place, chat, connect, hello, order, post, serving
from transport.frames import ClientFrame, ServerFrame, frame_type

STREAMS = {"/v1/events"}
READ_OTHERWISE = {("GET", "/v1/events"), ("GET", "/readyz")}
"""A stream without end, and a route that takes any query."""

IDS = {"device": "desk", "id": "c_none", "inbox": "nowhere", "position": "1000000"}


@contextmanager
def with_messages(place: Place) -> Iterator[TestClient]:
    """A server on it with a message in each inbox."""
    with serving(place.folder) as client:
        post(client, "support", chat("s-1"))
        post(client, "orders", order("o-1"))
        client.get("/v1/sync", headers=place.headers("adm"))
        yield client


@pytest.fixture
def client(place: Place) -> Iterator[TestClient]:
    """Such a server."""
    with with_messages(place) as client:
        yield client


@pytest.fixture(scope="module")
def asked(shared_place: Place) -> Iterator[TestClient]:
    """Such a server for all who only look."""
    with with_messages(shared_place) as client:
        yield client


def described(client: TestClient) -> dict[str, Any]:
    """The document that the server gives."""
    document: dict[str, Any] = client.get("/openapi.json").json()
    return document


def demand_true(document: dict[str, Any], method: str, path: str, answer: Response) -> None:
    """Status, media type and body are among those that the document has."""
    answers = document["paths"][path][method.lower()]["responses"]
    assert str(answer.status_code) in answers, f"{answer.status_code} is not described"
    content = answers[str(answer.status_code)]["content"]
    media_type = answer.headers["content-type"].partition(";")[0]
    assert media_type in content
    if "json" in media_type:
        schema = {**content[media_type]["schema"], "components": document["components"]}
        validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
        wrong = [str(error) for error in validator.iter_errors(answer.json())]
        assert not wrong, wrong[0]


def routes() -> list[tuple[str, str]]:
    """Each method of each HTTP route."""
    return [
        (method, route.path)
        for route in ROUTES
        if isinstance(route, Route)
        for method in sorted((route.methods or set()) - {"HEAD"})
    ]


def test_every_route_is_described_and_nothing_else() -> None:
    """A route that is not in the table is in nobody's generated client."""
    assert set(OPERATIONS) == set(routes())


@pytest.mark.parametrize(("method", "path"), sorted(set(OPERATIONS) - READ_OTHERWISE))
def test_each_operation_has_exactly_the_parameters_that_its_handler_reads(
    asked: TestClient, place: Place, monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    """Seen from inside: what the handler asks the query for."""
    read: set[str] = set()
    original = query.parameters

    def spy(request: Request, **readers: Any) -> Any:
        read.update(readers)
        return original(request, **readers)

    monkeypatch.setattr(query, "parameters", spy)
    asked.request(method, path.format(**IDS | {"inbox": "orders"}), headers=place.headers("adm"))
    assert read == set(OPERATIONS[method, path].parameters)


def test_each_operation_says_who_may_ask() -> None:
    """The roles are read from the routes, and a guarded one answers 401 and 403."""
    paths = openapi(ROUTES)["paths"]
    assert paths["/debug/config"]["get"]["x-roles"] == ["admin"]
    assert paths["/v1/sync"]["get"]["x-roles"] == ["admin", "auditor", "member"]
    for method, path in routes():
        operation = paths[path][method.lower()]
        assert operation["summary"]
        guarded = bool(operation["security"])
        assert ("401" in operation["responses"]) == (guarded or path == "/webhooks/{inbox}") or (
            path == "/webhooks/{inbox}" and method == "GET"
        )


@pytest.mark.parametrize(
    "path", sorted({path for method, path in OPERATIONS if method == "GET"} - STREAMS)
)
def test_what_each_role_is_answered_is_as_it_is_described(
    asked: TestClient, place: Place, path: str
) -> None:
    """With ids that exist, ids that do not, a bad query, and without a token."""
    document = described(asked)
    page = asked.get("/v1/sync", headers=place.headers("ana")).json()
    real = {"id": page["conversations"][0]["id"], "inbox": "support"}
    real["position"] = page["events"][0]["position"]
    for user in place.tokens:
        for ids in (real, IDS):
            answer = asked.get(path.format(**ids), headers=place.headers(user))
            demand_true(document, "GET", path, answer)
    demand_true(document, "GET", path, asked.get(path.format(**IDS)))
    bad = asked.get(f"{path.format(**IDS)}?nonsense=1", headers=place.headers("adm"))
    demand_true(document, "GET", path, bad)


def test_what_is_posted_is_answered_as_it_is_described(client: TestClient, place: Place) -> None:
    """Receipts, repeats, refusals, read marks, a sample message."""
    document = described(client)
    for answer in (
        post(client, "orders", order("o-2")),
        post(client, "orders", order("o-2")),
        client.post("/webhooks/orders", content=b"{}"),
        client.post("/webhooks/orders", content=b"x", headers={"Content-Encoding": "gzip"}),
        client.post("/webhooks/orders", content=b"x" * 4_000_000),
    ):
        demand_true(document, "POST", "/webhooks/{inbox}", answer)
    page = client.get("/v1/sync", headers=place.headers("ana")).json()
    route = "/v1/conversations/{id}/read"
    path = route.format(id=page["conversations"][0]["id"])
    for body in ({"position": 1}, {"position": -1}, []):
        answer = client.post(path, json=body, headers=place.headers("ana"))
        demand_true(document, "POST", route, answer)
    route = "/v1/inboxes/{inbox}/test-message"
    for user in ("adm", "ana"):
        answer = client.post(route.format(inbox="orders"), headers=place.headers(user))
        demand_true(document, "POST", route, answer)


def test_a_search_and_a_session_are_as_they_are_described(client: TestClient, place: Place) -> None:
    """The two answers that have more in them when there is something to show."""
    document, admin = described(client), place.headers("adm")
    found = client.get("/v1/conversations?q=hello", headers=admin)
    assert found.json()["conversations"]
    demand_true(document, "GET", "/v1/conversations", found)
    stale = client.get(f"/v1/sync?cursor={'ab' * 16}.1.00000000", headers=admin)
    assert stale.status_code == 410
    demand_true(document, "GET", "/v1/sync", stale)
    with connect(client) as socket:
        hello(socket, place.tokens["ana"])
        answer = client.get("/debug/connections", headers=admin)
        assert answer.json()["connections"]
        demand_true(document, "GET", "/debug/connections", answer)


def test_every_problem_of_http_is_somebodys_answer() -> None:
    """A problem that no operation can give is either dead or not described."""
    text = json.dumps(openapi(ROUTES))
    missing = [kind.name for kind in PROBLEMS if f'"{kind.uri}"' not in text]
    assert missing == ["method-not-allowed"]


def test_the_frames_are_all_in_the_asyncapi_document(client: TestClient) -> None:
    """Each class, with its fields, as one message of the one channel; it is valid AsyncAPI 3."""
    document = client.get("/asyncapi.json").json()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydantic's, about a field of the model's own
        from asyncapi3.models import AsyncAPI3

        AsyncAPI3.model_validate(document)
    names = {frame_type(cls) for cls in (*get_args(ClientFrame), *get_args(ServerFrame))}
    assert set(document["components"]["messages"]) == names
    heard = document["operations"]["hear"]["messages"]
    assert len(heard) == len(get_args(ClientFrame))
    assert document["servers"]["this"] == {
        "host": "127.0.0.1:8080",
        "pathname": "/",
        "protocol": "ws",
    }


def test_each_kind_of_frame_has_an_example_that_is_one(client: TestClient) -> None:
    """Whoever writes a client sees what comes and goes; each is valid by its own schema."""
    document = client.get("/asyncapi.json").json()
    for name, message in document["components"]["messages"].items():
        [example] = message["examples"]
        assert example["payload"]["type"] == name
        schema = {**message["payload"], "components": document["components"]}
        jsonschema_rs.Draft202012Validator(schema).validate(example["payload"])


def test_each_operation_and_parameter_says_what_it_is_for() -> None:
    """In words without markup where viewers show none, under a heading that is told."""
    document = openapi(ROUTES)
    told = {tag["name"] for tag in document["tags"]}
    operations = [each for path in document["paths"].values() for each in path.values()]
    assert {tag for each in operations for tag in each["tags"]} == told
    assert not [each["summary"] for each in operations if "`" in each["summary"]]
    parameters = [one for each in operations for one in each["parameters"]]
    assert all(one["description"].endswith(".") for one in parameters)
    assert {one["name"] for one in parameters} == set(MEANINGS)


def test_every_reference_of_both_documents_leads_somewhere() -> None:
    """A dangling one breaks every generator."""
    for document in (openapi(ROUTES), asyncapi("https://inbox.example.org/malote")):
        references = re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document))
        assert references
        for reference in references:
            found: Any = document
            for part in reference.split("/"):
                found = found[part]


def test_frames_that_are_sent_are_as_they_are_described(client: TestClient, place: Place) -> None:
    """A whole session's frames, both ways, against the schemas of their messages."""
    document = client.get("/asyncapi.json").json()

    def demand_described(frame: dict[str, Any]) -> None:
        message = document["components"]["messages"][frame["type"]]
        schema = {**message["payload"], "components": document["components"]}
        jsonschema_rs.Draft202012Validator(schema).validate(frame)

    seen = set()
    with connect(client) as socket:
        first = {"type": "hello", "token": place.tokens["ana"], "device": "d", "cursor": None}
        demand_described(first)
        socket.send_text(json.dumps(first))
        while "bye" not in seen:
            frame = socket.receive_json()
            demand_described(frame)
            seen.add(frame["type"])
            if frame["type"] == "live":
                post(client, "support", chat("s-2"))
            if frame["type"] == "events":
                ack = {"type": "ack", "cursor": frame["cursor"]}
                demand_described(ack)
                socket.send_text(json.dumps(ack))
                socket.send_text("that is no frame")
    assert seen >= {"welcome", "live", "events", "bye"}
