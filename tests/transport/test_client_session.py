"""The client's decisions, in tables and by hand; arbitrary servers are in test_client_model.py."""

from __future__ import annotations

import json
from typing import Any

import pytest

from eventstore.cursor import Cursor
from tests.transport.fake_server import TIME, cursor, events, live, welcome
from transport.backoff import Backoff
from transport.client_errors import (
    GaveUp,
    OriginRefused,
    Revoked,
    Stopped,
    Unauthorized,
    VersionNotSupported,
)
from transport.client_session import TICK_S_MAX, ClientSession, Link, State
from transport.frames import (
    Ack,
    ClientFrame,
    CloseCode,
    Hello,
    Nack,
    Ping,
    Pong,
    Refresh,
    Reset,
    Skipped,
    Window,
    decode_server_frame,
)
from transport.inbox_event import InboxEvent
from transport.link_end import LinkEnd, stop_reason
from transport.reconnect import Reconnect

START = cursor(10)


class Client:
    """A session with a clock and an application that does what the test says."""

    def __init__(
        self,
        stored: Cursor | None = START,
        *,
        fraction: float = 0.5,
        attempts_max: int | None = None,
        renews_token: bool = False,
        window: Window = Window(),  # noqa: B008 - frozen
    ) -> None:
        self.now = 100.0
        reconnect = Reconnect(
            Backoff(), lambda: fraction, attempts_max=attempts_max, renews_token=renews_token
        )
        self.session = ClientSession("laptop", stored, window, reconnect)

    def open(self) -> Hello:
        """Connect, and return what was said first."""
        self.session.connecting()
        self.session.opened("a token", self.now)
        (hello,) = self.session.frames_to_send()
        assert isinstance(hello, Hello)
        return hello

    @property
    def is_open(self) -> bool:
        """Whether the link is kept."""
        return self.session.link is Link.OPEN

    def hear(self, *frames: dict[str, Any]) -> None:
        """The server sends these."""
        for frame in frames:
            text = json.dumps(frame)
            self.session.receive(decode_server_frame(text), len(text), self.now)

    def go_live(self, at: Cursor = START) -> None:
        """Connect and be told that there is nothing."""
        self.open()
        self.hear(welcome(at), live(at))
        assert self.session.state is State.LIVE

    def handle(self) -> Any:
        """Take the next item, finish it and store its cursor; what it was."""
        item = self.session.intake.take()
        self.finish()
        return item

    def finish(self) -> None:
        """What is in hand is handled and stored."""
        self.session.intake.finish()
        self.session.intake.stored(self.session.intake.finished)

    def handle_all(self) -> list[int]:
        """Handle what there is; the positions."""
        positions = []
        while (item := self.handle()) is not None:
            positions.append(item.cursor.position)
        return positions

    def wait(self, seconds: float) -> None:
        """Let time pass, ticking as often as a driver has to."""
        until = self.now + seconds
        while self.now < until:
            self.now = min(until, self.now + TICK_S_MAX)
            self.session.tick(self.now)
        self.session.tick(self.now)

    def said(self, kind: type[ClientFrame]) -> list[Any]:
        """What the client has sent, of one type."""
        return [frame for frame in self.session.frames_to_send() if isinstance(frame, kind)]


# --- hello and welcome -------------------------------------------------------------------------


def test_hello_carries_what_the_application_has_stored() -> None:
    """The server continues after it, so it must be neither more nor less."""
    hello = Client(START).open()
    assert (hello.cursor, hello.device, hello.token) == (START, "laptop", "a token")


def test_a_new_device_begins_where_the_server_says_and_keeps_to_it() -> None:
    """A second hello without a cursor would begin later, and lose what lies between."""
    client = Client(None)
    assert client.open().cursor is None
    client.hear(welcome(cursor(42), "fresh"))
    client.session.lost(LinkEnd(), client.now)
    assert client.open().cursor == cursor(42)


def test_hello_after_a_lost_link_repeats_the_stored_cursor_not_the_received_one() -> None:
    """What lies in the buffer dies with the process; the server must not believe it handled."""
    client = Client()
    client.go_live()
    client.hear(events(START, 11, 12, 13))
    client.handle()
    client.session.lost(LinkEnd(), client.now)
    assert client.open().cursor == cursor(11)


@pytest.mark.parametrize(
    "frame",
    [
        live(START),
        events(START, 11),
        {"type": "ping", "id": 1, "cursor": str(START), "quality": "good"},
    ],
)
def test_a_frame_before_the_welcome_ends_the_link(frame: dict[str, Any]) -> None:
    """A server that has not said where we begin cannot be followed."""
    client = Client()
    client.open()
    client.hear(frame)
    assert not client.is_open


def test_a_welcome_that_comes_too_late_is_ignored() -> None:
    """The link was given up already; it must not look alive again."""
    client = Client()
    client.open()
    client.wait(10.1)
    client.hear(welcome(START))
    assert client.session.state is State.RECONNECTING


def test_a_second_welcome_ends_the_link() -> None:
    """It would move the start under a running stream."""
    client = Client()
    client.go_live()
    client.hear(welcome(START))
    assert not client.is_open


# --- events ------------------------------------------------------------------------------------


def test_events_that_follow_are_handed_out_in_order() -> None:
    """The plain case; positions may have holes, where others' events are."""
    client = Client()
    client.go_live()
    client.hear(events(START, 11, 14), events(cursor(14), 15))
    assert client.handle_all() == [11, 14, 15]


@pytest.mark.parametrize(
    ("after", "positions", "new"),
    [
        (START, (11, 12, 13), []),  # the whole frame again
        (START, (11,), []),
        (cursor(11), (12, 13, 14, 15), [14, 15]),  # some of it is new
        (START, (11, 12, 13, 14), [14]),
        (cursor(13), (14,), [14]),  # no overlap
        (cursor(5), (7, 13, 20), [20]),  # from before where we began
    ],
)
def test_what_was_received_is_dropped_by_position(
    after: Cursor, positions: tuple[int, ...], new: list[int]
) -> None:
    """Redelivery is a suffix from the ack floor; each event is handed out once."""
    client = Client()
    client.go_live()
    client.hear(events(START, 11, 12, 13))
    assert client.handle_all() == [11, 12, 13]
    client.hear(events(after, *positions, attempt=2))
    assert client.is_open
    assert client.handle_all() == new


@pytest.mark.parametrize(
    "frame",
    [
        events(cursor(11), 12),  # a gap
        events(cursor(10, "e2"), 11),  # another log
        events(cursor(9, "e2"), 11),  # another log, at a position that we have passed
        events(Cursor("e1", 10, "00000000"), 11),  # another history
        events(START, 12, 11),
        events(START, 11, 11),
        events(START, 10, 11),  # not after `after`
        events(START, 11, 12) | {"cursor": str(cursor(11))},
        events(START, 11) | {"events": [{"position": 11}]},
        events(START, 11) | {"events": [events(START, 12)["events"][0] | {"position": 11}]},
        live(cursor(11)),
        {
            "type": "skipped",
            "after": str(cursor(11)),
            "cursor": str(cursor(12)),
            "count": 1,
            "reason": "expired",
        },
    ],
)
def test_what_does_not_follow_ends_the_link_and_changes_nothing(frame: dict[str, Any]) -> None:
    """There is a gap or another history: the next hello, with our own cursor, repairs it (G9)."""
    client = Client()
    client.go_live()
    client.hear(frame)
    assert not client.is_open
    assert client.session.state is State.RECONNECTING
    assert client.session.intake.take() is None
    assert client.open().cursor == START


def test_a_frame_after_the_link_was_dropped_is_ignored() -> None:
    """It was on its way; taking it would step over the gap."""
    client = Client()
    client.go_live()
    client.hear(events(cursor(11), 12), events(START, 11), live(START))
    assert client.session.intake.take() is None
    assert client.session.state is State.RECONNECTING


def test_the_event_in_hand_is_not_handed_out_again_after_a_reconnect() -> None:
    """The server sends it again, rightly, for it was not acknowledged; the application has it."""
    client = Client()
    client.go_live()
    client.hear(events(START, 11, 12))
    item = client.session.intake.take()
    assert item is not None
    assert item.cursor == cursor(11)
    client.session.lost(LinkEnd(), client.now)
    assert client.open().cursor == START
    client.hear(welcome(START), events(START, 11, 12, 13), live(cursor(13)))
    client.finish()
    assert client.handle_all() == [12, 13]


def test_the_event_in_hand_during_a_reconnect_is_acknowledged_when_it_is_done() -> None:
    """Finished before or after it came again: the new link's server learns of it."""
    for finished_first in (True, False):
        client = Client()
        client.go_live()
        client.hear(events(START, 11))
        client.session.intake.take()
        client.session.lost(LinkEnd(), client.now)
        client.open()
        if finished_first:
            client.finish()
        client.hear(welcome(START), events(START, 11))
        if not finished_first:
            client.finish()
        client.wait(1)
        assert client.said(Ack) == [Ack(cursor(11))]


def test_an_event_put_back_comes_again_first() -> None:
    """A loop that was left by an exception did not handle what it had."""
    client = Client()
    client.go_live()
    client.hear(events(START, 11, 12))
    client.session.intake.take()
    client.session.intake.put_back()
    assert client.handle_all() == [11, 12]


def test_an_event_put_back_comes_again_also_after_a_reconnect() -> None:
    """Putting back undoes the taking altogether."""
    client = Client()
    client.go_live()
    client.hear(events(START, 11, 12))
    client.session.intake.take()
    client.session.intake.put_back()
    client.session.lost(LinkEnd(), client.now)
    client.open()
    client.hear(welcome(START), events(START, 11, 12))
    assert client.handle_all() == [11, 12]


def test_the_buffer_is_bounded_by_the_window_that_was_offered() -> None:
    """A server that parks and goes on would fill the memory behind an application that is stuck."""
    client = Client(window=Window(frames=5))
    client.go_live()
    client.hear(events(START, *range(11, 21)))
    assert client.is_open
    client.hear(events(cursor(20), 21))
    assert not client.is_open


# --- acks --------------------------------------------------------------------------------------


def test_nothing_is_acknowledged_before_it_is_stored() -> None:
    """Received, handed out and finished are not enough: the effect may yet be lost."""
    client = Client()
    client.go_live()
    client.hear(events(START, 11, 12))
    client.session.intake.take()
    client.session.intake.finish()
    client.wait(1)
    assert client.said(Ack) == []
    client.session.intake.stored(cursor(11))
    client.wait(0)
    assert client.said(Ack) == [Ack(cursor(11))]


def test_acks_are_cumulative_and_spaced() -> None:
    """The first goes at once, the others of the next 100 ms as one."""
    client = Client()
    client.go_live()
    client.hear(events(START, *range(11, 31)))
    client.handle()
    client.wait(0)
    assert client.said(Ack) == [Ack(cursor(11))]
    client.handle_all()
    client.wait(0.09)
    assert client.said(Ack) == []
    assert client.session.deadline == pytest.approx(100.1)
    client.wait(0.02)
    assert client.said(Ack) == [Ack(cursor(30))]
    assert client.session.deadline == pytest.approx(135.0), "the dead-link timer alone"


@pytest.mark.parametrize(
    ("count", "size", "spacing_s"), [(49, 0, 0.1), (50, 0, 0.025), (1, 140_000, 0.025), (1, 0, 0.1)]
)
def test_acks_come_sooner_when_half_the_window_waits(
    count: int, size: int, spacing_s: float
) -> None:
    """By events or by bytes: the server must not stand still for the sake of a saved frame."""
    client = Client()
    client.go_live()
    client.hear(events(START, 11))
    client.handle()
    client.wait(0)
    assert client.said(Ack)
    frame = events(cursor(11), *range(12, 12 + count))
    frame["events"][0]["data"] = {"text": "x" * size}
    client.hear(frame)
    client.handle_all()
    assert client.session.deadline == pytest.approx(client.now + spacing_s)


def test_never_more_than_forty_acks_a_second() -> None:
    """The server takes 50 frames a second and closes on more (4429)."""
    client = Client()
    client.go_live()
    position = 10
    acks = 0
    for _ in range(1000):
        client.hear(events(cursor(position), *range(position + 1, position + 6)))
        position += 5
        client.handle_all()
        client.wait(0.001)
        acks += len(client.said(Ack))
    assert 30 <= acks <= 41


def test_leaving_acknowledges_what_is_stored_and_no_more() -> None:
    """The last ack does not wait for its 100 ms; the event in hand is not in it."""
    client = Client()
    client.go_live()
    client.hear(events(START, 11, 12, 13))
    client.handle()
    client.handle()
    client.session.intake.take()
    client.session.leave(client.now)
    assert client.said(Ack) == [Ack(cursor(12))]
    assert client.session.state is State.CLOSED


def test_what_another_link_brought_is_not_acknowledged_on_this_one() -> None:
    """The server of this link may have been restored from a backup and never have sent it."""
    client = Client()
    client.go_live()
    client.hear(events(START, 11))
    client.session.intake.take()
    client.session.lost(LinkEnd(), client.now)
    client.open()
    client.hear(welcome(START))
    client.finish()
    client.wait(1)
    assert client.said(Ack) == []


# --- skipped and reset -------------------------------------------------------------------------


def skipped(after: Cursor, upto: Cursor, count: int) -> dict[str, Any]:
    """The frame that says what will not come."""
    names = {"after": str(after), "cursor": str(upto)}
    return {"type": "skipped", "count": count, "reason": "queue_limit"} | names


def test_skipped_is_handed_out_in_its_place_and_acknowledged_like_an_event() -> None:
    """The application learns what it will not get, between what it got and what it will get."""
    client = Client()
    client.open()
    client.hear(welcome(START), skipped(START, cursor(500), 490), events(cursor(500), 501))
    item = client.handle()
    assert item == Skipped(START, cursor(500), 490, "queue_limit")
    client.wait(1)
    assert client.said(Ack) == [Ack(cursor(500))]
    assert client.handle_all() == [501]


def test_skipped_that_is_repeated_is_handed_out_once() -> None:
    """It is dropped by position like any event."""
    client = Client()
    client.open()
    client.hear(welcome(START), skipped(START, cursor(20), 10), skipped(START, cursor(20), 10))
    assert client.handle_all() == [20]


def test_skipped_that_overlaps_begins_at_what_was_received() -> None:
    """After a rewind the server may skip what we have: only the rest has to be fetched."""
    client = Client()
    client.open()
    client.hear(welcome(START), events(START, 11, 12), skipped(cursor(11), cursor(20), 9))
    client.handle_all()
    client.hear(skipped(cursor(11), cursor(25), 14))
    assert client.handle() == Skipped(cursor(20), cursor(25), 14, "queue_limit")


def reset_welcome(to: Cursor, reason: str = "epoch_changed") -> dict[str, Any]:
    """A welcome that does not take our cursor."""
    resume = {"outcome": "reset", "reason": reason, "cursor": str(to), "pending": 0}
    return welcome(to, resume=resume)


@pytest.mark.parametrize("reason", ["epoch_changed", "ahead_of_log", "history_differs"])
def test_a_reset_is_handed_out_before_anything_of_the_new_history(reason: str) -> None:
    """What the application knows may be wrong: it must hear of it first (G9)."""
    client = Client()
    client.open()
    there = cursor(3, "e2")
    client.hear(reset_welcome(there, reason), events(there, 4), live(cursor(4, "e2")))
    assert client.handle() == Reset(there, reason)  # type: ignore[arg-type] # from the table
    item = client.handle()
    assert isinstance(item, InboxEvent)
    assert item.cursor == cursor(4, "e2")


def test_a_reset_said_by_welcome_and_by_frame_is_one() -> None:
    """A server may say it in both places."""
    client = Client()
    client.open()
    there = cursor(3, "e2")
    frame = {"type": "reset", "cursor": str(there), "reason": "epoch_changed"}
    client.hear(reset_welcome(there))
    assert client.handle_all() == [3]
    client.hear(frame)
    assert client.handle_all() == []


def test_a_reset_in_midstream_discards_what_was_not_handed_out() -> None:
    """Events of a history that is over are not surfaced after it is known to be over."""
    client = Client()
    client.go_live()
    client.hear(events(START, 11, 12))
    there = cursor(3, "e2")
    client.hear({"type": "reset", "cursor": str(there), "reason": "epoch_changed"})
    assert client.handle_all() == [3]


def test_an_event_of_the_old_history_finished_after_a_reset_is_not_acknowledged() -> None:
    """Its position may exist in the new history too, as another event."""
    client = Client()
    client.go_live()
    client.hear(events(START, 11))
    client.session.intake.take()
    client.session.lost(LinkEnd(), client.now)
    client.open()
    there = Cursor("e1", 40, "00000000")
    client.hear(reset_welcome(there, "history_differs"))
    client.finish()
    client.wait(1)
    assert client.said(Ack) == []
    client.handle()
    client.wait(1)
    assert client.said(Ack) == [Ack(there)]


def test_a_reset_that_was_not_handled_is_told_again_after_a_reconnect() -> None:
    """Until its cursor is stored, hello carries the old one, and the server says it again."""
    client = Client()
    client.open()
    client.hear(reset_welcome(cursor(3, "e2")))
    client.session.lost(LinkEnd(), client.now)
    assert client.open().cursor == START
    client.hear(reset_welcome(cursor(4, "e2")))
    assert client.handle_all() == [4]
    assert client.session.intake.durable == cursor(4, "e2")


# --- heartbeat ---------------------------------------------------------------------------------


def ping(at: Cursor, id_: int = 1) -> dict[str, Any]:
    """A ping that shows the head."""
    shown = {"cursor": str(at), "rtt_ms": 12.5, "quality": "poor"}
    return {"type": "ping", "id": id_} | shown


def test_a_ping_is_answered_and_its_verdict_kept() -> None:
    """The pong comes from the handler; quality and round trip are there to be shown."""
    client = Client()
    client.go_live()
    client.hear(ping(START, 7))
    assert client.said(Pong) == [Pong(7)]
    assert (client.session.quality, client.session.rtt_ms) == ("poor", 12.5)


def test_an_event_that_a_ping_has_shown_and_that_does_not_come_is_a_gap() -> None:
    """The stream is quiet, all is acknowledged, and yet the server has more: ask again (G9)."""
    client = Client()
    client.go_live()
    client.hear(ping(cursor(11)))
    client.wait(9.9)
    assert client.is_open, "it may be on its way behind the ping"
    assert client.session.deadline == pytest.approx(110.0)
    client.wait(0.2)
    assert not client.is_open


def test_an_event_that_comes_after_the_ping_that_showed_it_is_no_gap() -> None:
    """The ping and the delivery may cross; a calm minute has no reconnects (G11)."""
    client = Client()
    client.go_live()
    client.hear(ping(cursor(11)), events(START, 11))
    client.handle_all()
    client.wait(11)
    assert client.is_open


@pytest.mark.parametrize("state", ["catching up", "unacknowledged"])
def test_a_head_ahead_is_no_gap_while_more_is_due(state: str) -> None:
    """Behind, or with the window full, the server owes us nothing yet."""
    client = Client()
    client.open()
    client.hear(welcome(START))
    if state == "unacknowledged":
        client.hear(live(START), events(START, 11))
    client.hear(ping(cursor(50)))
    client.wait(30)
    assert client.is_open


def test_a_ping_of_another_log_is_a_gap() -> None:
    """The server's history is not ours, whatever the position."""
    client = Client()
    client.go_live()
    client.hear(ping(cursor(2, "e2")))
    client.wait(11)
    assert not client.is_open


def test_silence_for_an_interval_and_a_timeout_ends_the_link() -> None:
    """A half-open link looks alive for hours otherwise; any frame, even an unknown one, is life."""
    client = Client()
    client.go_live()
    client.wait(30)
    client.hear({"type": "fashion_of_2030"})
    client.wait(34.9)
    assert client.is_open
    client.wait(0.2)
    assert not client.is_open
    assert client.session.state is State.RECONNECTING


def test_the_timer_is_the_one_that_the_welcome_announced() -> None:
    """A server may be set to another heartbeat."""
    client = Client()
    client.open()
    client.hear(welcome(START, heartbeat={"interval_ms": 1000, "timeout_ms": 500}))
    assert client.session.deadline == pytest.approx(101.5)


def test_a_server_that_never_says_welcome_is_left() -> None:
    """An open socket alone is worth nothing."""
    client = Client()
    client.open()
    client.wait(9.9)
    assert client.is_open
    client.wait(0.2)
    assert not client.is_open


# --- the end of a link -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "error"),
    [
        (LinkEnd(), None),
        (LinkEnd(1000), None),
        (LinkEnd(1001), None),
        (LinkEnd(1009), None),
        (LinkEnd(1012), None),
        (LinkEnd(1013), None),
        *((LinkEnd(code), None) for code in CloseCode if 4000 <= code <= 4499),
        (LinkEnd(4000), None),
        (LinkEnd(4499), None),
        (LinkEnd(4500), Stopped),
        (LinkEnd(4501), Unauthorized),
        (LinkEnd(4503), Revoked),
        (LinkEnd(4505), VersionNotSupported),
        (LinkEnd(4999), Stopped),
        (LinkEnd(status=301), Stopped),
        (LinkEnd(status=401), Unauthorized),
        (LinkEnd(status=403), OriginRefused),
        (LinkEnd(status=404), Stopped),
        (LinkEnd(status=408), None),
        (LinkEnd(status=426), VersionNotSupported),
        (LinkEnd(status=429), None),
        (LinkEnd(status=500), None),
        (LinkEnd(status=503), None),
    ],
)
def test_how_a_link_ended_decides_whether_to_come_back(
    end: LinkEnd, error: type[Stopped] | None
) -> None:
    """PROTOCOL's ranges; a typed error says what a person has to look at."""
    found = stop_reason(end)
    assert (found and type(found)) == error
    client = Client()
    client.open()
    client.session.lost(end, client.now)
    assert client.session.state is (State.CLOSED if error else State.RECONNECTING)
    assert (client.session.retry_at is None) == (error is not None)
    assert (client.session.error and type(client.session.error)) == error


@pytest.mark.parametrize(("renews", "state"), [(True, "RECONNECTING"), (False, "CLOSED")])
def test_a_token_that_expired_on_the_link_is_renewed_where_it_can_be(
    renews: bool, state: str
) -> None:
    """4501 after a welcome means: good until now. Refused again without a welcome, it is final."""
    client = Client(renews_token=renews)
    client.go_live()
    client.session.lost(LinkEnd(4501, "expired"), client.now)
    assert client.session.state.name == state
    if renews:
        client.open()
        client.session.lost(LinkEnd(4501, "unknown"), client.now)
        assert isinstance(client.session.error, Unauthorized)


def test_attempts_that_fail_wait_longer_and_longer() -> None:
    """Half of 1, 2, 4, 8, 16, 20, 20 s, with the dice at one half."""
    client = Client()
    delays = []
    for _ in range(7):
        client.session.connecting()
        client.session.lost(LinkEnd(), client.now)
        assert client.session.retry_at is not None
        delays.append(client.session.retry_at - client.now)
    assert delays == pytest.approx([0.5, 1, 2, 4, 8, 10, 10])


@pytest.mark.parametrize(
    ("lives", "held_s", "end", "delay_s"),
    [
        (True, 1, LinkEnd(), 0.25),  # it was live: from the beginning
        (False, 1, LinkEnd(), 4.0),  # it never got so far
        (False, 31, LinkEnd(), 0.25),  # but it held
        (True, 1, LinkEnd(retry_after_s=5), 5.25),
        (True, 1, LinkEnd(4409), 0.25),
    ],
)
def test_the_counter_starts_again_after_live_or_thirty_seconds(
    lives: bool, held_s: float, end: LinkEnd, delay_s: float
) -> None:
    """A link that worked was no failure; the server's own wish comes on top of the jitter."""
    client = Client()
    for _ in range(3):
        client.session.connecting()
        client.session.lost(LinkEnd(), client.now)
    client.open()
    client.hear(welcome(START))
    if lives:
        client.hear(live(START))
    client.now += held_s
    client.session.lost(end, client.now)
    assert client.session.retry_at is not None
    assert client.session.retry_at - client.now == pytest.approx(delay_s)


def test_two_programs_that_are_one_device_do_not_race_for_ever() -> None:
    """Each is replaced just after its `live`: whoever was sent away waits longer each time."""
    client = Client()
    delays = []
    for _ in range(5):
        client.go_live()
        client.session.lost(LinkEnd(CloseCode.REPLACED), client.now)
        assert client.session.retry_at is not None
        delays.append(client.session.retry_at - client.now)
    assert delays == pytest.approx([0.25, 0.5, 1, 2, 4])
    client.go_live()
    client.now += 31
    client.session.lost(LinkEnd(), client.now)
    assert client.session.retry_at == pytest.approx(client.now + 0.25)


def test_a_client_whose_inboxes_changed_comes_back_at_once_but_not_again_and_again() -> None:
    """4411: the server has something else for us now. Whoever hears it again and again waits."""
    client = Client()
    delays = []
    for held_s in (1, 1, 1, 31):
        client.go_live()
        client.now += held_s
        client.session.lost(LinkEnd(CloseCode.ACCESS_CHANGED), client.now)
        assert client.session.retry_at is not None
        delays.append(client.session.retry_at - client.now)
    assert delays == pytest.approx([0, 0.5, 1, 0])


@pytest.mark.parametrize(("code", "state"), [(1012, State.RECONNECTING), (4503, State.CLOSED)])
def test_bye_is_obeyed_without_waiting_for_the_close(code: int, state: State) -> None:
    """The close may never come; code and time are in the frame."""
    client = Client()
    client.go_live()
    client.hear({"type": "bye", "code": code, "reason": "r", "retry_after_ms": 3000})
    assert client.session.state is state
    client.session.lost(LinkEnd(code), client.now)
    if state is State.RECONNECTING:
        assert client.session.retry_at == pytest.approx(client.now + 3.25)


def test_bye_may_come_before_the_welcome() -> None:
    """A hello that is refused is answered so."""
    client = Client()
    client.open()
    client.hear({"type": "bye", "code": 4501, "reason": "unknown token", "retry_after_ms": None})
    assert isinstance(client.session.error, Unauthorized)
    assert client.session.error.reason == "unknown token"


def test_max_attempts_counts_attempts_that_fail_in_a_row() -> None:
    """Two failures, a link that works, then three failures: only these are one row of three."""
    client = Client(attempts_max=3)
    for _ in range(2):
        client.session.connecting()
        client.session.lost(LinkEnd(), client.now)
    client.go_live()
    client.session.lost(LinkEnd(), client.now)
    for _ in range(2):
        client.session.connecting()
        client.session.lost(LinkEnd(), client.now)
        assert client.session.state is State.RECONNECTING
    client.session.connecting()
    client.session.lost(LinkEnd(reason="refused"), client.now)
    assert isinstance(client.session.error, GaveUp)
    assert client.session.error.reason == "refused"


def test_error_frames_leave_the_link_alone() -> None:
    """The frame before was refused, no more."""
    client = Client()
    client.go_live()
    client.hear({"type": "error", "problem": {"title": "no"}})
    assert client.is_open


def test_a_refresh_goes_out_on_an_open_link_only() -> None:
    """Without a link the next hello brings the token."""
    client = Client()
    client.session.refresh("newer")
    assert client.session.frames_to_send() == []
    client.go_live()
    client.session.refresh("newer")
    assert client.said(Refresh) == [Refresh("newer")]


def test_what_was_to_be_sent_dies_with_its_link() -> None:
    """An ack or pong of one link is nonsense on the next."""
    client = Client()
    client.go_live()
    client.hear(ping(START))
    client.session.lost(LinkEnd(), client.now)
    client.session.connecting()
    client.session.opened("t", client.now)
    assert [type(frame) for frame in client.session.frames_to_send()] == [Hello]


# --- what is shown -----------------------------------------------------------------------------


def test_states_follow_the_link() -> None:
    """Connecting once; after that catching up, live, reconnecting."""
    client = Client()
    seen = [client.session.state]
    client.open()
    seen.append(client.session.state)
    client.hear(welcome(START))
    seen.append(client.session.state)
    client.hear(live(START))
    seen.append(client.session.state)
    client.session.lost(LinkEnd(), client.now)
    seen.append(client.session.state)
    client.open()
    seen.append(client.session.state)
    assert [state.name for state in seen] == [
        "CONNECTING",
        "CONNECTING",
        "CATCHING_UP",
        "LIVE",
        "RECONNECTING",
        "RECONNECTING",
    ]


def test_synced_at_is_the_time_up_to_which_all_was_received() -> None:
    """Told by `live`, and moved by each event after it; catching up proves nothing yet."""
    client = Client()
    client.open()
    client.hear(welcome(START), events(START, 11))
    assert client.session.synced_at is None
    client.hear(live(cursor(11)))
    assert client.session.synced_at is not None
    assert client.session.synced_at.isoformat() == TIME.replace("Z", "+00:00")
    frame = events(cursor(11), 12)
    frame["events"][0]["time"] = "2026-12-01T00:00:00.000001Z"
    client.hear(frame)
    assert client.session.synced_at.isoformat() == "2026-12-01T00:00:00.000001+00:00"


def test_an_event_is_handed_out_as_the_protocol_describes_it() -> None:
    """Every field of section 2, with cursor and time as values one can compute with."""
    client = Client()
    client.go_live()
    client.hear(events(START, 11))
    item = client.handle()
    assert item.position == 11
    assert item.cursor == cursor(11)
    assert (item.type, item.version) == ("message.received", 1)
    assert (item.inbox, item.conversation) == ("support", "c_1")
    assert item.time.microsecond == 123456
    assert item.data == {"message_id": "m11"}


def test_a_redacted_event_is_handed_out_as_a_tombstone() -> None:
    """`data` is None; the position must still be seen."""
    client = Client()
    client.go_live()
    frame = events(START, 11)
    frame["events"][0]["data"] = None
    client.hear(frame)
    assert client.handle().data is None


def test_a_ping_frame_is_what_the_helper_says() -> None:
    """The tests above speak the real wire format."""
    frame = decode_server_frame(json.dumps(ping(START)))
    assert isinstance(frame, Ping)


# --- sleep, standstill, impatience -------------------------------------------------------------


def sleep(client: Client, seconds: float) -> None:
    """The lid is closed: time passes and nobody ticks."""
    client.now += seconds
    client.session.tick(client.now)


def test_a_link_that_is_dead_after_a_sleep_is_left_within_a_second() -> None:
    """No wait of 35 s for a server that gave us up long ago."""
    client = Client()
    client.go_live()
    sleep(client, 3600)
    assert client.is_open, "what lies in the socket is read first"
    client.wait(1.0)
    assert not client.is_open
    assert client.session.retry_at == pytest.approx(client.now + 0.25)


def test_a_link_that_speaks_after_a_sleep_is_kept() -> None:
    """A process that stood still has its frames waiting in the socket; that is no dead link."""
    client = Client()
    client.go_live()
    sleep(client, 100)
    client.hear(ping(START))
    client.wait(30)
    assert client.is_open


def test_an_event_that_a_ping_showed_before_a_sleep_may_lie_in_the_socket() -> None:
    """It is read first, like everything that came meanwhile."""
    client = Client()
    client.go_live()
    client.hear(ping(cursor(11)))
    sleep(client, 20)
    assert client.is_open
    client.hear(events(START, 11))
    client.handle_all()
    client.wait(5)
    assert client.is_open


def test_after_a_sleep_an_attempt_is_made_at_once_and_the_counter_starts_again() -> None:
    """The network of an hour ago says nothing about the one of now."""
    client = Client()
    for _ in range(6):
        client.session.connecting()
        client.session.lost(LinkEnd(), client.now)
    sleep(client, 3600)
    assert client.session.retry_at == client.now
    client.session.connecting()
    client.session.lost(LinkEnd(), client.now)
    assert client.session.retry_at == pytest.approx(client.now + 0.5)


def test_a_machine_that_is_only_slow_did_not_sleep() -> None:
    """Ticks that come late leave the backoff alone."""
    client = Client()
    for _ in range(8):
        client.session.connecting()
        client.session.lost(LinkEnd(), client.now)
    due_at = client.session.retry_at
    sleep(client, 9)
    assert client.session.retry_at == due_at


def test_trying_now_does_not_wait_and_does_not_forget() -> None:
    """A person who is impatient, ten times a second, must not make the backoff start again."""
    client = Client()
    client.session.retry_now(client.now)
    assert client.session.retry_at is None, "an attempt is under way, or none is wanted"
    for _ in range(3):
        client.session.connecting()
        client.session.lost(LinkEnd(), client.now)
        client.session.retry_now(client.now)
        assert client.session.retry_at == client.now
    client.session.connecting()
    client.session.lost(LinkEnd(), client.now)
    assert client.session.retry_at == pytest.approx(client.now + 4.0)


def test_catching_up_that_stands_still_is_begun_again() -> None:
    """Pings come, everything is acknowledged, and the server still owes us the rest."""
    client = Client()
    client.open()
    client.hear(welcome(START), events(START, 11))
    client.handle_all()
    for _ in range(3):
        client.wait(19.9)
        client.hear(ping(cursor(50)))
    assert client.is_open
    client.wait(0.5)
    assert not client.is_open
    assert client.session.last_end is not None
    assert "stands still" in client.session.last_end.reason


def test_catching_up_waits_for_an_application_that_is_slow() -> None:
    """While something is unacknowledged the server owes nothing."""
    client = Client()
    client.open()
    client.hear(welcome(START), events(START, 11))
    for _ in range(10):
        client.wait(20)
        client.hear(ping(cursor(50)))
    assert client.is_open


def test_pings_of_a_peer_that_does_not_read_do_not_pile_up() -> None:
    """Only the newest pong is worth sending."""
    client = Client()
    client.go_live()
    for id_ in range(1000):
        client.hear(ping(START, id_))
    assert client.said(Pong) == [Pong(999)]


def test_the_ack_rhythm_follows_the_window_that_the_server_granted() -> None:
    """Asked for a hundred and given ten, half of the window is five."""
    client = Client()
    client.open()
    client.hear(welcome(START, window={"frames": 10, "bytes": 262_144}), events(START, 11))
    client.handle()
    client.wait(0)
    client.hear(events(cursor(11), *range(12, 17)))
    client.handle_all()
    assert client.session.deadline == pytest.approx(client.now + 0.025)


# --- what is put aside -------------------------------------------------------------------------


def test_an_event_put_aside_is_told_before_it_is_passed() -> None:
    """`nack` first: acknowledged before, it would count as handled."""
    client = Client()
    client.go_live()
    client.hear(events(START, 11, 12))
    client.session.intake.take()
    assert client.session.put_aside("x" * 300)
    client.finish()
    client.wait(0)
    assert client.session.frames_to_send() == [Nack(11, "x" * 200), Ack(cursor(11))]
    assert client.handle_all() == [12]


def test_an_event_is_put_aside_when_the_next_link_has_brought_it_again() -> None:
    """A server takes a `nack` only for what it sent on this connection."""
    client = Client()
    client.go_live()
    client.hear(events(START, 11, 12))
    client.session.intake.take()
    client.session.lost(LinkEnd(), client.now)
    assert not client.session.put_aside("no")
    client.open()
    client.hear(welcome(START))
    assert not client.session.put_aside("no")
    client.hear(events(START, 11, 12))
    assert client.session.put_aside("no")
    assert client.said(Nack) == [Nack(11, "no")]
    assert client.handle_all() == [12]


def test_an_event_that_the_server_has_parked_by_itself_needs_no_nack() -> None:
    """Live without it: it does not come again, and waiting for it would be for ever."""
    client = Client()
    client.go_live()
    client.hear(events(START, 11))
    client.session.intake.take()
    client.session.lost(LinkEnd(), client.now)
    client.open()
    client.hear(welcome(START), live(START))
    assert client.session.put_aside("no")
    assert client.said(Nack) == []


def test_an_event_that_is_passed_over_needs_no_nack() -> None:
    """Its user may not see it now; with a full window there would never be a `live`."""
    client = Client()
    client.go_live()
    client.hear(events(START, 11))
    client.session.intake.take()
    client.session.lost(LinkEnd(), client.now)
    client.open()
    client.hear(welcome(START), events(START, 12))
    assert client.session.put_aside("no")
    assert client.said(Nack) == []
    assert client.handle_all() == [12]


# --- tokens ------------------------------------------------------------------------------------


def test_a_token_that_ends_is_renewed_before_on_the_open_link() -> None:
    """A minute before; asked for once, and again after 10 s if no answer came."""
    client = Client(renews_token=True)
    client.open()
    client.hear(welcome(START, expires_in_ms=900_000), live(START))
    session = client.session
    assert not session.token_wanted(client.now + 839.9)
    client.now += 840
    assert session.token_wanted(client.now)
    assert not session.token_wanted(client.now + 9.9)
    assert session.token_wanted(client.now + 10)
    client.hear({"type": "refreshed", "expires_in_ms": 900_000})
    assert not session.token_wanted(client.now + 839.9)
    assert session.token_wanted(client.now + 840)


def test_a_short_token_is_renewed_at_half_its_life() -> None:
    """A margin of a minute would ask for one all the time."""
    client = Client(renews_token=True)
    client.open()
    client.hear(welcome(START, expires_in_ms=20_000))
    assert not client.session.token_wanted(client.now + 9.9)
    assert client.session.deadline == pytest.approx(client.now + 10)
    assert client.session.token_wanted(client.now + 10)


@pytest.mark.parametrize(("renews", "expires_in_ms"), [(True, None), (False, 1000)])
def test_no_token_is_wanted_where_there_is_no_end_or_no_successor(
    renews: bool, expires_in_ms: int | None
) -> None:
    """An older server does not say; a plain token has no successor."""
    client = Client(renews_token=renews)
    client.open()
    client.hear(welcome(START, expires_in_ms=expires_in_ms))
    assert not client.session.token_wanted(client.now + 1e6)
    assert not client.session.token.lasts(client.now)


def test_a_token_is_good_for_another_hello_until_it_would_be_renewed() -> None:
    """A thousand clients of a restarted server need not all ask for new ones."""
    client = Client(renews_token=True)
    client.open()
    client.hear(welcome(START, expires_in_ms=900_000))
    client.session.lost(LinkEnd(), client.now)
    assert client.session.token.lasts(client.now + 839)
    assert not client.session.token.lasts(client.now + 840)


def test_a_token_that_was_good_and_is_refused_is_replaced_once() -> None:
    """Revoked or expired while we were away; a fresh one that is refused is final."""
    client = Client(renews_token=True)
    client.open()
    client.hear(welcome(START, expires_in_ms=900_000))
    client.session.lost(LinkEnd(), client.now)
    client.session.connecting()
    client.session.opened("a token", client.now, fresh=False)
    client.session.lost(LinkEnd(4501), client.now)
    assert client.session.state is State.RECONNECTING
    assert not client.session.token.lasts(client.now)
    client.session.connecting()
    client.session.opened("another token", client.now)
    client.session.lost(LinkEnd(4501), client.now)
    assert isinstance(client.session.error, Unauthorized)
