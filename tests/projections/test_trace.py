"""One event's way to each device, held against the book with an entry for each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from eventstore.codec import decode_recorded
from eventstore.events import (
    ClientConnected,
    DeliveryReplayed,
    DeliveryRetried,
    MemberAdded,
    MessageStatusChanged,
    RecordedEvent,
    WebhookDuplicated,
)
from projections.pointers import DeviceAt, devices_at, list_later, list_pointers
from projections.store import Store
from projections.trace import DeviceTrace, trace_devices
from tests.projections.history import Log, ask, device, folded, said, told
from tests.projections.honest import Book, Server
from tests.projections.hostile import facts, inbox_facts

ANN, BOB = ("ann", "phone"), ("bob", "desk")


def by_pointers(
    events: list[RecordedEvent], position: int, store: Store | None = None
) -> list[DeviceTrace]:
    """The trace as the server makes it: only the events that the projection points at."""
    rows = ask(store or folded(events), list_pointers(position, limit=100))
    wanted = sorted({at for row in rows for at in row.positions})
    return trace_devices(events[position - 1], [events[at - 1] for at in wanted])


def by_walk(events: list[RecordedEvent], position: int) -> list[DeviceTrace]:
    """The trace from the whole log."""
    return trace_devices(events[position - 1], [e for e in events if e.position != position])


def outcomes(events: list[RecordedEvent], position: int) -> dict[tuple[str, str], str]:
    """Of each device that it was addressed."""
    return {(each.user, each.device): each.outcome for each in by_pointers(events, position)}


def written(book: Book, position: int) -> dict[tuple[str, str], str]:
    """What the book says of that event: of what was addressed again, the last."""
    return {
        whose: entry.outcome
        for whose, each in book.devices.items()
        for entry in each.entries
        if entry.position == position
    }


def demand_as_written(events: list[RecordedEvent]) -> None:
    """Every event's outcome for every device is that of the book."""
    book, store = Book(), folded(events)
    for recorded in events:
        book.read(recorded)
    for recorded in events:
        if recorded.for_members:
            at = recorded.position
            walked = by_walk(events, at)
            found = {(each.user, each.device): each.outcome for each in walked}
            assert found == written(book, at)
            assert by_pointers(events, at, store) == walked


HAPPENINGS: list[Callable[[Server, Any], None]] = [
    lambda server, draw: server.message(draw(st.sampled_from("ab"))),
    lambda server, draw: server.member(
        draw(st.sampled_from(["ann", "bob"])),
        draw(st.sampled_from(["member", "auditor"])),
        draw(st.sets(st.sampled_from("ab"))),
    ),
    lambda server, draw: server.leave(
        draw(st.sampled_from(["ann", "bob"])), draw(st.sampled_from([None, "a", "b"]))
    ),
    lambda server, _: server.crash(),
    lambda server, draw: server.connect(
        draw(st.sampled_from([ANN, BOB])),
        frozenset(draw(st.sets(st.sampled_from("ab")))),
        draw(st.none() | st.integers(0, server.head)),
        draw(st.integers(0, 3)),
    ),
]
"""What may happen whoever is here."""

OF_DEVICES: list[Callable[[Server, tuple[str, str], Any], None]] = [
    lambda server, whose, _: server.disconnect(whose),
    lambda server, whose, draw: server.acknowledge(whose, draw(st.integers(0, server.head))),
    lambda server, whose, draw: server.acknowledge(whose, draw(st.integers(0, server.head))),
    lambda server, whose, draw: server.ask_again(whose, draw(st.integers(1, server.head))),
    lambda server, whose, draw: server.acknowledge_again(whose, draw(st.integers(1, server.head))),
    lambda server, whose, draw: server.expire(
        whose, draw(st.none() | st.frozensets(st.sampled_from("ab")))
    ),
    lambda server, whose, draw: (
        server.park(whose, draw(st.sampled_from(sent))) if (sent := server.sent(whose)) else None
    ),
]
"""What may happen to a device that was here before."""


@st.composite
def honest_logs(draw: st.DrawFn) -> list[RecordedEvent]:
    """A history of two devices and two inboxes, with everything that may happen to them."""
    server = Server()
    for _ in range(draw(st.integers(0, 25))):
        known = sorted(server.book.devices)
        if known and draw(st.booleans()):
            whose = draw(st.sampled_from(known))
            draw(st.sampled_from(OF_DEVICES))(server, whose, draw)
        else:
            draw(st.sampled_from(HAPPENINGS))(server, draw)
    return server.log.events


@given(honest_logs())
@settings(max_examples=100, deadline=None)
def test_each_events_outcome_for_each_device_is_the_ledgers(events: list[RecordedEvent]) -> None:
    """Rights, rewinds, parks, trims, replays, expiries, crashes; by pointers as by a walk."""
    demand_as_written(events)


@given(st.lists(facts | inbox_facts, max_size=30))
@settings(max_examples=60, deadline=None)
def test_nonsense_has_the_outcome_that_the_ledger_gives_it(history: list) -> None:
    """Wild ranges, sessions of nobody, positions that never were: no error, and the same book."""
    demand_as_written(Log(*history).events)


@given(honest_logs())
@settings(max_examples=60, deadline=None)
def test_a_devices_state_then_is_the_books_at_every_position(events: list[RecordedEvent]) -> None:
    """Its ack floor, and whether it was connected, from the log's end as from back then."""
    book, store = Book(), folded(events)
    for recorded in events:
        book.read(recorded)
        for user in ("ann", "bob"):
            rows = ask(store, devices_at(user, recorded.position))
            found = {
                (user, row.device): (floor(events, row), row.closed or row.restarted)
                for row in rows
                if row.began is not None
            }
            assert {whose: at for whose, (at, _) in found.items()} == {
                whose: each.floor for whose, each in book.devices.items() if whose[0] == user
            }
            for whose, (_, ended) in found.items():
                assert (book.devices[whose].session is None) == (ended is not None)


def floor(events: list[RecordedEvent], row: DeviceAt) -> int:
    """Up to where the device had settled everything."""
    said = [decode_recorded(events[at - 1]) for at in (row.acked, row.skipped) if at is not None]
    first = decode_recorded(events[(row.began or 0) - 1])
    assert isinstance(first, ClientConnected)
    return max([first.position, *(getattr(event, "until", 0) for event in said)])


def served() -> Server:
    """Ann's phone is connected to inbox a, and one message came to each inbox."""
    server = Server()
    server.crash()
    server.member("ann", "member", "a")
    server.connect(ANN, frozenset("a"), 0)
    server.message("a")
    server.message("b")
    return server


def test_an_ack_is_told_with_its_range_its_session_and_how_long_it_took() -> None:
    """The first range that covers it, however many follow."""
    server = served()
    at = server.head - 1
    server.acknowledge(ANN, at)
    ack = server.head
    server.message("a")
    server.acknowledge(ANN, server.head)
    [found] = by_pointers(server.log.events, at)
    assert (found.outcome, found.position, found.took_us) == ("acknowledged", ack, 2_000_000)
    addressed, step = found.steps
    assert (addressed.step, addressed.position) == ("addressed", at)
    assert (step.step, step.session, step.after, step.until, step.count) == (
        "acknowledged", "s1", 0, at, 1,
    )  # fmt: skip


def test_an_event_nobody_has_acknowledged_is_outstanding() -> None:
    """Also while its device is away; an event of another inbox was not addressed to it."""
    server = served()
    assert outcomes(server.log.events, server.head - 1) == {ANN: "outstanding"}
    server.disconnect(ANN)
    assert outcomes(server.log.events, server.head - 2) == {ANN: "outstanding"}
    assert outcomes(server.log.events, server.head - 1) == {}


def test_retries_and_replays_are_steps_in_their_order() -> None:
    """Retried, parked with its reason, asked for, sent again, acknowledged after all."""
    server = served()
    at = server.head - 1
    server.record_of(ANN, DeliveryRetried("s1", 0, 2, "no ack for 5 s"))
    server.park(ANN, at)
    server.acknowledge(ANN, server.head)
    server.record_of(ANN, DeliveryRetried("s1", 0, 3, "of something else"))
    server.ask_again(ANN, at)
    assert outcomes(server.log.events, at) == {ANN: "outstanding"}
    server.record_of(ANN, DeliveryReplayed("s1", server.head, (at,)))
    server.acknowledge_again(ANN, at)
    [found] = by_pointers(server.log.events, at)
    assert [step.step for step in found.steps] == [
        "addressed", "retried", "parked", "replay_requested", "replayed", "acknowledged",
    ]  # fmt: skip
    assert (found.steps[1].attempt, found.steps[1].reason) == (2, "no ack for 5 s")
    assert found.steps[2].reason == "bad"
    assert found.steps[3].by == "eve"
    assert (found.outcome, found.position) == ("acknowledged", server.head)


def test_what_a_user_lost_before_it_was_delivered_is_withdrawn() -> None:
    """By the event that took the inbox; given back, it is addressed anew."""
    server = served()
    at = server.head - 1
    server.disconnect(ANN)
    server.leave("ann", "a")
    [lost] = by_pointers(server.log.events, at)
    assert (lost.outcome, lost.position) == ("withdrawn", server.head)
    assert lost.steps[-1].type == "member.removed"
    server.record(MemberAdded("ann", "member", ("a",)))
    server.connect(ANN, frozenset("a"), 0)
    [again] = by_pointers(server.log.events, at)
    assert again.outcome == "outstanding"
    assert [step.step for step in again.steps] == ["addressed", "withdrawn", "addressed"]


def test_what_cannot_be_read_is_passed_over() -> None:
    """Damaged, or of a newer release: the rest is told."""
    server = served()
    at = server.head - 1
    server.log.add_raw("client:ann/phone", "delivery.acknowledged", 1, b"damaged")
    server.log.add_raw("client:ann/phone", "delivery.acknowledged", 99, b"{}")
    server.log.add_raw("client:ann/phone", "delivery.beamed", 1, b"{}")
    assert [way.outcome for way in by_walk(server.log.events, at)] == ["outstanding"]


def test_devices_come_a_page_at_a_time_and_each_kind_is_bounded() -> None:
    """So many of its sessions are looked at, however often a device came; the rest is counted."""
    server = served()
    at = server.head - 1
    for _ in range(10):
        server.connect(ANN, frozenset("a"), 0)
    server.connect(BOB, frozenset("a"), at - 1)
    events = server.log.events
    store = folded(events)
    [first, second] = ask(store, list_pointers(at, most=3))
    assert (first.user, second.user) == ("ann", "bob")
    # Of eleven sessions the one in which it came, and the newest three; of those that ended three.
    assert len(first.positions) == 8
    assert first.left_out == 7 + 7
    assert second.left_out == 0
    [whole, _] = ask(store, list_pointers(at, most=10))
    assert (len(whole.positions), whole.left_out) == (len(first.positions) + first.left_out, 0)
    assert ask(store, list_pointers(at, after=ANN)) == [second]
    assert ask(store, list_pointers(at, limit=1, most=3)) == [first]


def test_where_not_all_is_looked_at_the_newest_of_it_decide_the_outcome() -> None:
    """An event put aside long ago, and after many sessions asked for, until its inbox was lost."""
    server = served()
    at = server.head - 1
    server.park(ANN, at)
    for _ in range(10):
        server.connect(ANN, frozenset("a"), server.head)
    server.ask_again(ANN, at)
    server.disconnect(ANN)
    server.leave("ann", "a")
    events = server.log.events
    [row] = ask(folded(events), list_pointers(at, most=3))
    assert row.left_out > 0
    [found] = trace_devices(events[at - 1], [events[at - 1] for at in sorted(row.positions)])
    assert (found.outcome, found.position) == ("withdrawn", server.head)
    assert [step.step for step in found.steps] == [
        "addressed", "parked", "replay_requested", "withdrawn",
    ]  # fmt: skip


def test_what_became_of_the_message_itself_is_found() -> None:
    """Status, repeat with another content, erasure; after that, of what held words no link."""
    log = Log(
        said("c", "m1", direction="outbound"),
        told("c", MessageStatusChanged("m1", "read")),
        told("c", MessageStatusChanged("m2", "read")),
        told("c", WebhookDuplicated(1)),
        device(DeliveryReplayed("s", 1, (1,))),
    )
    assert ask(folded(log.events), list_later(1, "a", "m1")) == [2, 4]
    assert ask(folded(log.events), list_later(1, "b", "m1")) == [4]
    log.redact(1)
    assert ask(folded(log.events), list_later(1, "a", None)) == [4, 6]
