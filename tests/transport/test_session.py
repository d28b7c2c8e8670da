"""The session by plain calls: no loop, no clock; time is a number."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from eventstore.cursor import Cursor
from eventstore.events import (
    ClientDisconnected,
    DeliveryAcknowledged,
    DeliveryParked,
    DeliveryRetried,
    Event,
    HeartbeatAnswered,
    HeartbeatMissed,
)
from tests.machines import sharded
from tests.transport.pages import cursor, page, visible
from transport.frames import Ack, CloseCode, FrameError, Hello, Nack, Pong, Refresh, Window
from transport.page import Page
from transport.session import Session, State, agree_window


def session(start: int = 0, window: Window = Window(), now: float = 0.0) -> Session:  # noqa: B008
    """A session from ``start``, whose pings come every 25 s exactly."""
    return Session("s1", cursor(start), window, lambda: 0.5, now)


def sent(of: Session) -> list[dict[str, Any]]:
    """The frames waiting to be sent, decoded."""
    return [json.loads(packet.text) for packet in of.frames_to_send()]


def state(of: Session) -> State:
    """Its state, asked anew: a plain attribute would be narrowed by the assertion before."""
    return of.state


def recorded(of: Session, kind: type[Event]) -> list[Event]:
    """The events waiting to be recorded, of one kind."""
    return [event for event in of.events_to_record() if isinstance(event, kind)]


# --- sending -----------------------------------------------------------------------------------


def test_a_page_goes_out_as_one_frame_that_follows_the_last() -> None:
    """`after` is the cursor the client has, `cursor` the last event's own."""
    it = session(4)
    assert it.deliver(page(4, [5, 7]), 0.0)
    [frame] = sent(it)
    assert (frame["type"], frame["attempt"], len(frame["events"])) == ("events", 1, 2)
    assert (frame["after"], frame["cursor"]) == (str(cursor(4)), str(cursor(7)))
    assert it.last_sent == cursor(7)
    assert sent(it) == []


def test_a_page_that_does_not_follow_is_a_bug_of_ours() -> None:
    """A gap must never leave the server."""
    with pytest.raises(AssertionError):
        session(4).deliver(page(5, [6]), 0.0)


def test_equal_sessions_share_one_encoding() -> None:
    """A thousand sockets get the very same bytes object."""
    shared = page(0, [1])
    one, two = session(), session()
    one.deliver(shared, 0.0)
    two.deliver(shared, 0.0)
    assert one.frames_to_send()[0].wire is two.frames_to_send()[0].wire


def test_live_is_said_once() -> None:
    """CATCHING_UP to LIVE, with the session's own cursor and the server's time."""
    it = session(3)
    assert state(it) is State.CATCHING_UP
    it.caught_up("2026-01-01T00:00:00.000000Z")
    it.caught_up("2026-01-01T00:00:01.000000Z")
    [frame] = sent(it)
    assert frame == {
        "type": "live",
        "cursor": str(cursor(3)),
        "time": "2026-01-01T00:00:00.000000Z",
    }
    assert state(it) is State.LIVE


# --- the window --------------------------------------------------------------------------------


def test_the_window_counts_events() -> None:
    """At the limit the session takes no more until something is acknowledged."""
    it = session(window=Window(3, 1000))
    assert it.deliver(page(0, [1, 2, 3, 4]), 0.0)
    assert it.last_sent == cursor(3)
    assert it.window == (0, 970)
    assert not it.deliver(page(3, [4]), 0.0)
    it.receive(Ack(cursor(2)), 1.0)
    assert it.window == (2, 990)
    assert it.deliver(page(3, [4]), 0.0)


def test_the_window_counts_bytes() -> None:
    """A page is cut where its next event would not fit."""
    it = session(window=Window(100, 25))
    assert it.deliver(page(0, [1, 2, 3]), 0.0)
    assert it.last_sent == cursor(2)
    assert not it.deliver(page(2, [3]), 0.0)


def test_an_event_larger_than_the_window_passes_alone() -> None:
    """Otherwise it would block the session for ever; but not beside others."""
    it = session(window=Window(100, 25))
    it.deliver(page(0, [1]), 0.0)
    assert not it.deliver(page(1, [2], size=500), 0.0)
    it.receive(Ack(cursor(1)), 1.0)
    assert it.deliver(page(1, [2, 3], size=500), 0.0)
    assert it.last_sent == cursor(2)


def test_a_partly_acknowledged_page_frees_its_part() -> None:
    """Acks need not fall on the end of a frame."""
    it = session(window=Window(10, 100))
    it.deliver(page(0, [1, 2, 3]), 0.0)
    it.deliver(page(3, [4, 5]), 0.0)
    it.receive(Ack(cursor(4)), 1.0)
    assert it.in_flight == (1, 10)
    it.receive(Ack(cursor(5)), 1.0)
    assert it.in_flight == (0, 0)


def test_a_page_acknowledged_bit_by_bit_frees_bit_by_bit() -> None:
    """Each part is given back once."""
    it = session(window=Window(10, 100))
    it.deliver(page(0, [1, 2, 3]), 0.0)
    for position, left in ((1, (2, 20)), (2, (1, 10)), (3, (0, 0))):
        it.receive(Ack(cursor(position)), 1.0)
        assert it.in_flight == left


@pytest.mark.parametrize(
    ("asked", "agreed"),
    [
        (None, Window(100, 262144)),
        (Window(5, 1000), Window(5, 1000)),
        (Window(500, 1000), Window(100, 1000)),
        (Window(5, 10**9), Window(5, 262144)),
    ],
)
def test_the_smaller_window_counts(asked: Window | None, agreed: Window) -> None:
    """The client's and the server's, each in its own respect."""
    assert agree_window(asked) == agreed


@pytest.mark.parametrize("asked", [Window(0, 10), Window(10, 0), Window(-1, 10)])
def test_a_window_without_room_is_refused(asked: Window) -> None:
    """It would be a session that gets nothing and does not know why."""
    with pytest.raises(FrameError):
        agree_window(asked)


# --- acknowledgements --------------------------------------------------------------------------


def test_a_quiet_ack_is_recorded_at_once() -> None:
    """With the exact range and the number of events that this session sent in it."""
    it = session(4)
    it.deliver(page(4, [5, 9, 12]), 0.0)
    it.receive(Ack(cursor(9)), 3.0)
    assert recorded(it, DeliveryAcknowledged) == [DeliveryAcknowledged("s1", 4, 9, 2)]
    assert it.floor == cursor(9)


def test_a_storm_of_acks_is_one_event_a_second() -> None:
    """Ranges follow each other without a gap, and no event is counted twice."""
    it = session()
    for position in range(1, 31):
        it.deliver(page(position - 1, [position]), 0.0)
        it.receive(Ack(cursor(position)), position / 10)
        it.tick(position / 10, cursor(position))
    it.tick(5.0, cursor(30))
    ranges = [(e.after, e.until, e.count) for e in recorded(it, DeliveryAcknowledged)]  # type: ignore[union-attr]  # of one kind
    assert ranges == [(0, 1, 1), (1, 11, 10), (11, 21, 10), (21, 30, 9)]


def test_a_coalesced_ack_has_a_deadline() -> None:
    """The session asks to be ticked a second after the last record."""
    it = session()
    it.deliver(page(0, [1, 2]), 0.0)
    it.receive(Ack(cursor(1)), 10.0)
    it.receive(Ack(cursor(2)), 10.2)
    assert it.deadline == 11.0
    it.events_to_record()
    it.tick(11.0, cursor(2))
    assert recorded(it, DeliveryAcknowledged) == [DeliveryAcknowledged("s1", 1, 2, 1)]
    assert it.deadline == 25.0


def test_what_waits_is_recorded_at_the_end() -> None:
    """A closed session leaves no acknowledged event behind."""
    it = session()
    it.deliver(page(0, [1, 2]), 0.0)
    it.receive(Ack(cursor(1)), 10.0)
    it.receive(Ack(cursor(2)), 10.2)
    it.lost(1001, "going away", 10.3)
    assert it.events_to_record()[1:] == [
        DeliveryAcknowledged("s1", 1, 2, 1),
        ClientDisconnected("s1", 1001, "going away"),
    ]


def test_an_ack_at_or_below_the_floor_changes_nothing() -> None:
    """Repetitions happen; they are harmless."""
    it = session()
    it.deliver(page(0, [1, 2]), 0.0)
    it.receive(Ack(cursor(2)), 1.0)
    it.events_to_record()
    for position in (0, 1, 2):
        it.receive(Ack(cursor(position)), 5.0)
    assert it.events_to_record() == []
    assert it.floor == cursor(2)


ILLEGAL = [
    Ack(cursor(4)),
    Ack(Cursor("e1", 3, "00000000")),
    Ack(Cursor("e1", 2, "00000000")),
    Ack(cursor(3, "e2")),
    Ack(cursor(1, "e2")),
    Hello("token", "laptop"),
    Refresh("token"),
    Nack(4, "too far"),
    Pong(1),
    Pong(0),
    Pong(-1),
]


@pytest.mark.parametrize("frame", ILLEGAL, ids=repr)
def test_an_illegal_frame_raises_and_changes_nothing(frame: Any) -> None:
    """Beyond what was sent, of another history, out of turn: 4400, with the state as it was."""
    it = session(1)
    it.deliver(page(1, [2, 3]), 0.0)
    it.frames_to_send()
    before = _state(it)
    with pytest.raises(FrameError) as raised:
        it.receive(frame, 7.0)
    assert raised.value.code == CloseCode.BAD_FRAME
    assert _state(it) == before


def _state(it: Session) -> Any:
    return (
        it.state,
        it.floor,
        it.last_sent,
        it.window,
        it.deadline,
        bool(it.frames or it.events),
        it.attempt,
    )


def test_an_ack_between_two_events_counts_up_to_the_earlier() -> None:
    """A position that was never sent proves nothing about the one after it."""
    it = session()
    it.deliver(page(0, [2, 6]), 0.0)
    it.receive(Ack(cursor(4)), 1.0)
    assert it.floor == cursor(2)


# --- nack --------------------------------------------------------------------------------------


def test_a_nack_parks_one_event_which_then_counts_as_handled() -> None:
    """It is recorded by name, and is not among the acknowledged."""
    it = session()
    it.deliver(page(0, [1, 2, 3]), 0.0)
    it.receive(Nack(2, "cannot decode"), 1.0)
    it.receive(Ack(cursor(3)), 1.0)
    assert it.events_to_record() == [
        DeliveryParked("s1", 2, "cannot decode"),
        DeliveryAcknowledged("s1", 0, 3, 2),
    ]


def test_a_nack_of_the_first_moves_the_floor() -> None:
    """Everything up to there is handled; the next ack begins behind it."""
    it = session()
    it.deliver(page(0, [1, 2, 3]), 0.0)
    it.receive(Nack(1, "no"), 1.0)
    assert it.floor == cursor(1)
    assert it.in_flight[0] == 2


def test_an_ack_reaches_over_parked_events_behind_it() -> None:
    """1 acknowledged and 2 parked: the floor is 2."""
    it = session()
    it.deliver(page(0, [1, 2, 3]), 0.0)
    it.receive(Nack(2, "no"), 1.0)
    it.receive(Ack(cursor(1)), 1.0)
    assert it.floor == cursor(2)
    assert recorded(it, DeliveryAcknowledged) == [DeliveryAcknowledged("s1", 0, 2, 1)]


def test_a_nack_twice_or_of_the_past_is_harmless() -> None:
    """Parked is parked."""
    it = session()
    it.deliver(page(0, [1, 2]), 0.0)
    it.receive(Nack(2, "no"), 1.0)
    it.receive(Nack(2, "no"), 1.0)
    it.receive(Ack(cursor(2)), 1.0)
    it.receive(Nack(1, "too late"), 1.0)
    assert len(recorded(it, DeliveryParked)) == 1


def test_a_nack_of_what_was_not_sent_is_illegal() -> None:
    """Position 2 belongs to an inbox this client does not see."""
    it = session()
    it.deliver(page(0, [1, 3]), 0.0)
    with pytest.raises(FrameError):
        it.receive(Nack(2, "guess"), 1.0)


# --- going back --------------------------------------------------------------------------------


def test_a_rewind_sends_again_from_the_floor_with_the_next_attempt() -> None:
    """The suffix after the floor comes again, and says which attempt it is."""
    it = session()
    it.deliver(page(0, [1, 2, 3]), 0.0)
    it.receive(Ack(cursor(1)), 1.0)
    it.rewind("ack overdue")
    assert it.last_sent == cursor(1)
    assert it.in_flight == (0, 0)
    assert recorded(it, DeliveryRetried) == [DeliveryRetried("s1", 1, 2, "ack overdue")]
    it.frames_to_send()
    it.deliver(page(1, [2, 3, 4]), 0.0)
    [frame] = sent(it)
    assert (frame["attempt"], frame["after"]) == (2, str(cursor(1)))


def test_a_late_ack_of_an_earlier_attempt_counts_and_is_counted_once() -> None:
    """The client got it the first time; nothing of it is sent again."""
    it = session()
    it.deliver(page(0, [1, 2, 3, 4]), 0.0)
    it.rewind("ack overdue")
    it.deliver(page(0, [1]), 0.0)
    it.receive(Ack(cursor(3)), 1.0)
    assert (it.floor, it.last_sent, it.attempt) == (cursor(3), cursor(3), 1)
    it.deliver(page(3, [4]), 0.0)
    it.receive(Ack(cursor(4)), 9.0)
    ranges = recorded(it, DeliveryAcknowledged)
    assert sum(getattr(event, "count", 0) for event in ranges) == 4


def test_going_back_twice_counts_nothing_twice() -> None:
    """The second rewind joins what was sent again with what was not yet."""
    it = session()
    it.deliver(page(0, [1, 2, 3]), 0.0)
    it.rewind("ack overdue")
    it.deliver(page(0, [1]), 0.0)
    it.rewind("ack overdue")
    it.receive(Ack(cursor(2)), 1.0)
    it.receive(Ack(cursor(3)), 2.0)
    assert recorded(it, DeliveryAcknowledged) == [
        DeliveryAcknowledged("s1", 0, 2, 2),
        DeliveryAcknowledged("s1", 2, 3, 1),
    ]


def test_after_a_rewind_nothing_beyond_the_first_attempt_may_be_acknowledged() -> None:
    """Also not in the second attempt."""
    it = session()
    it.deliver(page(0, [1, 2]), 0.0)
    it.rewind("ack overdue")
    with pytest.raises(FrameError):
        it.receive(Ack(cursor(3)), 1.0)


# --- heartbeat ---------------------------------------------------------------------------------


def test_a_ping_comes_every_25_s_and_carries_the_head() -> None:
    """So that a client on a quiet stream can check for gaps."""
    it = session(3)
    assert it.deadline == 25.0
    it.tick(24.9, cursor(8))
    assert sent(it) == []
    it.tick(25.0, cursor(8))
    assert sent(it) == [
        {"type": "ping", "id": 1, "cursor": str(cursor(8)), "quality": "good", "rtt_ms": None}
    ]


def test_a_pong_gives_the_round_trip_and_rests_until_the_next() -> None:
    """Recorded, and smoothed into what the next ping says."""
    it = session()
    it.tick(25.0, cursor(0))
    it.receive(Pong(1), 25.08)
    assert recorded(it, HeartbeatAnswered) == [HeartbeatAnswered("s1", 80.0)]
    it.tick(50.0, cursor(0))
    it.receive(Pong(2), 50.04)
    it.tick(75.0, cursor(0))
    assert [frame["rtt_ms"] for frame in sent(it)] == [None, 80.0, 70.0]


def test_a_slow_pong_is_called_poor() -> None:
    """The client shows it to the user."""
    it = session()
    it.tick(25.0, cursor(0))
    it.receive(Pong(1), 28.0)
    it.tick(50.0, cursor(0))
    assert sent(it)[-1]["quality"] == "poor"


def test_two_missed_pongs_end_the_session() -> None:
    """25 + 10 + 10 s: within 2.5 intervals (G11). Nobody is there to read a `bye`."""
    it = session()
    it.tick(25.0, cursor(0))
    it.tick(35.0, cursor(0))
    assert [frame["quality"] for frame in sent(it)] == ["good", "poor"]
    it.tick(44.9, cursor(0))
    assert state(it) is not State.CLOSED
    it.tick(45.0, cursor(0))
    assert it.state is State.CLOSED
    assert (it.close_code, sent(it)) == (CloseCode.STALLED, [])
    assert it.events_to_record() == [
        HeartbeatMissed("s1", 1),
        HeartbeatMissed("s1", 2),
        ClientDisconnected("s1", CloseCode.STALLED, "no heartbeat"),
    ]


def test_any_frame_is_life() -> None:
    """A client that acknowledges but lost the pong is not dead."""
    it = session()
    it.tick(25.0, cursor(0))
    it.deliver(page(0, [1]), 0.0)
    it.receive(Ack(cursor(1)), 30.0)
    it.tick(35.0, cursor(1))
    assert recorded(it, HeartbeatMissed) == []
    assert it.deadline == 50.0


def test_life_after_one_miss_starts_the_count_anew() -> None:
    """Only misses in a row end a session."""
    it = session()
    it.tick(25.0, cursor(0))
    it.tick(35.0, cursor(0))
    it.receive(Pong(2), 36.0)
    it.tick(60.0, cursor(0))
    it.tick(70.0, cursor(0))
    assert it.state is not State.CLOSED
    assert recorded(it, HeartbeatMissed) == [HeartbeatMissed("s1", 1), HeartbeatMissed("s1", 1)]


@pytest.mark.parametrize(("number", "due"), [(0.0, 22.5), (0.5, 25.0), (1.0, 27.5)])
def test_pings_are_spread(number: float, due: float) -> None:
    """± 10 %, or all clients of a restart would be pinged in one moment for ever."""
    assert Session("s1", cursor(0), Window(), lambda: number, 0.0).deadline == pytest.approx(due)


# --- the end -----------------------------------------------------------------------------------


def test_a_close_says_bye_and_records_the_end() -> None:
    """And after it nothing is sent or recorded any more."""
    it = session()
    it.close(CloseCode.RESTART, "restart", 5.0, retry_after_ms=120)
    it.close(CloseCode.REPLACED, "again", 6.0)
    it.lost(1006, "", 6.0)
    it.receive(Ack(cursor(9)), 6.0)
    it.tick(100.0, cursor(0))
    assert sent(it) == [{"type": "bye", "code": 1012, "reason": "restart", "retry_after_ms": 120}]
    assert it.events_to_record() == [ClientDisconnected("s1", 1012, "restart")]
    assert it.state is State.CLOSED


# --- all together ------------------------------------------------------------------------------


class SessionMachine(RuleBasedStateMachine):
    """Any order of events, deliveries, acks, nacks, rewinds and time, against a plain model."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.it = session(window=Window(5, 60))
        self.sizes: dict[int, int] = {}
        self.head = 0
        self.client = 0  # where the client's cursor is in this attempt
        self.delivered: set[int] = set()
        self.parked: set[int] = set()
        self.ranges: list[DeliveryAcknowledged] = []

    def _drain(self) -> None:
        for packet in self.it.frames_to_send():
            frame = json.loads(packet.text)
            if frame["type"] == "events":
                assert frame["after"] == str(cursor(self.client)), "frames are contiguous"
                self.client = int(frame["cursor"].split(".")[1])
        for event in self.it.events_to_record():
            if isinstance(event, DeliveryAcknowledged):
                self.ranges.append(event)
            elif isinstance(event, DeliveryParked):
                assert event.position not in self.parked
                self.parked.add(event.position)

    @rule(step=st.integers(1, 3), size=st.integers(1, 40))
    def append(self, step: int, size: int) -> None:
        """The log grows; positions of others lie in between."""
        self.head += step
        self.sizes[self.head] = size

    @rule(limit=st.integers(1, 4))
    def deliver(self, limit: int) -> None:
        """What a hub does: the next page after the session's cursor."""
        after = self.it.last_sent.position
        events = [visible(p, s) for p, s in self.sizes.items() if p > after][:limit]
        if events:
            before = self.it.last_sent
            if self.it.deliver(Page.of(before, events), self.now):
                upto = self.it.last_sent.position
                self.delivered |= {event.position for event in events if event.position <= upto}
        self._drain()

    @precondition(lambda self: self.delivered)
    @rule(data=st.data())
    def ack(self, data: st.DataObject) -> None:
        """Anything ever sent may be acknowledged, in any attempt."""
        position = data.draw(st.sampled_from(sorted(self.delivered)))
        floor = self.it.floor.position
        self.it.receive(Ack(cursor(position)), self.now)
        assert self.it.floor.position >= max(floor, position), "the floor never goes back"
        self.client = max(self.client, self.it.last_sent.position)
        self._drain()

    @rule(beyond=st.integers(1, 5))
    def ack_beyond(self, beyond: int) -> None:
        """What was never sent may not."""
        position = max(self.delivered, default=0) + beyond
        with pytest.raises(FrameError):
            self.it.receive(Ack(cursor(position)), self.now)

    @precondition(lambda self: self.delivered)
    @rule(data=st.data())
    def nack(self, data: st.DataObject) -> None:
        """Any event sent may be parked."""
        position = data.draw(st.sampled_from(sorted(self.delivered)))
        self.it.receive(Nack(position, "no"), self.now)
        self._drain()

    @rule()
    def rewind(self) -> None:
        """The next attempt begins at the floor."""
        self.it.rewind("ack overdue")
        self.client = self.it.floor.position
        self._drain()

    @rule(seconds=st.floats(0, 2))
    def wait(self, seconds: float) -> None:
        """Time passes, and the client is heard; an overdue ack may send the session back."""
        self.now += seconds
        self.it.receive(Ack(self.it.floor), self.now)
        self.it.tick(self.now, cursor(self.head))
        self.client = min(self.client, self.it.last_sent.position)
        self._drain()

    @rule()
    def answer_no_ping(self) -> None:
        """An answer to no ping is illegal, and changes nothing."""
        before = self.it.floor, self.it.last_sent, self.it.in_flight
        with pytest.raises(FrameError):
            self.it.receive(Pong(1_000_000), self.now)
        assert (self.it.floor, self.it.last_sent, self.it.in_flight) == before

    @invariant()
    def the_window_holds(self) -> None:
        """Never more than the window, except one large event alone."""
        events, size = self.it.in_flight
        assert events <= 5
        assert size <= 60 or events == 1

    @invariant()
    def the_cursors_are_in_order(self) -> None:
        """Floor, last sent, and the head."""
        assert self.it.floor.position <= self.it.last_sent.position <= self.head

    def teardown(self) -> None:
        """Ranges follow each other, and count exactly what was sent and not parked."""
        self.it.lost(1006, "", self.now)
        self._drain()
        after = 0
        for each in self.ranges:
            assert each.after == after
            handled = {p for p in self.delivered if each.after < p <= each.until}
            assert each.count == len(handled - self.parked)
            after = each.until
        assert after == self.it.floor.position


globals().update(sharded(SessionMachine))
