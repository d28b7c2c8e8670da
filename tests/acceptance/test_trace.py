"""One webhook's id in log lines, event metadata, trace and ack, by one command; real processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.acceptance.world import (
    Agent,
    furnish,
    listening,
    malote,
    recorded,
    run,
    running,
    signed,
    text_webhook,
    until,
)

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def types(data: Path) -> set[str]:
    """What kinds of events the log has."""
    return {type_ for _, type_, _ in recorded(data)}


@pytest.mark.parametrize(
    ("headers", "ident"),
    [
        ({"X-Request-ID": "webhook-0001"}, "webhook-0001"),
        ({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}, TRACE),
    ],
    ids=["X-Request-ID", "traceparent"],
)
def test_one_command_finds_a_webhook_from_its_log_line_to_its_ack(
    tmp_path: Path, headers: dict[str, str], ident: str
) -> None:
    """The id that came with it, or began before it, is the one in all four places."""
    data, lines = tmp_path / "data", tmp_path / "server.log"
    ana = Agent.make(tmp_path, "ana", furnish(data, "ana")["ana"])
    body = text_webhook("wamid.traced")

    async def scenario() -> None:
        with running(data, level="info") as server:
            async with httpx2.AsyncClient() as client, listening(server.url, ana):
                answer = await client.post(
                    f"{server.url}/webhooks/support", content=body, headers=signed(body) | headers
                )
                assert answer.headers["x-request-id"] == ident
                await until(lambda: ana.messages == ["wamid.traced"], "the message")
                await until(lambda: "delivery.acknowledged" in types(data), "the ack")
            lines.write_text(server.output())

    run(scenario)
    printed = malote(data, "trace", ident, "--log", str(lines), "--json")
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
    assert (device["event"], device["user"], device["outcome"]) == (
        message["position"], "ana", "acknowledged",
    )  # fmt: skip
    ack = device["steps"][-1]
    assert ack["type"] == "delivery.acknowledged"
    assert ack["after"] < message["position"] <= ack["until"]
