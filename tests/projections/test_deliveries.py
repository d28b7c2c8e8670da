"""Given what happened to deliveries, when a device is asked about, then this is known of it."""

from __future__ import annotations

from datetime import UTC, datetime

from eventstore.events import (
    ClientConnected,
    DeliveryAcknowledged,
    DeliveryParked,
    DeliveryReplayAcknowledged,
    DeliveryReplayRequested,
    DeliveryRetried,
    DeviceExpired,
    QueueTrimmed,
    ServerStopped,
)
from projections.deliveries import further, list_deliveries, list_parked, standings
from tests.projections.history import Fact, Log, ask, device, given, system, the

PADDING = [system(ServerStopped("b"))] * 20


def acked(until: int, count: int = 1, **whose: str) -> Fact:
    """A device acknowledged up to a position."""
    return device(DeliveryAcknowledged("s", 0, until, count), **whose)


def floors(*facts: Fact, user: str = "ann", name: str = "phone") -> list[tuple[int, int]]:
    """Ack floor, and where a device without cursor goes on."""
    rows = ask(given(*PADDING, *facts), standings([(user, name)]))
    return [(row.ack_floor, row.told) for _, row in rows]


def test_the_ack_floor_only_rises() -> None:
    """A late or repeated range does not lower it."""
    assert floors(acked(9), acked(4)) == [(9, 9)]


def test_a_device_never_seen_has_no_floor() -> None:
    """No row, which is not the same as position 0."""
    assert floors(acked(9), name="laptop") == []
    assert floors(acked(9), user="bob") == []


def test_a_device_that_acknowledged_nothing_yet_stands_where_it_first_began() -> None:
    """What it was sent since then would be lost if it began at the head again (G7)."""
    first, again = (device(ClientConnected("s", "b", "fresh", position)) for position in (7, 15))
    assert floors(first, again) == [(7, 7)]


def test_an_ack_of_the_future_counts_only_up_to_where_the_log_was() -> None:
    """A client cannot have handled what was not recorded."""
    assert floors(acked(2**62)) == [(21, 21)]


def test_what_was_skipped_is_settled_but_perhaps_not_told_yet() -> None:
    """The frame that says so may be lost with its connection; an ack beyond it shows it was not."""
    trimmed = device(QueueTrimmed("s", 4, 9, 3, "queue_limit"))
    assert floors(acked(4), trimmed) == [(9, 4)]
    assert floors(acked(4), trimmed, acked(12)) == [(12, 12)]


def test_what_was_parked_beyond_the_floor_is_known() -> None:
    """It was settled already, and is not to be counted again."""
    parked = [device(DeliveryParked("s", position, "bad")) for position in (3, 7, 8)]
    [(_, row)] = ask(given(*PADDING, acked(5), *parked), standings([("ann", "phone")]))
    assert row.parked == {7, 8}


def test_everything_is_counted_by_device() -> None:
    """User and device, of which the device may contain a slash."""
    store = given(
        *PADDING, acked(3, 2), acked(5, 2), device(DeliveryRetried("s", 0, 1, "no ack")),
        device(QueueTrimmed("s", 0, 9, 4, "expired")), device(DeliveryParked("s", 6, "bad")),
        acked(2, name="a/b"),
    )  # fmt: skip
    other, phone = ask(store, list_deliveries())
    assert (other.device, other.acknowledged) == ("a/b", 1)
    assert (phone.acknowledged, phone.retried, phone.skipped, phone.parked) == (4, 1, 4, 1)
    assert phone.first_at < phone.last_at


def test_an_event_is_parked_once_with_its_first_reason() -> None:
    """A second session that parks it again adds nothing."""
    store = given(*PADDING, *(device(DeliveryParked("s", 6, why)) for why in ("first", "second")))
    row = the(store, list_parked())
    assert (row.user, row.device, row.position, row.reason) == ("ann", "phone", 6, "first")
    assert ask(store, list_parked([("bob", "phone")])) == []


def requested(*positions: int, **whose: str) -> Fact:
    """Somebody asked for parked events again."""
    return device(DeliveryReplayRequested(positions, "root"), **whose)


def handled(*positions: int) -> Fact:
    """The device handled what came again."""
    return device(DeliveryReplayAcknowledged("t", 24, positions))


def expired(until: int, count: int) -> Fact:
    """The device stayed away."""
    return device(DeviceExpired(datetime(2026, 11, 1, tzinfo=UTC), 0, until, count))


PARKED = [device(DeliveryParked("s", position, "bad")) for position in (3, 7, 8)]


def test_a_parked_event_is_listed_with_its_request_until_it_is_acknowledged() -> None:
    """Then the device has handled it, and it counts so."""
    asked = given(*PADDING, acked(9), *PARKED, requested(7, 8))
    assert [(row.position, row.requested, row.session) for row in ask(asked, list_parked())] == [
        (8, 25, "s"), (7, 25, "s"), (3, None, "s"),
    ]  # fmt: skip
    [row] = ask(asked, list_deliveries())
    assert (row.parked, row.replaying, row.acknowledged) == (3, 2, 1)
    assert the(asked, standings([("ann", "phone")]))[1].replays == {7: 25, 8: 25}
    [waiting] = ask(asked, list_parked([("ann", "phone")], waiting=True))
    assert waiting.position == 3
    done = given(*PADDING, acked(9), *PARKED, requested(7, 8), handled(7))
    [row] = ask(done, list_deliveries())
    assert (row.parked, row.replaying, row.acknowledged) == (2, 1, 2)


def test_a_request_or_an_acknowledgement_of_what_is_not_parked_changes_nothing() -> None:
    """Nor does one of another device, nor a second request for the same."""
    plain = ask(given(*PADDING, acked(9), *PARKED), list_parked())
    facts = requested(4, 2**63), requested(7, name="laptop"), handled(3, 8), handled(2**62)
    assert ask(given(*PADDING, acked(9), *PARKED, *facts), list_parked()) == plain
    twice = given(*PADDING, acked(9), *PARKED, requested(7), requested(7, 8))
    assert the(twice, standings([("ann", "phone")]))[1].replays == {7: 25, 8: 26}


def test_what_is_put_aside_again_is_parked_again_with_its_new_reason() -> None:
    """The request is over; there may be another."""
    again = device(DeliveryParked("t", 7, "still bad"))
    store = given(*PADDING, acked(9), *PARKED, requested(7), again)
    [row] = [row for row in ask(store, list_parked()) if row.position == 7]
    assert (row.session, row.reason, row.requested) == ("t", "still bad", None)


def test_a_device_that_expired_has_nothing_waiting_until_it_connects() -> None:
    """What was outstanding is skipped, what was under way again is parked; it is yet to be told."""
    away = [*PADDING, acked(5), *PARKED, requested(3), expired(15, 4)]
    [row] = ask(given(*away), list_deliveries())
    assert (row.ack_floor, row.told, row.skipped, row.closed_until) == (15, 5, 4, 15)
    assert (row.expired_at is None, row.parked, row.replaying) == (False, 3, 0)
    back = given(*away, device(ClientConnected("t", "b", "resumed", 5)))
    [row] = ask(back, list_deliveries())
    assert (row.expired_at, row.closed_until) == (None, 15)
    assert the(back, standings([("ann", "phone")]))[1].closed_until == 15


def test_what_the_rows_do_not_hold_yet_is_told_by_the_rest_of_the_stream() -> None:
    """Wherever the fold stands, its rows and the device's events after them give the same."""
    facts = [
        *PADDING,
        device(ClientConnected("s", "b", "fresh", 3)), acked(5),
        device(DeliveryParked("s", 7, "bad")), device(DeliveryParked("s", 12, "bad")),
        device(QueueTrimmed("s", 5, 9, 3, "queue_limit")), device(DeliveryRetried("s", 9, 2, "no")),
        acked(11), device(ClientConnected("t", "b", "resumed", 11)),
        requested(7, 12), handled(12), device(DeliveryParked("t", 7, "again")), requested(7),
        expired(15, 2), device(ClientConnected("u", "b", "resumed", 11)), requested(7),
    ]  # fmt: skip
    question, events = standings([("ann", "phone")]), Log(*facts).events
    [(_, whole)] = ask(given(*facts), question)
    assert (whole.ack_floor, whole.told, whole.closed_until) == (15, 11, 15)
    assert (whole.parked, whole.replays) == (frozenset(), {7: len(facts)})
    for folded in range(len(facts) + 1):
        rows = [row for _, row in ask(given(*facts[:folded]), question)]
        rest = [event for event in events[folded:] if event.stream == "client:ann/phone"]
        assert further(rows[0] if rows else None, rest) == whole


def test_many_devices_are_asked_for_at_once() -> None:
    """Each has its own; who is not known has none."""
    rows = given(*PADDING, acked(5), acked(7, user="bob"), device(DeliveryParked("s", 9, "bad")))
    asked = [("bob", "phone"), ("ann", "phone"), ("ann", "laptop")]
    found = dict(ask(rows, standings(asked)))
    assert set(found) == {("bob", "phone"), ("ann", "phone")}
    assert (found["bob", "phone"].ack_floor, found["bob", "phone"].parked) == (7, frozenset())
    assert (found["ann", "phone"].ack_floor, found["ann", "phone"].parked) == (5, {9})


def test_a_device_whose_stream_says_nothing_was_never_here() -> None:
    """Neither rows nor events: not the same as position 0."""
    assert further(None, []) is None
