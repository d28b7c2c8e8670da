"""Figures of delivery: what sessions record is counted, and how long acks took is measured."""

from __future__ import annotations

from datetime import UTC, datetime

from eventstore.events import (
    ClientConnected,
    ClientDisconnected,
    DeliveryAcknowledged,
    DeliveryParked,
    DeliveryReplayAcknowledged,
    DeliveryReplayed,
    DeliveryRetried,
    DeviceExpired,
    HeartbeatAnswered,
    HeartbeatMissed,
    QueueTrimmed,
)
from transport.figures import COMMITS_REMEMBERED, DeliveryFigures


def test_each_fact_is_counted_under_its_name() -> None:
    """Ranges and trims count their events, the others themselves."""
    figures = DeliveryFigures()
    for event in (
        ClientConnected("s", "b", "resumed", 1),
        ClientConnected("s", "b", "reset", 1),
        ClientDisconnected("s", 1006, "lost"),
        DeliveryAcknowledged("s", 0, 9, 4),
        DeliveryRetried("s", 0, 2, "overdue"),
        DeliveryParked("s", 3, "nack"),
        HeartbeatMissed("s", 1),
        HeartbeatAnswered("s", 12.5),
        QueueTrimmed("s", 0, 9, 5, "expired"),
        QueueTrimmed("s", 9, 12, 2, "reset"),
        DeliveryReplayed("s", 20, (3, 4, 5)),
        DeliveryReplayAcknowledged("s", 20, (3, 5)),
        DeviceExpired(datetime.fromtimestamp(0, UTC), 12, 20, 6),
        DeviceExpired(datetime.fromtimestamp(0, UTC), 20, 20, 0),
    ):
        figures.recorded(event, now_us=0)
    assert figures.openings == {"resumed": 1, "fresh": 0, "reset": 1}
    assert figures.gaps == {"reset": 1, "queue_limit": 0, "expired": 1, "device_expired": 1}
    assert figures.replayed == {"sent": 3, "acknowledged": 2}
    assert figures.devices_expired == 2
    assert figures.closings == {1006: 1}
    assert (figures.acknowledged, figures.retried, figures.parked) == (4, 1, 1)
    assert (figures.skipped, figures.heartbeats_missed) == (13, 1)
    assert figures.round_trip_seconds.sum == 0.0125


def test_an_ack_is_measured_from_the_commit_it_reaches_up_to() -> None:
    """Commits end at positions 5 and 9; the ack up to 7 waited for the second."""
    figures = DeliveryFigures()
    figures.committed(5, 1_000_000)
    figures.committed(9, 2_000_000)
    figures.recorded(DeliveryAcknowledged("s", 5, 7, 2), now_us=2_250_000)
    assert (figures.ack_seconds.count, figures.ack_seconds.sum) == (1, 0.25)


def test_an_ack_that_was_held_back_to_be_recorded_with_others_measures_nothing() -> None:
    """It would tell of our second, not of the device."""
    figures = DeliveryFigures()
    figures.committed(9, 0)
    with figures.coalesced():
        figures.recorded(DeliveryAcknowledged("s", 5, 9, 2), now_us=900_000)
    assert figures.ack_seconds.count == 0
    assert figures.acknowledged == 2


def test_an_ack_of_what_is_not_remembered_measures_nothing() -> None:
    """Catching up after a night is not the latency of delivery."""
    figures = DeliveryFigures()
    for number in range(1, 2 * COMMITS_REMEMBERED + 1):
        figures.committed(number * 10, number)
    figures.recorded(DeliveryAcknowledged("s", 0, 10, 1), now_us=10**9)
    assert figures.ack_seconds.count == 0


def test_what_waits_beyond_a_position_is_dated() -> None:
    """The first commit beyond it; of older ones the oldest that is remembered; None of none."""
    figures = DeliveryFigures()
    assert figures.waiting_since(0) is None
    figures.committed(5, 50)
    figures.committed(9, 90)
    assert figures.waiting_since(0) == 50
    assert figures.waiting_since(4) == 50
    assert figures.waiting_since(5) == 90
    assert figures.waiting_since(9) is None
