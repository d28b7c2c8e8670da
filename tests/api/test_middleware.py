"""What every answer has in common: an id, headers, and a problem where there was a crash."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from api import logs
from api.app import EXCEPTION_HANDLERS
from api.middleware import SECURITY_HEADERS, Answers, Hosts, host_name
from api.problems import MEDIA_TYPE, PROBLEMS, Problem
from api.tally import Tally


async def show_id(request: Request) -> Response:
    """Answer with the request's id."""
    return PlainTextResponse(request.scope["request_id"], headers={"X-Frame-Options": "SAMEORIGIN"})


async def crash(request: Request) -> Response:
    """Fail with something in the message that must not get out."""
    raise RuntimeError(f"mlt_secret {request.headers['authorization']}")


async def refuse(request: Request) -> Response:
    """Refuse with the problem type of this name."""
    kind = next(kind for kind in PROBLEMS if kind.name == request.path_params["name"])
    raise Problem(kind, "because", reset_to="a cursor")


async def teapot(_: Request) -> Response:
    """Refuse as Starlette does."""
    raise HTTPException(418)


@pytest.fixture
def client() -> Iterator[TestClient]:
    """A client of an application with our middleware around four routes."""
    tally = Tally()
    app = Starlette(
        routes=[
            Route("/id", show_id),
            Route("/crash", crash),
            Route("/refuse/{name}", refuse),
            Route("/teapot", teapot),
        ],
        middleware=[
            Middleware(Answers, tally=tally),
            Middleware(Hosts, allowed=frozenset({"here"}), tally=tally),
        ],
        exception_handlers=EXCEPTION_HANDLERS,
    )
    app.state.tally = tally
    with TestClient(app, base_url="http://here", raise_server_exceptions=False) as client:
        yield client


def test_a_sane_request_id_is_kept(client: TestClient) -> None:
    """The caller finds its own id in the answer."""
    answer = client.get("/id", headers={"X-Request-ID": "order-1234:a.b"})
    assert answer.text == answer.headers["x-request-id"] == "order-1234:a.b"


@pytest.mark.parametrize("bad", ["short", "x" * 65, "with space", "a\tb-------", "a\u00e9aaaaaaaa"])
def test_another_request_id_is_replaced_by_a_random_one(client: TestClient, bad: str) -> None:
    """It ends up in the log's canonical header: one line of known characters."""
    first, second = (client.get("/id", headers={"X-Request-ID": bad.encode()}) for _ in range(2))
    assert re.fullmatch(r"[0-9a-f]{32}", first.text)
    assert first.text != second.text


TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


def test_a_trace_is_taken_and_continued(client: TestClient) -> None:
    """The caller's trace is the request's id, and the answer goes on in it with a new span."""
    answer = client.get("/id", headers={"traceparent": PARENT})
    assert answer.text == TRACE
    assert re.fullmatch(rf"00-{TRACE}-[0-9a-f]{{16}}-01", answer.headers["traceparent"])
    assert answer.headers["traceparent"] != PARENT


def test_an_own_id_wins_over_the_trace_and_both_are_in_the_log_lines(
    client: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever gave an id looks for that; whoever traces looks for the trace."""
    logs.configure("info", "json")
    answer = client.get("/teapot", headers={"traceparent": PARENT, "X-Request-ID": "order-1234"})
    assert answer.headers["x-request-id"] == "order-1234"
    line = json.loads(capsys.readouterr().err)
    assert (line["request_id"], line["trace_id"]) == ("order-1234", TRACE)


@pytest.mark.parametrize(
    "bad",
    [
        PARENT.replace("00-", "ff-"),
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-{TRACE}-{'0' * 16}-01",
        PARENT.upper(),
        PARENT[:-1],
        "",
    ],
)
def test_what_is_no_traceparent_is_not_continued(client: TestClient, bad: str) -> None:
    """Trace Context 3.2: a header that cannot be read is as none."""
    answer = client.get("/id", headers={"traceparent": bad})
    assert TRACE not in answer.text
    assert "traceparent" not in answer.headers


def test_each_requests_end_is_a_line_and_a_count(
    client: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """Method, the route's template, status, duration; never the query string."""
    logs.configure("debug", "json")
    for path in ("/refuse/not-found?secret=1", "/nowhere", "/crash"):
        client.get(path, headers={"Authorization": "Bearer x"})
    client.request("BREW", "/id")
    printed = capsys.readouterr().err
    assert "secret" not in printed
    ends = [line for line in map(json.loads, printed.splitlines()) if line["event"] == "request"]
    seen = [(line["route"], line["method"], line["status"]) for line in ends]
    assert seen == [
        ("/refuse/{name}", "GET", 404), ("none", "GET", 404), ("/crash", "GET", 500),
        ("/id", "BREW", 405),
    ]  # fmt: skip
    assert all(line["duration_ms"] >= 0 for line in ends)
    tally: Tally = client.app.state.tally  # type: ignore[attr-defined]
    assert tally.answers["/id", "other", 405] == 1
    assert tally.crashes == 1
    assert tally.seconds["/refuse/{name}"].count == 1


@pytest.mark.parametrize("path", ["/id", "/crash", "/refuse/not-found", "/nowhere"])
def test_every_answer_has_the_security_headers(client: TestClient, path: str) -> None:
    """Also errors and crashes; a route's own header wins; nobody tells what server this is."""
    answer = client.get(path, headers={"Authorization": "Bearer x"})
    for name, value in SECURITY_HEADERS:
        expected = "SAMEORIGIN" if path == "/id" and name == b"x-frame-options" else value.decode()
        assert answer.headers.get_list(name.decode()) == [expected]
    assert "server" not in answer.headers


@pytest.mark.parametrize("kind", PROBLEMS, ids=lambda kind: kind.name)
def test_every_problem_is_problem_json_with_the_request_id(
    client: TestClient, kind: object
) -> None:
    """RFC 9457: type, title, status; and detail, request_id and what else the problem carries."""
    answer = client.get(f"/refuse/{kind.name}")  # type: ignore[attr-defined]
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.status_code == kind.status  # type: ignore[attr-defined]
    assert answer.json() == {
        "type": kind.uri,  # type: ignore[attr-defined]
        "title": kind.title,  # type: ignore[attr-defined]
        "status": kind.status,  # type: ignore[attr-defined]
        "detail": "because",
        "request_id": answer.headers["x-request-id"],
        "reset_to": "a cursor",
    }


def test_problem_types_are_distinct() -> None:
    """A client decides by the type alone."""
    assert len({kind.uri for kind in PROBLEMS}) == len(PROBLEMS)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("POST", "/id", 405), ("GET", "/teapot", 418)],
)
def test_what_starlette_refuses_is_a_problem_too(
    client: TestClient, method: str, path: str, status: int
) -> None:
    """No answer of ours is plain text by accident."""
    answer = client.request(method, path)
    assert answer.status_code == status == answer.json()["status"]
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


def test_a_crash_is_a_500_that_says_nothing(
    client: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback, no message in the answer; type and place, no message in the log."""
    logs.configure("info", "json")
    answer = client.get("/crash", headers={"Authorization": "Bearer my-own-token"})
    assert answer.status_code == 500
    assert "mlt_secret" not in answer.text
    assert "Traceback" not in answer.text
    printed = capsys.readouterr().err
    assert "my-own-token" not in printed
    assert "mlt_secret" not in printed
    line = json.loads(printed.splitlines()[0])
    assert line["exception"] == "RuntimeError"
    assert line["request_id"] == answer.headers["x-request-id"]
    assert "test_middleware.py" in line["raised_at"][-1]


@pytest.mark.parametrize(
    ("host", "status"),
    [("here", 200), ("HERE:8080", 200), ("evil.example", 400), ("here.evil.example", 400),
     ("", 400), ("[::1]:80", 400)],
)  # fmt: skip
def test_a_foreign_host_name_is_refused(client: TestClient, host: str, status: int) -> None:
    """DNS rebinding brings a browser here under another name."""
    assert client.get("/id", headers={"Host": host}).status_code == status


def test_a_star_allows_any_host() -> None:
    """For a server behind a proxy that checks it."""
    app = Starlette(
        routes=[Route("/id", show_id)],
        middleware=[
            Middleware(Answers, tally=Tally()),
            Middleware(Hosts, allowed=frozenset({"*"}), tally=Tally()),
        ],
    )
    assert TestClient(app, base_url="http://any").get("/id").status_code == 200


@pytest.mark.parametrize(
    ("header", "name"),
    [("a:80", "a"), ("a", "a"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("", "")],
)
def test_the_port_is_no_part_of_the_name(header: str, name: str) -> None:
    """IPv6 addresses keep their brackets."""
    assert host_name(header) == name
