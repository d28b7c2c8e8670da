"""``malote trace``: one command finds a webhook's id in log lines, history and acks."""

from __future__ import annotations

import json
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest
from starlette.testclient import WebSocketTestSession

from api import logs
from api.commands.trace import trace
from tests.api.commands.running import answered, commanded
from tests.api.serving import Place, chat, connected, order, post, receive, serving
from tests.api.test_deliveries import park, replay
from tests.api.test_trace import together, traced

run, found = partial(commanded, trace), partial(answered, trace)


def delivered(place: Place, capsys: pytest.CaptureFixture[str]) -> Path:
    """An order that otto's desk acknowledged and ana's phone, which may not see it, passed by.

    The answer is the file with the server's log lines.
    """
    logs.configure("info", "json")
    with (
        serving(place.folder) as client,
        connected(client, place, "otto") as otto,
        connected(client, place, "ana") as ana,
    ):
        body, headers = order("msg-0001", "hello")
        post(client, "orders", (body, {**headers, "X-Request-ID": "order-0001"}))
        post(client, "support", chat("chat-0001"))
        acknowledge(otto)
        acknowledge(ana)
    lines = place.folder.parent / "server.log"
    lines.write_text(capsys.readouterr().err)
    return lines


def acknowledge(socket: WebSocketTestSession) -> None:
    """Handle the next events."""
    cursor = receive(socket, "events")["cursor"]
    socket.send_text(json.dumps({"type": "ack", "cursor": cursor}))


@pytest.mark.parametrize("ident", ["order-0001", "msg-0001"])
def test_one_command_finds_lines_events_and_the_ack(
    place: Place, capsys: pytest.CaptureFixture[str], ident: str
) -> None:
    """By request id or message id; an ack range of somebody who could not see it is none."""
    lines = delivered(place, capsys)
    rows = found(place.folder, ident, "--log", str(lines))
    kinds = [row["found"] for row in rows]
    assert kinds == ["log line", "event", "event", "device"]
    line, raw, message, ack = rows
    told = json.loads(line["line"])
    assert (told["event"], told["status"], told["route"]) == ("request", 200, "/webhooks/{inbox}")
    assert told["positions"] == [message["position"]]
    assert (raw["type"], message["type"]) == ("webhook.received", "message.received")
    assert raw["correlation_id"] == message["correlation_id"] == told["request_id"] == "order-0001"
    assert message["causation_id"] == raw["position"]
    assert ack["event"] == message["position"]
    assert (ack["user"], ack["device"], ack["outcome"]) == ("otto", "desk", "acknowledged")
    assert ack["steps"][-1]["type"] == "delivery.acknowledged"
    assert ack["took_us"] > 0


def test_a_position_names_the_request_it_came_with(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """A receipt is what a provider has in hand."""
    delivered(place, capsys)
    by_id = found(place.folder, "order-0001")
    assert found(place.folder, str(by_id[-1]["event"])) == by_id


def test_a_person_reads_three_parts(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Log lines, events, and what became of them, in words."""
    lines = delivered(place, capsys)
    text = run(place.folder, "order-0001", "--log", str(lines)).output
    assert [line for line in text.splitlines() if not line.startswith("  ")] == [
        "log lines", "events", "what became of it",
    ]  # fmt: skip
    assert "acknowledged by otto/desk after" in text
    assert "ana/" not in text


def test_the_command_and_the_route_say_the_same(place: Place) -> None:
    """One from the file, the other from the server's pointers: parked, asked for again, erased."""
    with serving(place.folder) as client:
        parked, again = park(client, place, 1, 2)
        replay(client, place, {"user": "ana", "positions": [again]})
        client.post(
            "/v1/audit/redact",
            json={"position": parked, "reason": "asked"},
            headers=place.headers("aud"),
        )
        told = {at: traced(client, place, at)["devices"] for at in (parked, again)}
    for at, devices in told.items():
        rows = [row for row in found(place.folder, str(at)) if row["found"] == "device"]
        assert rows == [{"found": "device", "event": at, **device} for device in devices]
    assert found(place.folder, "s-1") == found(place.folder, str(parked)), (
        "the key knows it without its words"
    )
    text = run(place.folder, "s-2").output
    assert "not acknowledged yet by ana/d" in text
    assert "parked at" in text
    assert "(no good)" in text
    assert "(adm)" in text


def test_what_is_left_out_is_said_to_persons_and_programs(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request may record more than anybody reads."""
    with serving(place.folder) as client:
        together(client, "m-1", "m-2", "m-3", **{"X-Request-ID": "many-0001"})
    assert all(row["found"] != "left out" for row in found(place.folder, "many-0001"))
    command = import_module("api.commands.trace")  # its package calls the command so, too
    monkeypatch.setattr(command, "EVENTS_MAX", 3)
    monkeypatch.setattr(command, "TRACED_MAX", 1)
    rows = found(place.folder, "many-0001")
    assert [row["found"] for row in rows] == [*["event"] * 3, "left out"]
    assert rows[-1] == {"found": "left out", "events": True, "not_traced": 1}
    assert run(place.folder, "m-1").output.splitlines()[-2:] == [
        "the request recorded more than these 3 events",
        "what became of 1 more is not shown: ask for their positions",
    ]


def test_what_nobody_knows_is_said_and_fails(place: Place) -> None:
    """Exit code 1: a script can tell."""
    result = run(place.folder, "no-such-id")
    assert result.exit_code == 1
    assert "nothing is known of no-such-id" in result.output
