"""The endpoint over real sockets; every scenario on our server and on stock uvicorn."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode

import transport.websocket
from tests.transport.serving import closed, frame_of, hello, run, site, until
from transport.direct import DirectChannel
from transport.origin import OriginList
from transport.page import Packet
from transport.websocket import AsgiChannel

BOTH = pytest.mark.parametrize("ours", [True, False], ids=["direct", "asgi"])


def raw_frame(opcode: Opcode, data: bytes, *, fin: bool = True) -> bytes:
    """A masked frame, as legal or illegal as one likes."""
    return Frame(opcode, data, fin).serialize(mask=True)


@BOTH
def test_a_client_gets_welcome_live_and_events_and_its_ack_counts(
    tmp_path: Path, ours: bool
) -> None:
    """The whole way, and what of it is in the log."""

    async def scenario() -> None:
        async with site(tmp_path, ours=ours) as it, it.connect() as client:
            welcome = await hello(client)
            assert client.subprotocol == "malote.v1"
            assert (welcome["user"], welcome["epoch"]) == ("ana", it.log.epoch)
            live = await frame_of(client, "live")
            assert live["cursor"] == welcome["resume"]["cursor"]
            [connection] = it.hub.connections
            assert isinstance(connection.channel, DirectChannel if ours else AsgiChannel)
            await it.append(1, 2)
            events = await frame_of(client, "events")
            assert [event["data"]["message_id"] for event in events["events"]] == ["m1", "m2"]
            await client.send(json.dumps({"type": "ack", "cursor": events["cursor"]}))
            await until(lambda: str(connection.session.floor) == events["cursor"])
            await client.close(1000, "done")
            await until(lambda: not it.hub.connections)
            await it.hub.shutdown()
            assert (await it.recorded("delivery.acknowledged"))[0]["count"] == 2
            [end] = await it.recorded("client.disconnected")
            assert (end["code"], end["reason"]) == (1000, "done")

    run(scenario)


@BOTH
def test_resume_continues_after_the_cursor(tmp_path: Path, ours: bool) -> None:
    """The client reconnects with what it has, and misses nothing."""

    async def scenario() -> None:
        async with site(tmp_path, ours=ours) as it:
            async with it.connect() as client:
                await hello(client)
                await it.append(1)
                have = (await frame_of(client, "events"))["cursor"]
            await it.append(2, 3)
            async with it.connect() as client:
                welcome = await hello(client, cursor=have)
                assert welcome["resume"]["outcome"] == "resumed"
                assert welcome["resume"]["pending"] == 2
                events = await frame_of(client, "events")
                assert events["after"] == have
                assert len(events["events"]) == 2

    run(scenario)


@BOTH
def test_a_reset_is_said_by_name(tmp_path: Path, ours: bool) -> None:
    """In `welcome` and in a frame of its own (G9)."""

    async def scenario() -> None:
        async with site(tmp_path, ours=ours) as it, it.connect() as client:
            welcome = await hello(client, cursor="elsewhere.0.00000000")
            assert welcome["resume"]["reason"] == "epoch_changed"
            reset = await frame_of(client, "reset")
            assert reset["cursor"] == welcome["resume"]["cursor"]

    run(scenario)


# --- what is refused ---------------------------------------------------------------------------

ACK = {"type": "ack", "cursor": "e.0.00000000"}
BEFORE_HELLO: Sequence[tuple[str, str | bytes, int]] = [
    ("not hello", json.dumps(ACK), 4400),
    ("not json", "hello", 4400),
    ("binary", b"{}", 4400),
    ("large", json.dumps({"type": "hello", "token": "a" * 5000, "device": "d"}), 4400),
    ("no device", json.dumps({"type": "hello", "token": "ana"}), 4400),
    ("bad device", json.dumps({"type": "hello", "token": "ana", "device": "a/b"}), 4400),
    ("bad cursor", json.dumps({"type": "hello", "token": "a", "device": "d", "cursor": 7}), 4400),
    ("no room", json.dumps({"type": "hello", "token": "ana", "device": "d",
                            "window": {"frames": 0, "bytes": 1}}), 4400),
    ("bad token", json.dumps({"type": "hello", "token": "bad", "device": "d"}), 4501),
]  # fmt: skip


@BOTH
@pytest.mark.parametrize(
    ("first", "code"), [row[1:] for row in BEFORE_HELLO], ids=[row[0] for row in BEFORE_HELLO]
)
def test_a_first_frame_that_is_no_good_hello_is_refused(
    tmp_path: Path, ours: bool, first: str | bytes, code: int
) -> None:
    """With a `bye` that says why, and a close with the code."""

    async def scenario() -> None:
        async with site(tmp_path, ours=ours) as it, it.connect() as client:
            await client.send(first)
            close_code, [bye] = await closed(client)
            assert (close_code, bye["type"], bye["code"]) == (code, "bye", code)
            assert not it.hub.connections

    run(scenario)


@BOTH
def test_who_says_nothing_is_closed(
    tmp_path: Path, ours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unauthenticated socket lives 5 s; here less."""
    monkeypatch.setattr(transport.websocket, "HELLO_S", 0.05)

    async def scenario() -> None:
        async with site(tmp_path, ours=ours) as it, it.connect() as client:
            assert (await closed(client))[0] == 4408

    run(scenario)


async def _binary(client: Any) -> None:
    await client.send(b"\x00\x01")


async def _fragments(client: Any) -> None:
    client.transport.write(raw_frame(Opcode.TEXT, b'{"type":', fin=False))
    client.transport.write(raw_frame(Opcode.CONT, b'"hello","token":"a","device":"d"}'))


async def _too_large(client: Any) -> None:
    await client.send("x" * 65_537)


async def _no_text(client: Any) -> None:
    client.transport.write(raw_frame(Opcode.TEXT, b'{"type":"\xff"}'))


async def _no_text_large(client: Any) -> None:
    client.transport.write(raw_frame(Opcode.TEXT, b'{"type":"' + b"\xff" * 200 + b'"}'))


async def _unmasked(client: Any) -> None:
    client.transport.write(b"\x81\x02{}")


async def _reserved_bits(client: Any) -> None:
    client.transport.write(b"\xc1\x80\x00\x00\x00\x00")


async def _nonsense(client: Any) -> None:
    await client.send('{"type":"dance"}')


async def _ack_beyond(client: Any) -> None:
    await client.send('{"type":"ack","cursor":"e.99.00000000"}')


@BOTH
@pytest.mark.parametrize(
    ("do", "code"),
    [
        (_binary, 4400),
        (_fragments, 4400),
        (_too_large, 1009),
        (_no_text, 1007),
        (_no_text_large, 1007),
        (_unmasked, 1002),
        (_reserved_bits, 1002),
        (_nonsense, 4400),
        (_ack_beyond, 4400),
    ],
)
def test_a_bad_frame_in_a_session_ends_it_without_a_traceback(
    tmp_path: Path, ours: bool, do: Any, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Each with its own code; the log of the server stays clean, and knows the end."""

    async def scenario() -> None:
        async with site(tmp_path, ours=ours) as it, it.connect() as client:
            await hello(client)
            await do(client)
            assert (await closed(client))[0] == code
            await until(lambda: not it.hub.connections)
            await it.hub.shutdown()
            assert len(await it.recorded("client.disconnected")) == 1

    with caplog.at_level(logging.DEBUG):
        run(scenario)
    if ours:
        assert not [record for record in caplog.records if record.exc_info]


def test_a_first_message_that_is_no_text_is_refused_without_a_traceback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Stock uvicorn prints one for every such peer, known or not (security row 38)."""

    async def scenario() -> None:
        async with site(tmp_path) as it, it.connect() as client:
            await _no_text(client)
            assert (await closed(client))[0] == 1007

    run(scenario)
    assert not [record for record in caplog.records if record.exc_info]


def test_a_token_is_in_no_log_at_any_level(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Both websockets and uvicorn log frames at DEBUG; ours do not (security row 19)."""
    for name in ("uvicorn", "uvicorn.error", "malote.websocket"):
        logging.getLogger(name)  # as an operator would who looks for something else

    async def scenario() -> None:
        async with site(tmp_path) as it, it.connect() as client:
            await hello(client, user="s3cr3t-t0ken")
            await client.send('{"type":"refresh","token":"an0ther-s3cr3t"}' + " " * 200)
            await frame_of(client, "error")

    caplog.set_level(logging.DEBUG, "uvicorn.error")
    caplog.set_level(logging.DEBUG, "transport")
    run(scenario)
    assert "s3cr3t" not in caplog.text


@BOTH
def test_another_subprotocol_is_told_so(tmp_path: Path, ours: bool) -> None:
    """4505: do not come back, this server is of another version."""

    async def scenario() -> None:
        async with site(tmp_path, ours=ours) as it:
            from websockets.asyncio.client import connect

            async with connect(it.url, subprotocols=["malote.v9"], proxy=None) as client:  # type: ignore[list-item]  # a NewType
                assert (await closed(client))[0] == 4505
            async with connect(it.url, proxy=None) as client:
                assert (await hello(client))["user"] == "ana"

    run(scenario)


def test_deflate_is_not_agreed(tmp_path: Path) -> None:
    """A compressed secret beside chosen text leaks; and it costs memory per connection."""

    async def scenario() -> None:
        async with site(tmp_path) as it, it.connect(compression="deflate") as client:
            await hello(client)
            assert client.protocol.extensions == []

    run(scenario)


@BOTH
@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, True),
        ("https://inbox.example", True),
        ("https://inbox.example:443", True),
        ("HTTPS://Inbox.Example", True),
        ("http://localhost:8080", True),
        ("http://inbox.example", False),
        ("https://inbox.example:8443", False),
        ("https://evil.example", False),
        ("https://inbox.example.evil.example", False),
        ("https://evilinbox.example", False),
        ("https://inbox.example@evil.example", False),
        ("https://inbox.example/", False),
        ("http://localhost", False),
        ("null", False),
        ("", False),
    ],
)
def test_a_foreign_origin_gets_403_before_the_upgrade(
    tmp_path: Path, ours: bool, origin: str | None, allowed: bool
) -> None:
    """Exact in scheme, host and port; no Origin is no browser."""

    async def scenario() -> None:
        headers = {} if origin is None else {"Origin": origin}
        async with site(tmp_path, ours=ours) as it:
            if allowed:
                async with it.connect(additional_headers=headers) as client:
                    await hello(client)
                return
            with pytest.raises(InvalidStatus) as refused:
                await it.connect(additional_headers=headers)
            assert refused.value.response.status_code == 403

    run(scenario)


def test_an_allow_list_with_something_else_in_it_does_not_start() -> None:
    """A typing error must not become an open or a closed door."""
    for entry in ("*", "inbox.example", "https://inbox.example/", "null"):
        with pytest.raises(ValueError, match="not an origin"):
            OriginList([entry])


def test_two_origins_in_one_request_are_none() -> None:
    """Whatever put the second there, it was no browser."""
    allowed = OriginList(["https://inbox.example"])
    assert not allowed.allows(["https://inbox.example", "https://inbox.example"])


# --- ends --------------------------------------------------------------------------------------


@BOTH
def test_a_second_connection_of_a_device_closes_the_first(tmp_path: Path, ours: bool) -> None:
    """4409; the second goes on."""

    async def scenario() -> None:
        async with site(tmp_path, ours=ours) as it, it.connect() as first:
            await hello(first)
            async with it.connect() as second:
                await hello(second)
                code, frames = await closed(first)
                assert (code, frames[-1]["type"]) == (4409, "bye")
                await it.append(1)
                await frame_of(second, "events")

    run(scenario)


@BOTH
def test_a_restart_is_announced_and_recorded(tmp_path: Path, ours: bool) -> None:
    """`bye` with a time to come back, then 1012."""

    async def scenario() -> None:
        async with site(tmp_path, ours=ours) as it, it.connect() as client:
            await hello(client)
            await it.hub.shutdown()
            code, frames = await closed(client)
            assert (code, frames[-1]["code"]) == (1012, 1012)
            assert 0 <= frames[-1]["retry_after_ms"] <= 5000
            assert [end["code"] for end in await it.recorded("client.disconnected")] == [1012]

    run(scenario)


@BOTH
def test_a_connection_cut_without_goodbye_is_recorded_as_1006(tmp_path: Path, ours: bool) -> None:
    """A lid closed, a cable pulled."""

    async def scenario() -> None:
        async with site(tmp_path, ours=ours) as it:
            client = await it.connect()
            await hello(client)
            client.transport.abort()
            await until(lambda: not it.hub.connections)
            await it.hub.shutdown()
            [end] = await it.recorded("client.disconnected")
            assert end["code"] in ((1006,) if ours else (1005, 1006))
            await client.wait_closed()

    run(scenario)


@BOTH
def test_a_client_that_reads_late_gets_everything_in_order(tmp_path: Path, ours: bool) -> None:
    """More than the buffers hold: the session waits, and reads on from the log."""

    async def scenario() -> None:
        async with site(tmp_path, ours=ours) as it, it.connect(max_queue=1) as client:
            await hello(client)
            numbers = range(60)
            for number in numbers:
                await it.append(number, text="x" * 20_000)
            got: list[str] = []
            while len(got) < len(numbers):
                frame = await frame_of(client, "events")
                got += [event["data"]["message_id"] for event in frame["events"]]
                await client.send(json.dumps({"type": "ack", "cursor": frame["cursor"]}))
            assert got == [f"m{number}" for number in numbers]

    run(scenario)


def test_a_peer_that_never_reads_is_aborted_and_the_others_do_not_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """10 s over the high-water mark; here less. The end is recorded as stalled."""
    monkeypatch.setattr("transport.direct.STALL_S", 0.1)

    async def scenario() -> None:
        async with site(tmp_path) as it, it.connect() as other:
            await hello(other, user="rui")
            deaf = await never_reading(it.port)
            await until(lambda: len(it.hub.connections) == 2)
            for number in range(60):
                await it.append(number, text="x" * 200_000)
                frame = await frame_of(other, "events")
                await other.send(json.dumps({"type": "ack", "cursor": frame["cursor"]}))
                for connection in it.hub.connections:
                    if connection.user == "ana":  # acks blindly, or the window would stop us
                        connection.received(_own_ack(connection.session.last_sent))
            await until(lambda: len(it.hub.connections) == 1)
            await it.hub.shutdown()
            ends = await it.recorded("client.disconnected")
            assert 4408 in [end["code"] for end in ends]
            deaf.close()

    run(scenario)


def test_one_window_is_enough_to_notice_that_a_peer_takes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any ack: the kernel must not swallow the window, or only the heartbeat would see."""
    monkeypatch.setattr("transport.direct.STALL_S", 0.1)

    async def scenario() -> None:
        async with site(tmp_path) as it:
            deaf = await never_reading(it.port)
            await until(lambda: len(it.hub.connections) == 1)
            for number in range(60):
                await it.append(number, text="x" * 4_000)
            await until(lambda: not it.hub.connections)
            await it.hub.shutdown()
            ends = await it.recorded("client.disconnected")
            assert [end["code"] for end in ends] == [4408]
            deaf.close()

    run(scenario)


@pytest.mark.parametrize("end", ["close", "abort"])
def test_an_asgi_channel_ends_although_its_peer_takes_nothing(
    monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """Found by simulation: whoever was sent away while stalled got all that waited, minutes later.

    The end is bounded, the connection hears of it, and nothing more is written.
    """
    monkeypatch.setattr(transport.websocket, "CLOSING_S", 0.01)
    never = asyncio.Event()
    ends: list[int] = []

    class Peer:
        def lost(self, code: int, _reason: str) -> None:
            ends.append(code)

    async def hang(*_: Any) -> Any:
        await never.wait()

    async def scenario() -> None:
        channel = AsgiChannel(hang)
        channel.send([Packet(b"{}")])
        running = asyncio.create_task(channel.run(Peer(), hang))
        await asyncio.sleep(0.01)
        if end == "close":
            channel.close(4503, "access was withdrawn")
        else:
            channel.abort()
        async with asyncio.timeout(5):
            await running
        assert ends == [1006]

    run(scenario)


def _own_ack(cursor: object) -> bytes:
    return json.dumps({"type": "ack", "cursor": str(cursor)}).encode()


async def never_reading(port: int, user: str = "ana") -> socket.socket:
    """A client that says hello and then reads nothing more, with a small buffer to fill."""
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(deaf, ("127.0.0.1", port))
    await loop.sock_sendall(
        deaf,
        b"GET /v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    )
    assert b"101" in await loop.sock_recv(deaf, 1024)
    frame = json.dumps({"type": "hello", "token": user, "device": "d", "cursor": None})
    await loop.sock_sendall(deaf, raw_frame(Opcode.TEXT, frame.encode()))
    return deaf
