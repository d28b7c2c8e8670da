"""One webhook's id in log lines, event metadata, trace and ack, by one command; real processes."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2

from tests.acceptance.world import (
    Agent,
    furnish,
    listening,
    malote,
    run,
    running,
    signed,
    text_webhook,
    until,
)

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
IDENTS = {
    "webhook-0001": {"X-Request-ID": "webhook-0001"},
    TRACE: {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"},
}
"""Under which id each webhook is found, and the headers that said so."""


def test_one_command_finds_a_webhook_from_its_log_line_to_its_ack(tmp_path: Path) -> None:
    """The id that came with it, or that of the trace it continues, is the one in all four."""
    data, lines = tmp_path / "data", tmp_path / "server.log"
    ana = Agent.make(tmp_path, "ana", furnish(data, "ana")["ana"])

    async def scenario() -> None:
        with running(data, level="info") as server:
            async with httpx2.AsyncClient() as client, listening(server.url, ana):
                for ident, headers in IDENTS.items():
                    body = text_webhook(f"wamid.{ident}")
                    answer = await client.post(
                        f"{server.url}/webhooks/support",
                        content=body,
                        headers=signed(body) | headers,
                    )
                    assert answer.headers["x-request-id"] == ident
                    [receipt] = answer.json()["receipts"]
                await until(lambda: acknowledged(data) >= receipt["position"], "the last ack")
            lines.write_text(server.output())

    run(scenario)
    for ident in IDENTS:
        demand_traced(malote(data, "trace", ident, "--log", str(lines), "--json"), ident)


def acknowledged(data: Path) -> int:
    """Up to where the one device has acknowledged, read without our own code."""
    with closing(sqlite3.connect(f"file:{data / 'log.db'}?mode=ro", uri=True)) as database:
        query = "SELECT max(data ->> 'until') FROM events WHERE type = 'delivery.acknowledged'"
        return database.execute(query).fetchone()[0] or 0


def demand_traced(printed: str, ident: str) -> None:
    """What the command printed is the request's line, its events, and the device that has them."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in map(json.loads, printed.splitlines()):
        found.setdefault(row["found"], []).append(row)
    [line], [raw, *derived] = found["log line"], found["event"]
    told = json.loads(line["line"])
    assert (told["request_id"], told["route"], told["status"]) == (
        ident, "/webhooks/{inbox}", 200,
    )  # fmt: skip
    assert {event["correlation_id"] for event in (raw, *derived)} == {ident}
    [message] = [event for event in derived if event["type"] == "message.received"]
    assert told["positions"] == [message["position"]]
    assert message["causation_id"] == raw["position"]
    [device] = [each for each in found["device"] if each["event"] == message["position"]]
    assert (device["user"], device["outcome"]) == ("ana", "acknowledged")
    ack = device["steps"][-1]
    assert ack["type"] == "delivery.acknowledged"
    assert ack["after"] < message["position"] <= ack["until"]
