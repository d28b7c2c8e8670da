"""Given what happened, when a minute or an hour is asked about, then it has these counts."""

from __future__ import annotations

from attrs import asdict

from eventstore.events import (
    ClientConnected,
    ClientDisconnected,
    DeliveryAcknowledged,
    HeartbeatAnswered,
    QueueTrimmed,
    ServerStopped,
    SyncServed,
    WebhookUnparsed,
)
from projections.metrics import HOUR_US, MINUTE_US, Minute, list_inbox_hours, list_minutes
from tests.projections.history import START_US, Fact, ask, device, given, said, system, told

PADDING = [system(ServerStopped("b"))] * 20


def minutes(*facts: Fact, limit: int = 10) -> list[Minute]:
    """All minutes of this history."""
    return ask(given(*facts), list_minutes(0, 2**62, limit=limit))


def counts(minute: Minute) -> dict[str, int]:
    """What is not zero in it."""
    return {name: value for name, value in asdict(minute).items() if value and name != "time"}


def test_each_kind_of_fact_is_counted() -> None:
    """Under its name; ranges and trims by their count, pongs with their round trips."""
    [minute] = minutes(
        *PADDING,
        said("c", "m1"),
        said("c", "m2", inbox="b"),
        told(None, WebhookUnparsed("p", "why")),
        device(ClientConnected("s", "b", "resumed", 1)),
        device(DeliveryAcknowledged("s", 0, 9, 3)),
        device(HeartbeatAnswered("s", 1.5)),
        device(HeartbeatAnswered("s", 2.5)),
        device(QueueTrimmed("s", 0, 9, 2, "queue_limit")),
        device(SyncServed(0, 9, 4, "d")),
        device(ClientDisconnected("s", 1000, "bye")),
    )
    assert minute.time == START_US // MINUTE_US * MINUTE_US
    assert counts(minute) == {
        "messages": 2,
        "unparsed": 1,
        "resumed": 1,
        "acknowledged": 3,
        "pongs": 2,
        "rtt_us": 4000,
        "skipped": 2,
        "synced": 4,
        "disconnected": 1,
    }


def test_no_fact_counts_more_than_there_was() -> None:
    """A damaged count of 2^62 must not overflow a sum, nor draw a mountain."""
    acked = device(DeliveryAcknowledged("s", 0, 2**62, 2**62))
    [minute] = minutes(*PADDING, *[acked] * 3, device(HeartbeatAnswered("s", 1e6)))
    assert minute.acknowledged == 21 + 22 + 23
    assert minute.rtt_us == 60_000_000


def test_a_page_of_minutes_is_bounded_and_its_end_is_exclusive() -> None:
    """``until`` is the next page's ``since``."""
    store = given(said("c", "m1"))
    begins = START_US // MINUTE_US * MINUTE_US
    assert ask(store, list_minutes(begins, begins, limit=10)) == []
    assert ask(store, list_minutes(begins + 1, 2**62, limit=10)) == []
    [_] = ask(store, list_minutes(begins, begins + 1, limit=10))


def test_an_inbox_has_its_messages_by_the_hour_and_its_newest_hour_always() -> None:
    """The newest message is known however long ago it was."""
    store = given(said("c", "m1"), said("c", "m2"), said("c", "m3", inbox="b"))
    hour = START_US // HOUR_US
    for since in (0, hour, hour + 1000):
        rows = ask(store, list_inbox_hours(since))
        assert [(row.inbox, row.hour, row.messages) for row in rows] == [
            ("a", hour, 2), ("b", hour, 1),
        ]  # fmt: skip
    assert rows[0].newest_at > START_US
