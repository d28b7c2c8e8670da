"""Our uvicorn protocols: the frame splitter, deadlines, peers that do not read, defaults."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from tests.transport.serving import closed, frame_of, hello, run, site, until
from tests.transport.test_websocket import never_reading, raw_frame
from transport import http_protocol
from transport.arrivals import Arrivals
from transport.connection import Connection
from transport.direct import FRAGMENTS_MAX, DirectChannel
from transport.frames import CloseCode
from transport.server import HttpProtocol, WebSocketProtocol, uvicorn_config
from transport.wire import FrameSplitter, short_text, text_frame

# --- the wire ----------------------------------------------------------------------------------

PAYLOADS = st.one_of(
    st.binary(max_size=10),
    st.sampled_from([124, 125, 126, 127, 300]).map(lambda n: b"x" * n),
    st.sampled_from([65_535, 65_536, 70_000]).map(lambda n: b"x" * n),
)
FRAMES = st.builds(
    Frame,
    st.sampled_from([Opcode.TEXT, Opcode.BINARY, Opcode.CONT, Opcode.PING]),
    PAYLOADS,
    st.booleans(),
).filter(lambda frame: frame.opcode is not Opcode.PING or (frame.fin and len(frame.data) <= 125))


@settings(max_examples=150, deadline=None)
@given(st.lists(FRAMES, max_size=6), st.data())
def test_the_splitter_finds_the_frames_however_they_are_cut(
    frames: list[Frame], data: st.DataObject
) -> None:
    """Whole frames come out as websockets made them; between calls nothing is lost or doubled."""
    raw = [frame.serialize(mask=True) for frame in frames]
    stream = b"".join(raw)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8).map(sorted))
    splitter = FrameSplitter(100_000)
    found: list[bytes] = []
    for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += splitter.split(stream[start:stop])
    assert found == raw
    assert splitter.held == b""


@settings(max_examples=200, deadline=None)
@given(FRAMES)
def test_a_short_text_is_read_as_websockets_reads_it(frame: Frame) -> None:
    """And nothing else is taken for one."""
    text = short_text(frame.serialize(mask=True))
    short = frame.opcode is Opcode.TEXT and frame.fin and len(frame.data) <= 125
    assert text == (bytes(frame.data) if short else None)


@given(st.binary(max_size=200))
def test_noise_is_never_taken_for_a_text_that_websockets_refuses(noise: bytes) -> None:
    """Where the fast path says text, the full parser says the same text."""
    text = short_text(noise) if noise else None
    if text is not None:
        parser = ServerProtocol(state=OPEN)
        parser.receive_data(noise)
        [frame] = parser.events_received()
        assert isinstance(frame, Frame)
        assert (frame.opcode, bytes(frame.data)) == (Opcode.TEXT, text)


@settings(max_examples=50, deadline=None)
@given(PAYLOADS)
def test_a_ready_frame_is_what_websockets_would_send(payload: bytes) -> None:
    """Unmasked, final, with the shortest length that fits."""
    assert text_frame(payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)


def test_a_frame_too_long_is_handed_out_before_it_is_stored() -> None:
    """Its header alone is enough for the refusal."""
    splitter = FrameSplitter(65_536)
    header = Frame(Opcode.TEXT, b"x" * 70_000).serialize(mask=True)[:14]
    assert splitter.split(header) == [header]
    assert splitter.held == b""


def test_one_frame_at_a_time_leaves_the_rest() -> None:
    """For an application that takes messages one by one."""
    splitter = FrameSplitter(100)
    one, two = raw_frame(Opcode.TEXT, b"1"), raw_frame(Opcode.TEXT, b"2")
    assert splitter.split(one + two, 0) == []
    assert splitter.split(b"", 1) == [one]
    assert splitter.split(b"") == [two]


# --- WebSocket ---------------------------------------------------------------------------------


def test_fast_and_slow_frames_mix_on_one_connection(tmp_path: Path) -> None:
    """Short texts, long texts, fragments, pings, in any chunks: the order stays."""

    async def scenario() -> None:
        async with site(tmp_path) as it, it.connect() as client:
            await hello(client)
            await it.append(1, 2, 3)
            frames = await frame_of(client, "events")
            first, second, third = [event["cursor"] for event in frames["events"]]
            ack = '{"type":"ack","cursor":"%s"}'
            split = (ack % second).encode()
            stream = (
                raw_frame(Opcode.TEXT, (ack % first).encode())
                + raw_frame(Opcode.TEXT, split[:9], fin=False)
                + raw_frame(Opcode.PING, b"are you there")
                + raw_frame(Opcode.CONT, split[9:])
                + raw_frame(Opcode.TEXT, (ack % first + " " * 500).encode())
                + raw_frame(Opcode.TEXT, (ack % third).encode())
            )
            for start in range(0, len(stream), 7):
                client.transport.write(stream[start : start + 7])
                await asyncio.sleep(0)
            [connection] = it.hub.connections
            await until(lambda: str(connection.session.floor) == third)

    run(scenario)


class Listener:
    """A connection that only remembers."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def received(self, text: bytes) -> None:
        """Remember."""
        self.heard.append(text)


def test_the_rest_of_a_long_frame_is_not_taken_for_a_frame_of_its_own() -> None:
    """Otherwise whoever fills a message's body could forge acks inside it."""
    inner = raw_frame(Opcode.TEXT, b'{"type":"pong","id":1}')
    outer = Frame(Opcode.TEXT, b"x" * 200 + inner).serialize(mask=True)
    zeros = outer[:4] + bytes(4) + b"x" * 200 + inner  # a mask of zeros: the payload in clear
    listener = Listener()
    splitter, arrivals = FrameSplitter(65_536), Arrivals()
    channel = DirectChannel(asyncio.Transport(), set(), None, splitter, arrivals)  # type: ignore[arg-type]  # no loop is needed
    channel.attach(listener)  # type: ignore[arg-type]  # a double
    channel.received(zeros[: -len(inner)])
    channel.received(zeros[-len(inner) :])
    assert listener.heard == [b"x" * 200 + inner]


def test_an_ack_counts_that_came_with_the_end_of_its_connection(tmp_path: Path) -> None:
    """A phone acknowledges and is put away: what was handled must not come again."""

    async def scenario() -> None:
        async with site(tmp_path) as it, it.connect() as client:
            await hello(client)
            [receipt] = await it.append(1)
            cursor = (await frame_of(client, "events"))["cursor"]
            [connection] = it.hub.connections
            client.transport.write(
                raw_frame(Opcode.TEXT, b'{"type":"ack","cursor":"%s"}' % cursor.encode())
            )
            client.transport.close()
            await until(lambda: not it.hub.connections)
            assert connection.session.floor.position == receipt.position

    run(scenario)


def test_a_fault_costs_the_connection_it_is_in_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Acks of many are handled together; one that cannot be must not keep the others."""
    received = Connection.received

    def faulty(self: Connection, text: bytes) -> None:
        if self.user == "eva":
            raise RuntimeError("a fault")
        received(self, text)

    monkeypatch.setattr(Connection, "received", faulty)

    async def scenario() -> None:
        async with site(tmp_path) as it, it.connect() as broken, it.connect() as client:
            await hello(broken, "eva")
            await hello(client, "ana")
            [receipt] = await it.append(1)
            ack = json.dumps(
                {"type": "ack", "cursor": (await frame_of(client, "events"))["cursor"]}
            )
            await broken.send(ack)
            await client.send(ack)
            [connection] = [each for each in it.hub.connections if each.user == "ana"]
            await until(lambda: connection.session.floor.position == receipt.position)
            assert (await closed(broken))[0] == CloseCode.ABNORMAL
            assert [each.user for each in it.hub.connections] == ["ana"]
            await it.hub.recorded()
            ended = await it.recorded("client.disconnected")
            assert [(end["code"], end["reason"]) for end in ended] == [(1006, "internal error")]

    run(scenario)


@pytest.mark.parametrize("authenticated", [True, False])
def test_fragments_without_end_are_refused(tmp_path: Path, authenticated: bool) -> None:
    """Empty ones cost the peer six bytes each, and no size limit counts them."""

    async def scenario() -> None:
        async with site(tmp_path) as it, it.connect() as client:
            if authenticated:
                await hello(client)
            client.transport.write(raw_frame(Opcode.TEXT, b"", fin=False))
            client.transport.write(raw_frame(Opcode.CONT, b"", fin=False) * (FRAGMENTS_MAX + 5))
            assert (await closed(client))[0] == 4400

    run(scenario)


def test_a_message_inside_a_message_is_refused(tmp_path: Path) -> None:
    """The fast path does not hide what is illegal."""

    async def scenario() -> None:
        async with site(tmp_path) as it, it.connect() as client:
            await hello(client)
            client.transport.write(raw_frame(Opcode.TEXT, b'{"ty', fin=False))
            client.transport.write(raw_frame(Opcode.TEXT, b'{"type":"pong","id":1}'))
            assert (await closed(client))[0] in (1002, 4400)

    run(scenario)


def test_frames_in_the_same_breath_as_hello_are_not_lost(tmp_path: Path) -> None:
    """Then ASGI serves the connection to its end; a session all the same."""

    async def scenario() -> None:
        async with site(tmp_path) as it, it.connect() as client:
            greeting = '{"type":"hello","token":"ana","device":"d","cursor":null}'
            refresh = b'{"type":"refresh","token":"bad"}'
            client.transport.write(
                raw_frame(Opcode.TEXT, greeting.encode()) + raw_frame(Opcode.TEXT, refresh) * 3
            )
            for _ in range(3):
                await frame_of(client, "error")
            await it.append(1)
            await frame_of(client, "events")

    run(scenario)


def test_a_flood_before_hello_is_taken_one_message_at_a_time(tmp_path: Path) -> None:
    """Nobody stores what an unknown peer says beyond its first message."""

    async def scenario() -> None:
        async with site(tmp_path) as it, it.connect() as client:
            client.transport.write(raw_frame(Opcode.TEXT, b"{}") * 10_000)
            code, frames = await closed(client)
            assert (code, len(frames)) == (4400, 1)

    run(scenario)


def test_too_many_sockets_get_503(tmp_path: Path) -> None:
    """The bound holds for WebSockets too, which uvicorn's own does not count."""

    async def scenario() -> None:
        from websockets.exceptions import InvalidStatus

        async with site(tmp_path, limit_concurrency=1) as it, it.connect() as client:
            await hello(client)
            with pytest.raises(InvalidStatus) as refused:
                await it.connect()
            assert refused.value.response.status_code == 503

    run(scenario)


@pytest.mark.parametrize("ours", [True, False], ids=["direct", "asgi"])
def test_a_session_leaves_nothing_behind_in_the_server(tmp_path: Path, ours: bool) -> None:
    """No task and no connection, however it ended."""

    async def scenario() -> None:
        async with site(tmp_path, ours=ours) as it:
            state = it.server.server_state
            async with it.connect() as client:
                await hello(client)
                if ours:
                    await until(lambda: not state.tasks)
                assert len(state.connections) == 1
            await until(lambda: not state.tasks and not state.connections)

    run(scenario)


def test_stopping_does_not_wait_for_peers_that_never_read(tmp_path: Path) -> None:
    """Their sockets are full and are aborted; the whole stop stays within the bound (G19)."""

    async def scenario() -> None:
        async with site(tmp_path) as it:
            deaf = [await never_reading(it.port, user) for user in ("ana", "rui", "noa", "otto")]
            await until(lambda: len(it.hub.connections) == 4)
            for number in range(60):
                await it.append(number, text="x" * 200_000)
                for connection in it.hub.connections:
                    cursor = str(connection.session.last_sent)
                    connection.received(json.dumps({"type": "ack", "cursor": cursor}).encode())
            await until(lambda: not any(c.channel.writable for c in it.hub.connections))
            stopping = time.monotonic()
        assert time.monotonic() - stopping < 10
        for each in deaf:
            each.close()

    run(scenario)


# --- HTTP --------------------------------------------------------------------------------------


async def talk(port: int, *pieces: bytes) -> bytes:
    """Send these bytes, then read until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
    answer = await reader.read()
    writer.close()
    return answer


SLOW = [
    pytest.param(b"", b"", id="says nothing"),
    pytest.param(b"\r\n\r\n", b"", id="only line ends"),
    pytest.param(b"POST /echo HTT", b"408", id="stops in the request line"),
    pytest.param(b"POST /echo HTTP/1.1\r\nHost: x\r\nX-A", b"408", id="stops in a header"),
    pytest.param(
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1234",
        b"408",
        id="stops in body",
    ),
    pytest.param(
        b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n1234",
        b"408",
        id="stops in a chunk",
    ),
    pytest.param(b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", b"200", id="idles after an answer"),
    pytest.param(
        b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\nGET /ec", b"408", id="stops in its second request"
    ),
]


@pytest.mark.parametrize(("sent", "answer"), SLOW)
def test_a_request_has_a_deadline_and_idlers_are_closed(
    tmp_path: Path, sent: bytes, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """10 s from the first byte, headers and body; here less (security row 15)."""
    monkeypatch.setattr(http_protocol, "REQUEST_S", 0.1)
    monkeypatch.setattr(http_protocol, "IDLE_S", 0.1)

    async def scenario() -> None:
        async with site(tmp_path) as it:
            assert answer in await talk(it.port, sent)
            await until(lambda: not it.server.server_state.connections)

    run(scenario)


def test_line_ends_after_an_answer_do_not_keep_a_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are legal between requests, and to uvicorn they look like life."""
    monkeypatch.setattr(http_protocol, "IDLE_S", 0.1)

    async def scenario() -> None:
        async with site(tmp_path, timeout_keep_alive=1) as it:
            reader, writer = await asyncio.open_connection("127.0.0.1", it.port)
            writer.write(b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n0")
            writer.write(b"\r\n")
            async with asyncio.timeout(10):
                assert await reader.read() == b""
            writer.close()

    run(scenario)


def test_a_trickle_does_not_move_the_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One byte at a time is what slowloris does."""
    monkeypatch.setattr(http_protocol, "REQUEST_S", 0.2)

    async def scenario() -> None:
        async with site(tmp_path) as it:
            reader, writer = await asyncio.open_connection("127.0.0.1", it.port)
            writer.write(b"POST /echo HTTP/1.1\r\nHost: x\r\n")
            answered = asyncio.create_task(reader.read())
            async with asyncio.timeout(10):
                while not answered.done():
                    writer.write(b"X-A: b\r\n")
                    await asyncio.sleep(0.01)
            with suppress(ConnectionError):  # it may be cut off before its answer is read
                assert b"408" in await answered
            writer.close()

    run(scenario)


def test_a_head_without_end_is_cut_off(tmp_path: Path) -> None:
    """The parser itself would take headers until memory ends."""

    async def scenario() -> None:
        async with site(tmp_path) as it:
            head = b"GET /echo HTTP/1.1\r\nX-A: " + b"x" * 70_000
            assert b"431" in await talk(it.port, head)

    run(scenario)


def test_a_peer_that_never_reads_its_response_is_aborted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also over plain HTTP, and so over SSE."""
    monkeypatch.setattr(http_protocol, "STALL_S", 0.1)

    async def scenario() -> None:
        async with site(tmp_path) as it:
            _, writer = await asyncio.open_connection("127.0.0.1", it.port, limit=1024)
            writer.write(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
            await until(lambda: bool(it.server.server_state.connections))
            await until(lambda: not it.server.server_state.connections)
            writer.close()

    run(scenario)


def test_requests_on_one_connection_still_follow_each_other(tmp_path: Path) -> None:
    """Keep-alive and pipelining, with a body in pieces: the deadlines change no answer."""

    async def scenario() -> None:
        async with site(tmp_path) as it:
            post = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
            answer = await talk(
                it.port, post + b"\r\n12", b"345" + post + b"\r\n12345",
                post + b"Connection: close\r\n\r\n12345",
            )  # fmt: skip
            assert answer.count(b"200 OK") == 3

    run(scenario)


# --- defaults ----------------------------------------------------------------------------------


def test_the_defaults_are_the_safe_ones() -> None:
    """Each of these is wrong in uvicorn's own (security rows 28, 30, 31)."""
    config = uvicorn_config(None)
    assert isinstance(config.http, partial)
    assert config.http.func is HttpProtocol
    assert isinstance(config.ws, partial)
    assert config.ws.func is WebSocketProtocol
    assert not config.proxy_headers
    assert not config.server_header
    assert not config.ws_per_message_deflate
    assert config.ws_max_size == 65_536
    assert config.ws_ping_interval is None
    assert config.timeout_graceful_shutdown is not None
    assert config.limit_concurrency is not None
    assert not config.access_log
    assert uvicorn_config(None, timeout_graceful_shutdown=1).timeout_graceful_shutdown == 1
