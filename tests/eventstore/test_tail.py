"""The tail is a bounded cache that never claims more than it holds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eventstore.codec import encode_recorded
from eventstore.events import RecordedEvent
from eventstore.tail import Tail, Visible

ALL = frozenset("ab")


def _event(
    position: int, stream: str = "inbox:a", type_: str = "message.received"
) -> RecordedEvent:
    return RecordedEvent(
        position, position, stream, "c_1", type_, 1, b"{}", None, None, bytes([position % 256]) * 32
    )


def _tail(*, events_max: int = 100, bytes_max: int = 1 << 20) -> Tail:
    return Tail("e", 0, events_max=events_max, bytes_max=bytes_max)


def _positions(page: list[Visible] | None) -> list[int] | None:
    return None if page is None else [entry.position for entry in page]


_streams = st.sampled_from(["inbox:a", "inbox:b", "inbox:c", "client:ana/x", "system"])
_types = st.sampled_from(["message.received", "webhook.received", "conversation.read"])


@given(
    st.lists(st.lists(st.tuples(_streams, _types), max_size=8), max_size=8),
    st.integers(1, 12),
    st.integers(100, 2000),
    st.integers(0, 70),
    st.integers(1, 10),
    st.integers(1, 2000),
)
def test_what_it_reads_is_what_the_whole_log_says(
    commits: list[list[tuple[str, str]]],
    events_max: int,
    tail_bytes: int,
    after: int,
    limit: int,
    page_bytes: int,
) -> None:
    """Random commits, bounds and questions: the answer is the truth, or None, never less."""
    tail = _tail(events_max=events_max, bytes_max=tail_bytes)
    every: list[RecordedEvent] = []
    for commit in commits:
        events = [_event(len(every) + i, *what) for i, what in enumerate(commit, start=1)]
        every += events
        tail.extend(events)
    assert len(tail) <= events_max
    assert tail.bytes <= tail_bytes
    bodies = [
        encode_recorded(event, "e")
        for event in every
        if event.for_members and event.position > after and event.inbox in ALL
    ]
    for event in every:
        held = tail.at(event.position)
        expected = Visible.of(event, "e") if event.for_members else None
        assert held == (expected if event.position > tail.since else None)
    page = tail.read(after, limit, ALL, page_bytes)
    counted = tail.count(after, ALL, limit)
    if after < tail.since:
        assert page is None
        assert counted is None
    else:
        assert page is not None
        assert counted == min(limit, len(bodies))
        assert [entry.body for entry in page] == bodies[: len(page)]
        full = len(page) in (limit, len(bodies))
        assert full or sum(map(len, bodies[: len(page) + 1])) > page_bytes
        assert len(page) <= 1 or sum(len(entry.body) for entry in page) <= page_bytes


def test_one_event_always_fits() -> None:
    """An event heavier than the page's bytes is served alone; a reader is never stuck before it."""
    tail = _tail()
    tail.extend([_event(1), _event(2)])
    assert _positions(tail.read(0, 10, ALL, 1)) == [1]


def test_it_does_not_answer_for_what_has_left() -> None:
    """Below ``since`` the answer is None: read the disk."""
    tail = _tail(events_max=2)
    tail.extend([_event(n) for n in range(1, 6)])
    assert tail.since == 3
    assert tail.read(2, 10, ALL, 1 << 20) is None
    assert _positions(tail.read(3, 10, ALL, 1 << 20)) == [4, 5]


def test_members_see_neither_raw_webhooks_nor_other_streams() -> None:
    """G21: only message, contact and conversation events of the inboxes asked for."""
    tail = _tail()
    tail.extend([_event(1), _event(2, type_="webhook.received"), _event(3, "client:ana/x")])
    tail.extend([_event(4, "inbox:c"), _event(5, "inbox:b")])
    assert _positions(tail.read(0, 10, ALL, 1 << 20)) == [1, 5]
    assert tail.newest(ALL) == 5
    assert tail.newest(frozenset("z")) is None


def test_a_cursor_beyond_the_newest_reads_nothing() -> None:
    """At and past the head there is nothing yet, which is not None."""
    tail = _tail()
    tail.extend([_event(1)])
    assert tail.read(1, 10, ALL, 1 << 20) == []
    assert tail.read(99, 10, ALL, 1 << 20) == []
