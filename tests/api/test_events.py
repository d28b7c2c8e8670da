"""/v1/events: server-sent events that resume, and that stop when they must (real server)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from attrs import define, field

from api import control
from tests.acceptance.world import Server, running
from tests.api.serving import Place, chat, furnished, order

PATIENCE_S = 20


@define
class Listener:
    """A reader of one stream: the events it got, as dicts of their fields, and the comments."""

    answer: httpx2.Response
    lines: AsyncIterator[str]
    comments: list[str] = field(factory=list)

    async def next(self) -> dict[str, str]:
        """The next event; comments on the way are kept."""
        got: dict[str, str] = {}
        async with asyncio.timeout(PATIENCE_S):
            async for line in self.lines:
                if line.startswith(":"):
                    self.comments.append(line)
                elif line:
                    name, _, value = line.partition(": ")
                    got[name] = value
                elif got:
                    return got
        raise EOFError

    async def texts(self, count: int) -> list[str]:
        """The message ids of the next events."""
        events = [json.loads((await self.next())["data"]) for _ in range(count)]
        return [event["data"]["message_id"] for event in events]


@asynccontextmanager
async def listening(
    server: Server, headers: dict[str, str], last: str | None = None
) -> AsyncIterator[Listener]:
    """An open stream, from the first byte of it on."""
    headers = headers | ({"Last-Event-ID": last} if last is not None else {})
    async with (
        httpx2.AsyncClient(timeout=PATIENCE_S) as client,
        client.stream("GET", f"{server.url}/v1/events", headers=headers) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.aiter_lines()
        listener = Listener(answer, lines)
        if last is None:
            listener.comments.append(await anext(lines))
        yield listener


async def deliver(server: Server, inbox: str, webhook: tuple[bytes, dict[str, str]]) -> None:
    """Post one webhook; it must be taken."""
    body, headers = webhook
    async with httpx2.AsyncClient() as client:
        answer = await client.post(f"{server.url}/webhooks/{inbox}", content=body, headers=headers)
    assert answer.status_code == 200


def serve(tmp_path: Path, scenario: Callable[[Server, Place], Awaitable[Any]]) -> None:
    """Run a scenario beside a server process on a furnished folder."""
    place = furnished(tmp_path / "data")
    with running(place.folder, forked=True) as server:
        asyncio.run(scenario(server, place))  # type: ignore[arg-type] # an async def gives a coroutine


def test_a_stream_begins_at_the_head_and_gets_what_one_may_see(tmp_path: Path) -> None:
    """What was before is not told again; other inboxes never."""

    async def scenario(server: Server, place: Place) -> None:
        await deliver(server, "support", chat("before"))
        async with listening(server, place.headers("ana")) as ana:
            await deliver(server, "orders", order("not-for-ana"))
            await deliver(server, "support", chat("s-1"))
            await deliver(server, "support", chat("s-2"))
            event = await ana.next()
            data = json.loads(event["data"])
            assert event["id"] == data["cursor"]
            assert data["data"]["message_id"] == "s-1"
            assert await ana.texts(1) == ["s-2"]

    serve(tmp_path, scenario)


def test_a_stream_resumes_after_the_last_event_id(tmp_path: Path) -> None:
    """Nothing missing, nothing twice, across many pages."""

    async def scenario(server: Server, place: Place) -> None:
        async with listening(server, place.headers("ana")) as ana:
            await deliver(server, "support", chat("s-0"))
            last = (await ana.next())["id"]
        for number in range(1, 6):
            await deliver(server, "support", chat(f"s-{number}"))
        async with listening(server, place.headers("ana"), last) as ana:
            assert await ana.texts(5) == [f"s-{number}" for number in range(1, 6)]

    serve(tmp_path, scenario)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda epoch, position, hash8: f"{epoch}.{int(position) + 99}.{hash8}", "ahead_of_log"),
        (lambda epoch, position, _: f"{epoch}.{position}.00000000", "history_differs"),
        (lambda _, position, hash8: f"other.{position}.{hash8}", "epoch_changed"),
    ],
)
def test_a_cursor_of_another_history_gets_a_reset(
    tmp_path: Path, change: Callable[[str, str, str], str], reason: str
) -> None:
    """By name, and with the cursor from which the stream then goes on (G9)."""

    async def scenario(server: Server, place: Place) -> None:
        async with listening(server, place.headers("ana")) as ana:
            await deliver(server, "support", chat("s-0"))
            epoch, position, hash8 = (await ana.next())["id"].split(".")
        last = change(epoch, position, hash8)
        async with listening(server, place.headers("ana"), last) as ana:
            reset = await ana.next()
            assert reset["event"] == "reset"
            told = json.loads(reset["data"])
            assert told["reason"] == reason
            assert told["cursor"] == reset["id"]
            await deliver(server, "support", chat("s-1"))
            assert await ana.texts(1) == ["s-1"]

    serve(tmp_path, scenario)


def test_a_malformed_last_event_id_or_parameter_is_400(tmp_path: Path) -> None:
    """And no stream without a token."""

    async def scenario(server: Server, place: Place) -> None:
        async with httpx2.AsyncClient() as client:
            url, headers = f"{server.url}/v1/events", place.headers("ana")
            bad = await client.get(url, headers=headers | {"Last-Event-ID": "x"})
            assert bad.status_code == 400
            assert (await client.get(f"{url}?cursor=x", headers=headers)).status_code == 400
            assert (await client.get(url)).status_code == 401

    serve(tmp_path, scenario)


def test_a_revoked_token_ends_the_stream_before_the_next_event(tmp_path: Path) -> None:
    """Permission is judged when an event is sent (G21)."""

    async def scenario(server: Server, place: Place) -> None:
        async with listening(server, place.headers("ana")) as ana:
            await control.call(place.folder, "revoke_token", token=place.tokens["ana"])
            await deliver(server, "support", chat("too-late"))
            with pytest.raises(EOFError):
                await ana.next()

    serve(tmp_path, scenario)


def test_a_member_who_lost_the_inbox_gets_no_more_of_it(tmp_path: Path) -> None:
    """The stream goes on, with the inboxes that are left."""

    async def scenario(server: Server, place: Place) -> None:
        async with listening(server, place.headers("ana")) as ana:
            await control.call(
                place.folder, "add_user", name="ana", role="member", inboxes=["orders"]
            )
            await deliver(server, "support", chat("no-longer-hers"))
            await deliver(server, "orders", order("hers-now"))
            assert await ana.texts(1) == ["hers-now"]

    serve(tmp_path, scenario)


def test_silence_is_broken_by_comments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that proxies keep the connection, and the client knows that it lives."""
    monkeypatch.setenv("MALOTE_SSE_HEARTBEAT_S", "0.2")

    async def scenario(server: Server, place: Place) -> None:
        async with listening(server, place.headers("ana")) as ana:
            lines = [await anext(ana.lines) for _ in range(6)]
            assert lines.count(":") >= 2

    serve(tmp_path, scenario)


def test_a_stopping_server_ends_its_streams(tmp_path: Path) -> None:
    """SIGTERM: the stream ends in order and the process is gone within 10 s (G19)."""

    async def scenario(server: Server, place: Place) -> None:
        async with listening(server, place.headers("ana")) as ana:
            ended = asyncio.create_task(asyncio.to_thread(server.end))
            with pytest.raises(EOFError):
                await ana.next()
            async with asyncio.timeout(10):
                assert await ended == 0

    serve(tmp_path, scenario)
