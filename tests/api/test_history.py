"""GET /v1/audit/events, malote export, import, replay: the raw history, every way it is asked."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx2
from click.testing import CliRunner, Result
from starlette.testclient import TestClient

from api.commands import main
from api.commands.replay import Pauses
from eventstore.verify import verify
from tests.acceptance.world import running
from tests.api.serving import Place, chat, furnished, order, post, serving


def run(folder: Path, *words: object) -> Result:
    """A command on this folder."""
    command, *rest = map(str, words)
    return CliRunner().invoke(main, [command, *rest], env={"MALOTE_DATA": str(folder)})


def ask(client: TestClient, place: Place, **parameters: Any) -> Any:
    """A page, as an auditor."""
    answer = client.get("/v1/audit/events", params=parameters, headers=place.headers("aud"))
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_pages_hold_every_event_once_with_what_it_takes_to_check_it(tmp_path: Path) -> None:
    """Envelope, data, commitment and chain hash; the verifier takes the lines as they are."""
    place = furnished(tmp_path / "data")
    with serving(place.folder) as client:
        for number in range(4):
            post(client, "support", chat(f"wamid.{number}", 'ação ,"data": \\'))
        found: list[Any] = []
        until = client.get("/v1/audit/events?limit=1000", headers=place.headers("aud")).json()[
            "position"
        ]
        more, after = True, 0
        while more:
            page = ask(client, place, after=after, limit=3, until=until)
            found += page["events"]
            assert page["after"] == after
            more, after = page["has_more"], page["position"]
        assert [event["position"] for event in found] == list(range(1, until + 1))
        headers = place.headers("aud") | {"Accept": "application/x-ndjson"}
        answer = client.get("/v1/audit/events", headers=headers)
        assert answer.headers["content-type"] == "application/x-ndjson"
        for form in ("ndjson", "cloudevents"):
            answer = client.get(f"/v1/audit/events?format={form}", headers=headers)
            (tmp_path / "lines").write_bytes(answer.content)
            report = verify(tmp_path / "lines")
            assert report.fault is None
            assert report.events >= until


def test_history_is_found_by_time_stream_and_type(tmp_path: Path) -> None:
    """Alone and together; what is rare is found however far apart."""
    place = furnished(tmp_path)
    with serving(tmp_path) as client:
        post(client, "support", chat("wamid.1"))
        [first] = ask(client, place, type="message.received")["events"]
        post(client, "orders", order("o-1"))
        kinds = {event["type"] for event in ask(client, place, stream="inbox:orders")["events"]}
        assert kinds == {"webhook.received", "message.received"}
        assert len(ask(client, place, type="message.*")["events"]) == 2
        assert len(ask(client, place, stream="inbox:*", type="webhook.*")["events"]) == 2
        assert ask(client, place, type="message.receive?")["events"] == []
        [second] = ask(client, place, since=first["time"], type="message.received", limit=9)[
            "events"
        ][1:]
        assert second["inbox"] == "orders"
        until = ask(client, place, until=first["time"], type="message.received")
        assert [event["position"] for event in until["events"]] == [first["position"]]
        assert not until["has_more"]


def test_what_the_route_cannot_read_is_refused(tmp_path: Path) -> None:
    """Like everywhere: 400, with what it takes."""
    place = furnished(tmp_path)
    with serving(tmp_path) as client:
        for bad in ("after=-1", "until=soon", "since=1", "limit=1001", "format=xml", "stream=",
                    "follow=yes", "follow=true&until=3", "more=1"):  # fmt: skip
            answer = client.get(f"/v1/audit/events?{bad}", headers=place.headers("aud"))
            assert answer.status_code == 400, bad


def test_history_is_followed_live(tmp_path: Path) -> None:
    """NDJSON and server-sent events: what is there, then what comes, on one connection."""
    place = furnished(tmp_path / "data")

    async def followed(url: str, accept: str) -> list[Any]:
        headers = place.headers("aud") | {"Accept": accept}
        found = []
        async with (
            httpx2.AsyncClient(timeout=20) as client,
            client.stream("GET", f"{url}/v1/audit/events?follow=true", headers=headers) as answer,
        ):
            async for line in answer.aiter_lines():
                text = line.removeprefix("data: ")
                if not text.startswith("{"):
                    continue
                found.append(json.loads(text))
                if found[-1]["type"] == "server.started":
                    body, signatures = chat("wamid.live")
                    await client.post(f"{url}/webhooks/support", content=body, headers=signatures)
                if found[-1]["type"] in {"message.received", "webhook.duplicated"}:
                    return found
        return found

    with running(place.folder) as server:
        for accept in ("application/x-ndjson", "text/event-stream"):
            events = asyncio.run(asyncio.wait_for(followed(server.url, accept), 30))
            positions = [event["position"] for event in events]
            assert positions == list(range(1, len(positions) + 1))
            assert events[-1]["type"] == "message.received"


def test_export_and_import_give_the_same_history(tmp_path: Path) -> None:
    """By the command line: verified as a file, imported elsewhere, the same receipt."""
    place = furnished(tmp_path / "data")
    file = tmp_path / "log.ndjson"
    assert run(place.folder, "export", file).exit_code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    assert run(place.folder, "verify", file).exit_code == 0
    assert run(place.folder, "export", file).exit_code == 1, "an export overwrites nothing"
    result = run(tmp_path / "other", "import", file)
    assert result.exit_code == 0, result.output
    receipt = result.output.split()[-1]
    assert run(place.folder, "verify", "--receipt", receipt).exit_code == 0
    assert run(tmp_path / "other", "verify", "--receipt", receipt).exit_code == 0
    assert run(tmp_path / "other", "import", file).exit_code == 1
    clouds = run(place.folder, "export", "--format", "cloudevents").output
    assert {json.loads(line)["specversion"] for line in clouds.splitlines()} == {"1.0"}


def test_replay_shows_the_history_with_its_pauses(tmp_path: Path) -> None:
    """From a position or a time; instant, the whole; paused, as long as it was over the speed."""
    place = furnished(tmp_path)
    lines = run(place.folder, "replay", "--instant", "--json").output.splitlines()
    events = [json.loads(line) for line in lines]
    assert [event["position"] for event in events] == list(range(1, len(events) + 1))
    part = ("--instant", "--json", "--since", events[4]["time"], "--until", "7")
    lines = run(place.folder, "replay", *part).output.splitlines()
    assert [json.loads(line)["position"] for line in lines] == [5, 6, 7]
    slept: list[float] = []
    pauses = Pauses(2.0, 5.0, slept.append)
    for recorded_at in (1_000_000, 2_000_000, 2_500_000, 100_000_000):
        pauses.before(recorded_at)
    assert slept == [0.5, 0.25, 5.0]
    assert run(place.folder, "replay", "--speed", "1e9").exit_code == 0
    assert run(place.folder, "replay", "--since", "yesterday").exit_code == 2
    assert run(tmp_path / "none", "replay").exit_code == 3
