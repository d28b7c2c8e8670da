"""Acks that do not come: whom a session asks again, how often, and what it puts aside."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from eventstore.cursor import Cursor
from eventstore.events import (
    ClientDisconnected,
    DeliveryParked,
    DeliveryRetried,
    Event,
    HeartbeatAnswered,
)
from tests.transport.pages import cursor, page, visible
from transport.frames import Ack, CloseCode, Nack, Pong, Window
from transport.page import Page
from transport.session import Session, State


class Peer:
    """A session, and a client that reads everything; time moves from deadline to deadline."""

    def __init__(
        self, *, answers: bool = True, events: int = 3, rtt_s: float = 0.0, frames: int = 100
    ) -> None:
        self.it = Session("s1", cursor(0), Window(frames, 10_000), lambda: 0.5, 0.0)
        self.now = 0.0
        self.answers = answers
        self.rtt_s = rtt_s
        self.log = [visible(position) for position in range(1, events + 1)]
        self.told: list[tuple[float, Event]] = []
        self.frames: list[tuple[float, dict[str, Any]]] = []
        self.deliver()

    def deliver(self) -> None:
        """What a hub does after each step: all that there is room for; and the client answers."""
        after = self.it.last_sent.position
        if self.it.state is not State.CLOSED and (rest := self.log[after:]):
            self.it.deliver(Page.of(self.it.last_sent, rest), self.now)
        for packet in self.it.frames_to_send():
            frame = json.loads(packet.text)
            self.frames.append((self.now, frame))
            if frame["type"] == "ping" and self.answers:
                self.it.receive(Pong(frame["id"]), self.now + self.rtt_s)
        self.told += [(self.now, event) for event in self.it.events_to_record()]

    def run(self, until: float) -> None:
        """Let time pass."""
        while self.it.state is not State.CLOSED and self.it.deadline <= until:
            self.now = max(self.now, self.it.deadline)
            self.it.tick(self.now, cursor(len(self.log)))
            self.deliver()
        self.now = until

    def receive(self, frame: Any) -> None:
        """The client says something."""
        self.it.receive(frame, self.now)
        self.deliver()

    def times(self, kind: type[Event]) -> list[float]:
        """When events of one kind were recorded."""
        return [at for at, event in self.told if isinstance(event, kind)]

    def attempts(self) -> list[tuple[float, int]]:
        """When events were sent, and as which attempt."""
        return [(at, f["attempt"]) for at, f in self.frames if f["type"] == "events"]


def test_a_client_that_lives_and_never_acks_gets_five_attempts_then_a_park_and_goes_on() -> None:
    """5 s, and a ping proves it alive, then 10, 20, 40 and 60 s."""
    peer = Peer(events=3, frames=3)
    peer.log.append(visible(4))
    peer.run(138.0)
    retries = peer.times(DeliveryRetried)
    assert [round(b - a) for a, b in pairwise(retries)] == [10, 20, 40]
    [parked] = [event for _, event in peer.told if isinstance(event, DeliveryParked)]
    assert (parked.position, parked.reason) == (1, "no ack after 5 attempts")
    [at] = peer.times(DeliveryParked)
    assert round(at - retries[-1]) == 60
    assert [attempt for _, attempt in peer.attempts()][:6] == [1, 2, 3, 4, 5, 1]
    assert peer.it.last_sent == cursor(4), "the event that was parked made room for the next"


def test_a_ping_goes_before_the_retry() -> None:
    """What was overdue is sent again only after its pong."""
    peer = Peer(answers=False)
    wait = 5.0  # no round trip was measured yet
    peer.run(wait)
    assert [frame["type"] for _, frame in peer.frames] == ["events", "ping"]
    assert peer.times(DeliveryRetried) == []
    peer.receive(Pong(1))
    peer.run(wait)
    assert peer.times(DeliveryRetried) == [wait]
    assert peer.it.attempt == 2


def test_the_answer_to_a_ping_of_before_proves_nothing_of_now() -> None:
    """It was sent when the ack was not overdue yet; the events may have come after it."""
    it = Session("s1", cursor(0), Window(), lambda: 0.5, 0.0)
    it.deliver(page(0, [1]), 22.0)
    it.tick(25.0, cursor(1))
    it.tick(27.0, cursor(1))
    it.receive(Pong(1), 28.0)
    it.tick(28.0, cursor(1))
    assert it.attempt == 1
    it.receive(Pong(2), 28.0)
    it.tick(28.0, cursor(1))
    assert it.attempt == 2


def test_a_dead_link_is_closed_and_parks_and_retries_nothing() -> None:
    """A laptop asleep for an hour: no pong, so no attempt counts, and the heartbeat ends it."""
    peer = Peer(answers=False)
    peer.run(3600.0)
    assert (peer.it.state, peer.it.close_code) == (State.CLOSED, CloseCode.STALLED)
    assert peer.times(DeliveryRetried) + peer.times(DeliveryParked) == []
    assert peer.it.quality == "gone"


def test_a_link_that_dies_between_two_attempts_ends_without_another() -> None:
    """Each attempt needs its own proof."""
    peer = Peer()
    peer.run(60.0)
    before = len(peer.times(DeliveryRetried))
    peer.answers = False
    peer.run(600.0)
    assert peer.it.close_code == CloseCode.STALLED
    assert len(peer.times(DeliveryRetried)) == before
    assert peer.times(DeliveryParked) == []


def test_an_ack_that_moves_the_floor_starts_the_patience_anew() -> None:
    """A slow client that goes on handling is never asked twice."""
    peer = Peer(events=50)
    for position in range(1, 51):
        peer.run(peer.now + 4.5)
        peer.receive(Ack(cursor(position)))
    peer.run(peer.now + 100)
    assert peer.times(DeliveryRetried) == []


def test_an_ack_that_moves_nothing_does_not_count() -> None:
    """Or a client that repeats itself could hold up its queue for ever."""
    peer = Peer()
    for _ in range(40):
        peer.run(peer.now + 1)
        peer.receive(Ack(cursor(0)))
    assert peer.times(DeliveryRetried)


def test_other_frames_prove_life_where_pongs_get_lost() -> None:
    """At the end of the ping's time; or a client without pongs would wait for ever."""
    peer = Peer(answers=False)
    for _ in range(40):
        peer.run(peer.now + 1)
        peer.receive(Ack(cursor(0)))
    assert peer.it.state is not State.CLOSED
    assert peer.times(DeliveryRetried)[0] == 5.0 + 2.5


@pytest.mark.parametrize(("rtt_s", "within_s"), [(None, 5.0 + 5.0), (0.02, 5.0 + 5.0), (0.9, 30.0)])
def test_a_peer_that_reads_nothing_any_more_is_gone_soon(
    rtt_s: float | None, within_s: float
) -> None:
    """5 s for the ack and 2.5 s for each of two pings; where round trips are long, longer."""
    peer = Peer(events=0, rtt_s=rtt_s or 0.0, answers=rtt_s is not None)
    if rtt_s is not None:
        peer.run(30.0)
        peer.answers = False
    peer.log.append(visible(1))
    began = peer.now
    peer.deliver()
    peer.run(began + within_s - 0.01)
    assert peer.it.state is not State.CLOSED
    peer.run(began + within_s + 20.0)
    assert peer.it.state is State.CLOSED
    [ended] = peer.times(ClientDisconnected)
    assert began + within_s <= ended <= began + within_s + (0.0 if within_s == 10.0 else 20.0)


def test_nothing_in_flight_is_never_overdue() -> None:
    """Only heartbeats, however long it is quiet."""
    peer = Peer(events=1)
    peer.receive(Ack(cursor(1)))
    peer.run(3600.0)
    assert peer.times(DeliveryRetried) == []
    assert len(peer.times(HeartbeatAnswered)) == 3600 / 25


def test_the_wait_begins_with_the_first_event_in_flight_not_with_the_last() -> None:
    """A busy inbox does not postpone it."""
    peer = Peer(events=1)
    peer.run(4.0)
    peer.log.append(visible(2))
    peer.deliver()
    peer.run(5.0)
    assert peer.times(DeliveryRetried) == [5.0]


@pytest.mark.parametrize(
    ("rtt_s", "wait_s"), [(0.001, 5.0), (0.2, 6.0), (0.5, 15.0), (2.0, 30.0), (9.0, 30.0)]
)
def test_the_wait_follows_the_measured_round_trip(rtt_s: float, wait_s: float) -> None:
    """Ten times what a round trip may take, and 5 to 30 s."""
    it = Session("s1", cursor(0), Window(), lambda: 0.5, 0.0)
    it.tick(25.0, cursor(0))
    it.receive(Pong(1), 25.0 + rtt_s)
    it.deliver(page(0, [1]), 100.0)
    assert it._patience.waited_s == pytest.approx(wait_s, abs=0.05)


def test_a_nack_is_an_answer() -> None:
    """The parked event was handled; the next one has its full time."""
    peer = Peer()
    peer.run(4.0)
    peer.receive(Nack(1, "cannot decode"))
    peer.run(8.0)
    assert peer.times(DeliveryRetried) == []


def test_three_parks_in_a_row_without_an_ack_end_the_connection() -> None:
    """4410: a client that handles nothing must not have all its mail put aside."""
    peer = Peer(events=5)
    peer.run(3600.0)
    assert (peer.it.state, peer.it.close_code) == (State.CLOSED, CloseCode.ACK_OVERDUE)
    assert len(peer.times(DeliveryParked)) == 3
    assert peer.frames[-1][1]["type"] == "bye"


def test_an_ack_between_two_parks_starts_their_count_anew() -> None:
    """One event in two that cannot be handled: all of those are parked, nobody is closed."""
    peer = Peer(events=10)
    for position in range(2, 11, 2):
        peer.run(peer.now + 150.0)
        peer.receive(Ack(cursor(position)))
    assert peer.it.state is not State.CLOSED
    assert len(peer.times(DeliveryParked)) == 5


def test_an_ack_after_the_park_of_that_event_is_harmless() -> None:
    """It was on its way; parked is parked."""
    peer = Peer(events=2)
    peer.run(150.0)
    assert peer.it.floor == cursor(1)
    peer.receive(Ack(cursor(1)))
    peer.receive(Ack(Cursor("e1", 2, cursor(2).hash8)))
    assert peer.it.floor == cursor(2)
