"""Hostile webhooks over a real server: never 5xx, nothing authentic lost (issue line 8)."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest

from tests.acceptance.world import Server, running
from tests.api.serving import Place, furnished, order, signed
from tests.api.test_webhooks import stored_bodies

AUTHENTIC = {
    "bad UTF-8": b'{"type":"x","data":"\xff\xfe"}',
    "NaN": b'{"type":"x","data":NaN}',
    "Infinity": b'{"type":"x","data":-Infinity}',
    "depth 100,000": b"[" * 100_000 + b"]" * 100_000,
    "depth 50,000, open": b'{"a":' * 50_000,
    "duplicate keys": b'{"type":"x","type":"y","data":{"a":1,"a":2}}',
    "lone surrogate": b'{"type":"x","data":"\\ud800"}',
    "surrogate in a key": b'{"type":"x","data":{"\\udfff":1}}',
    "surrogate in an id": b'{"type":"x","data":{"contact":{"id":"\\ud800"}}}',
    "zero in an id": b'{"type":"x","data":{"contact":{"id":"a\\u0000b"}}}',
    "huge integer": b'{"type":"x","data":' + b"9" * 5000 + b"}",
    "huge exponent": b'{"type":"x","data":1e999}',
    "line feed in an id": b'{"type":"x","data":{"contact":{"id":"a\\nb"}}}',
    "nothing": b"",
    "zeros": b"\0" * 1000,
    "null": b"null",
    "an array": b"[1,2,3]",
    "odd whitespace": b' \r\n\t{ "type" : "x" ,\n "data" : { } } \n',
    "byte order mark": b'\xef\xbb\xbf{"type":"x","data":{}}',
    "the largest": b'{"type":"x","data":"' + b"y" * (256 * 1024 - 22) + b'"}',
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A furnished folder."""
    return furnished(tmp_path_factory.mktemp("bad-input") / "data")


@pytest.fixture(scope="module")
def server(place: Place) -> Iterator[Server]:
    """A server process on it; at the end it must have printed no traceback and no 5xx."""
    with running(place.folder) as server:
        yield server
        printed = server.output()
        assert "unhandled" not in printed
        assert "Traceback" not in printed
        assert server.end() == 0


@pytest.mark.parametrize("inbox", ["orders", "support"])
@pytest.mark.parametrize("name", AUTHENTIC)
def test_an_authentic_body_is_stored_byte_for_byte(
    server: Server, place: Place, inbox: str, name: str
) -> None:
    """200, whatever is in it; and the log has exactly what was signed (G5)."""
    body = AUTHENTIC[name]
    before = stored_bodies(place.folder).count(body)
    answer = httpx2.post(
        f"{server.url}/webhooks/{inbox}", content=body, headers=signed(inbox, body)
    )
    assert answer.status_code == 200, answer.text
    assert stored_bodies(place.folder).count(body) == before + 1
    assert answer.json()["receipts"]


REFUSED: dict[str, tuple[int, dict[str, str | bytes], bytes]] = {
    "wrong signature": (401, {"x-hub-signature-256": "sha256=" + "0" * 64}, b"{}"),
    "non-ASCII signature": (401, {"x-hub-signature-256": "sha256=é".encode()}, b"{}"),
    "raw bytes": (401, {"x-hub-signature-256": b"\xff\xfe\x80"}, b"{}"),
    "no signature": (401, {}, b"{}"),
    "gzip": (415, {"content-encoding": "gzip"}, gzip.compress(b"{}")),
    "gzip bomb": (415, {"content-encoding": "gzip"}, gzip.compress(b"0" * 50_000_000)),
}


@pytest.mark.parametrize("inbox", ["orders", "support", "nobody", "%ff", "%2e%2e", "a%0d%0ab"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_authentic_is_refused(server: Server, inbox: str, name: str) -> None:
    """With the answer of the protocol."""
    status, headers, body = REFUSED[name]
    answer = httpx2.post(f"{server.url}/webhooks/{inbox}", content=body, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("inbox", "most"), [("orders", 256 * 1024), ("support", 3 * 1024 * 1024)])
def test_an_oversize_body_is_refused_before_it_has_all_come(
    server: Server, inbox: str, most: int, chunked: bool
) -> None:
    """413 and the end of the connection, long before the 200 MB that were announced."""
    size = 200 * 1024 * 1024
    how = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as peer:
        peer.sendall(f"POST /webhooks/{inbox} HTTP/1.1\r\nHost: {host}\r\n{how}\r\n\r\n".encode())
        if chunked:
            for _ in range(most // 0x10000 + 1):
                peer.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        answer = peer.recv(65536)
        with suppress(ConnectionResetError):
            while peer.recv(65536):
                pass
    assert answer.startswith(b"HTTP/1.1 413")


POST = b"POST /webhooks/orders HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /v1/sync HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Request-ID: a\x00b\r\n\r\n",
        b"GET /v1/sync HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        b"GET /%ff%fe?\xff=\xff HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
    ],
)
def test_broken_http_is_the_clients_fault(server: Server, raw: bytes) -> None:
    """4xx or a closed connection, and the next client is served."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as peer:
        peer.sendall(raw)
        peer.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := peer.recv(65536):
            answer += chunk
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert httpx2.get(f"{server.url}/readyz").status_code == 200


def test_a_client_that_leaves_half_way_costs_nothing(server: Server, place: Place) -> None:
    """Its body is not stored, and nothing is logged as our failure."""
    body, headers = order("left-half-way", "never finished")
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as peer:
        peer.sendall(
            f"POST /webhooks/orders HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n"
            f"{head}\r\n".encode()
            + body[:-1]
        )
    assert httpx2.get(f"{server.url}/readyz").status_code == 200
    assert body not in stored_bodies(place.folder)


def test_the_same_webhook_posted_at_once_is_one_message(server: Server) -> None:
    """Fifty at a time, one receipt."""
    body, headers = order("posted-fifty-times")

    async def scenario() -> list[httpx2.Response]:
        async with httpx2.AsyncClient(limits=httpx2.Limits(max_connections=50)) as client:
            posts = (
                client.post(f"{server.url}/webhooks/orders", content=body, headers=headers)
                for _ in range(50)
            )
            return await asyncio.gather(*posts)

    answers = [answer.json() for answer in asyncio.run(scenario())]
    assert sum(answer["accepted"] for answer in answers) == 1
    assert len({str(answer["receipts"]) for answer in answers}) == 1


def test_memory_does_not_follow_what_is_announced(server: Server) -> None:
    """Row 11: after hundreds of megabytes were announced the process is still small."""
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    resident_kib = int(status.split("VmHWM:")[1].split()[0])
    assert resident_kib < 400 * 1024
