"""A real server at the edge: whose address is believed, and what its log lines never hold."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.acceptance.world import (
    SECRET,
    Agent,
    Provider,
    furnish,
    listening,
    malote,
    run,
    running,
    signed,
    text_webhook,
    until,
)


@pytest.mark.parametrize(
    ("trusted", "given", "address"),
    [
        ("", "203.0.113.9", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.0/8", "203.0.113.9", "127.0.0.1"),
    ],
)
def test_only_a_trusted_proxy_says_whose_address_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: str, given: str, address: str
) -> None:
    """What the proxy itself saw counts; what a client writes in front of it is not believed."""
    data = tmp_path / "data"
    furnish(data)
    monkeypatch.setenv("MALOTE_TRUSTED_PROXIES", trusted)
    with running(data, forked=True) as server:
        headers = {"X-Forwarded-For": given}
        assert httpx2.get(f"{server.url}/v1/sync", headers=headers).status_code == 401
        assert httpx2.get(f"{server.url}/metrics", headers=headers).status_code == 401
        assert server.end() == 0
    lines = malote(data, "tail", "--json").splitlines()
    [refused] = [e for e in map(json.loads, lines) if e["type"] == "requests.refused"]
    assert refused["data"]["addresses"] == {address: 2}


def test_log_lines_hold_no_body_token_secret_or_signature(tmp_path: Path) -> None:
    """At the most talkative level; and nobody begins a line of their own (security row 38)."""
    data = tmp_path / "data"
    tokens = furnish(data, "ana")
    ana = Agent.make(tmp_path, "ana", tokens["ana"])
    printed: list[str] = []

    async def scenario() -> None:
        with running(data, level="debug") as server:
            provider = Provider(server)
            async with listening(server.url, ana), httpx2.AsyncClient() as client:
                await provider.post(client, "wamid.body-of-the-message")
                body = text_webhook("wamid.refused")
                bad = signed(body) | {"X-Hub-Signature-256": "sha256=" + "ab" * 32}
                await client.post(f"{server.url}/webhooks/support", content=body, headers=bad)
                bearer = {"Authorization": f"Bearer {ana.token}"}
                await client.get(f"{server.url}/v1/sync?cursor=mlt_in_the_query", headers=bearer)
                await client.get(f"{server.url}/nowhere%0d%0aforged:%20line", headers=bearer)
                await asyncio.to_thread(speak_nonsense, server.port)
                await until(lambda: bool(ana.messages), "ana has the message")
            printed.append(server.output())
            server.end()

    run(scenario)
    [text] = printed
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    events = Counter(line["event"] for line in lines)
    assert events["request"] >= 4, "the lines were not read"
    forbidden = (
        ana.token, ana.token.split("_", 2)[2], SECRET, "message wamid.", "mlt_in_the_query",
        "ab" * 32, "Traceback", "Bearer",
    )  # fmt: skip
    assert not [word for word in forbidden if word in text]
    assert not [line for line in text.splitlines() if line.startswith("forged")]


def speak_nonsense(port: int) -> None:
    """A request that is none, and a WebSocket frame of invalid UTF-8."""
    for said in (b"\x16\x03\x01\x02\x00nonsense\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as peer:
            peer.sendall(said)
            answer: Any = peer.recv(1000)
            assert b"Traceback" not in answer
