"""A server may send anything: the link may end for it, the client may not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transport.fake_server import TIME, cursor, event, events, live, welcome
from transport.backoff import Backoff
from transport.client_session import ClientSession, Link, State
from transport.frames import FrameError, Window, decode_server_frame
from transport.inbox_event import InboxEvent
from transport.link_end import LinkEnd
from transport.reconnect import Reconnect

START = cursor(10)
HONEST: tuple[dict[str, Any], ...] = (
    welcome(START),
    events(START, 11, 12),
    live(START),
    {"type": "skipped", "after": str(START), "cursor": str(cursor(12)), "count": 2}
    | {"reason": "expired"},
    {"type": "reset", "cursor": str(cursor(3, "e2")), "reason": "epoch_changed"},
    {"type": "ping", "id": 1, "cursor": str(cursor(12)), "rtt_ms": 1.5, "quality": "good"},
    {"type": "error", "problem": {"type": "about:blank"}},
    {"type": "bye", "code": 1012, "reason": "restart", "retry_after_ms": 10},
)
ODD = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
    | st.sampled_from(["", "e1.10.0", "e1.99999999999999999999.00000000", str(cursor(11)), TIME])
    | st.text(max_size=5) | st.just([]) | st.just({})
)  # fmt: skip


@st.composite
def spoiled(draw: st.DrawFn) -> dict[str, Any]:
    """An honest frame in which one value, at any depth, is another or is missing."""
    frame: dict[str, Any] = json.loads(json.dumps(draw(st.sampled_from(HONEST))))
    inside: Any = frame
    while True:
        if not inside:
            return frame
        name = draw(st.sampled_from(sorted(inside) if isinstance(inside, dict) else [0]))
        deeper = inside[name]
        if isinstance(deeper, dict | list) and draw(st.booleans()):
            inside = deeper
            continue
        if draw(st.booleans()):
            inside[name] = draw(ODD)
        else:
            del inside[name]
        return frame


def hear(session: ClientSession, frame: Any, now: float) -> None:
    """As the link does with a text that came."""
    text = json.dumps(frame)
    try:
        decoded = decode_server_frame(text)
    except FrameError as error:
        session.drop(error.reason, now)
    else:
        session.receive(decoded, len(text), now)


@given(st.lists(spoiled() | st.sampled_from(HONEST), max_size=8), st.booleans())
@settings(max_examples=500, deadline=None)
def test_no_frame_makes_the_client_raise(frames: list[dict[str, Any]], welcomed: bool) -> None:
    """It drops the link, or stops because it was told to; what it then shows are sane values."""
    session = ClientSession("laptop", START, Window(), Reconnect(Backoff(), lambda: 0.5))
    now = 100.0
    session.connecting()
    session.opened("t", now)
    for frame in [welcome(START), *frames] if welcomed else frames:
        hear(session, frame, now)
        now += 1
        session.tick(now)
    session.frames_to_send()
    assert session.synced_at is None or session.synced_at.tzinfo is not None
    while (item := session.intake.take()) is not None:
        if isinstance(item, InboxEvent):
            assert item.time.tzinfo is not None
            assert isinstance(item.data, dict | None)
        session.intake.finish()
    assert session.link in (Link.OPEN, Link.DOWN)
    assert (session.state is State.CLOSED) == (session.error is not None)


@pytest.mark.parametrize(
    "change",
    [
        {"position": 11.0},
        {"position": True, "cursor": str(cursor(1))},
        {"type": 7},
        {"version": "1"},
        {"time": "yesterday"},
        {"time": "2026-11-22T14:02:11"},
        {"inbox": None},
        {"conversation": 7},
        {"data": []},
    ],
)
def test_an_event_whose_fields_are_of_another_kind_is_none(change: dict[str, Any]) -> None:
    """What the application is given has the types it was promised."""
    with pytest.raises(FrameError):
        InboxEvent.from_wire(event(11) | change)


@pytest.mark.parametrize("retry_after_ms", [-5_000, 10**15])
def test_a_wish_to_be_left_alone_is_bounded(retry_after_ms: int) -> None:
    """Nobody can send a client away for ever with a code that says: come back."""
    session = ClientSession("laptop", START, Window(), Reconnect(Backoff(), lambda: 0.5))
    session.connecting()
    session.opened("t", 100.0)
    hear(session, HONEST[-1] | {"retry_after_ms": retry_after_ms}, 100.0)
    assert session.retry_at is not None
    assert 100.0 <= session.retry_at <= 100.0 + 3600 + 20


def test_a_retry_after_of_a_refused_handshake_is_bounded_too() -> None:
    """It may have 400 digits, which is more than a float holds."""
    session = ClientSession("laptop", START, Window(), Reconnect(Backoff(), lambda: 0.5))
    session.connecting()
    session.lost(LinkEnd(status=503, retry_after_s=float("9" * 400)), 100.0)
    assert session.retry_at is not None
    assert session.retry_at <= 100.0 + 3600 + 20
