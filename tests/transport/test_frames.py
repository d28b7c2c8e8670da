"""Frames: what can be read, what is refused, and that nothing is lost on the way."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, get_args

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transport.pages import cursor, visible
from transport.frames import (
    CLIENT_TYPES,
    SERVER_TYPES,
    Ack,
    Bye,
    ClientFrame,
    CloseCode,
    Error,
    Events,
    FrameError,
    Heartbeat,
    Hello,
    Live,
    Nack,
    Ping,
    Pong,
    Refresh,
    Refreshed,
    ReplayAck,
    Replayed,
    Reset,
    Resume,
    ServerFrame,
    Skipped,
    Welcome,
    Window,
    decode_client_frame,
    decode_server_frame,
    encode_events,
    encode_frame,
    may_reconnect,
)

FROM_CLIENT: list[ClientFrame] = [
    Hello("token", "laptop"),
    Hello("token", "laptop", cursor(5), Window(10, 1000)),
    Ack(cursor(7)),
    Nack(3, "cannot"),
    ReplayAck(40, (3, 7)),
    Pong(4),
    Refresh("newer"),
]
TIME = "2026-01-01T00:00:00.000000Z"
FROM_SERVER: list[ServerFrame] = [
    Welcome("s", "ana", "laptop", "e1", TIME, Heartbeat(25_000, 10_000), Window(),
            Resume("reset", cursor(9), 3, "history_differs")),
    Live(cursor(3), TIME),
    Skipped(cursor(1), cursor(5), 4, "queue_limit"),
    Reset(cursor(5), "epoch_changed"),
    Replayed(40, ({"position": 3},)),
    Ping(1, cursor(5), "good", 12.5),
    Ping(1, cursor(5), "poor"),
    Refreshed(900_000),
    Refreshed(),
    Error({"type": "urn:x", "status": 401}),
    Bye(4409, "replaced"),
]  # fmt: skip


@pytest.mark.parametrize("frame", FROM_CLIENT, ids=repr)
def test_a_client_frame_survives_the_way(frame: ClientFrame) -> None:
    """What one side encodes, the other reads."""
    assert decode_client_frame(encode_frame(frame)) == frame


@pytest.mark.parametrize("frame", FROM_SERVER, ids=repr)
def test_a_server_frame_survives_the_way(frame: ServerFrame) -> None:
    """What one side encodes, the other reads."""
    assert decode_server_frame(encode_frame(frame)) == frame


def test_every_frame_type_is_tried_here() -> None:
    """A new frame must not stay without a test."""
    assert {type(frame) for frame in FROM_CLIENT} == set(get_args(ClientFrame))
    assert {type(frame) for frame in FROM_SERVER} | {Events} == set(get_args(ServerFrame))
    assert len(CLIENT_TYPES) == len(get_args(ClientFrame))
    assert len(SERVER_TYPES) == len(get_args(ServerFrame))


def test_spliced_events_are_the_frame_one_would_have_encoded() -> None:
    """The bodies go in as they are, undecoded."""
    bodies = [b'{"position":2}', b'{"position":3}']
    frame = decode_server_frame(encode_events(cursor(1), cursor(3), 2, bodies))
    assert frame == Events(cursor(1), cursor(3), 2, ({"position": 2}, {"position": 3}))
    assert visible(2).cursor == cursor(2)


MALFORMED: list[Any] = [
    b"", b"null", b"[]", b"7", b"{", b'"ack"', b"\xff", b"{}", b'{"type":7}', b'{"type":null}',
    b'{"type":"dance"}', b'{"type":"Ack"}', b'{"type":"welcome"}',
    b'{"type":"ack"}', b'{"type":"ack","cursor":null}', b'{"type":"ack","cursor":7}',
    b'{"type":"ack","cursor":"e.1"}', b'{"type":"ack","cursor":"e.01.00000000"}',
    b'{"type":"ack","cursor":"e.99999999999999999999.00000000"}',
    b'{"type":"nack","position":"3","reason":"x"}', b'{"type":"nack","position":3}',
    b'{"type":"nack","position":true,"reason":"x"}', b'{"type":"nack","position":1.5,"reason":""}',
    b'{"type":"pong","id":"1"}', b'{"type":"pong","id":NaN}', b'{"type":"refresh","token":5}',
    b'{"type":"hello","token":"t"}', b'{"type":"hello","token":"t","device":5}',
    b'{"type":"hello","token":"t","device":"d","window":{"frames":"1","bytes":1}}',
    b'{"type":"hello","token":"t","device":"d","window":7}',
    b'{"type":"ack","cursor":' + b"[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("text", MALFORMED, ids=range(len(MALFORMED)))
def test_what_is_no_frame_is_refused_with_4400(text: bytes) -> None:
    """Never with another exception: the peer's fault must not look like ours."""
    with pytest.raises(FrameError) as refused:
        decode_client_frame(text)
    assert refused.value.code == CloseCode.BAD_FRAME


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "cursor", "id", "token", "device", "window", "frames", "bytes"]
            ),
            inner | st.sampled_from(sorted(CLIENT_TYPES)),
            max_size=5,
        )
    ),
    max_leaves=8,
)


@given(JSON | st.binary(max_size=60))
def test_any_input_is_a_frame_or_a_frame_error(value: Any) -> None:
    """Whatever JSON, whatever bytes."""
    try:
        text = value if isinstance(value, bytes) else orjson.dumps(value)
    except TypeError:
        return  # an integer no JSON of ours can hold
    with suppress(FrameError):
        decode_client_frame(text)


def test_what_a_newer_server_says_is_ignored_by_an_older_client() -> None:
    """An unknown type is None, an unknown field is left out."""
    assert decode_server_frame('{"type":"confetti","amount":3}') is None
    assert decode_server_frame('{"type":"bye","code":1012,"reason":"r","x":1}') == Bye(1012, "r")


def test_tokens_do_not_show_in_a_repr() -> None:
    """Reprs end in logs and tracebacks."""
    assert "s3cret" not in repr(Hello("s3cret", "d")) + repr(Refresh("s3cret"))


@pytest.mark.parametrize(
    ("code", "again"),
    [(1006, True), (1012, True), (4400, True), (4499, True), (4500, False), (4501, False),
     (4505, False), (4999, False), (5000, True)],
)  # fmt: skip
def test_the_range_of_a_code_decides_about_coming_back(code: int, again: bool) -> None:
    """4500-4999: do not; show it."""
    assert may_reconnect(code) is again
