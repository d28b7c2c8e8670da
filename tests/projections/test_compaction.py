"""Old heartbeats look the same whether they were folded before their compaction or after it."""

from __future__ import annotations

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from eventstore.compaction import BEATS, MINUTE_US, compacted
from eventstore.events import (
    ClientConnected,
    ClientDisconnected,
    HeartbeatAnswered,
    HeartbeatMissed,
    RecordedEvent,
    ServerStarted,
)
from projections.connections import CONNECTIONS, compacted_until, list_connections, presence
from projections.metrics import METRICS, list_minutes
from tests.projections.history import (
    START_US,
    Fact,
    Log,
    ask,
    device,
    fold_into,
    new_store,
    system,
    the,
)

ASKED = (CONNECTIONS, METRICS)
FAR_US = 2**60

sessions = st.sampled_from(["s1", "s2", "s\0"])
names = st.sampled_from(["phone", "laptop"])
of_devices = st.one_of(
    st.builds(HeartbeatAnswered, sessions, st.floats(0, 500)),
    st.builds(HeartbeatAnswered, sessions, st.floats(0, 1e6)),
    st.builds(HeartbeatMissed, sessions, st.integers(1, 3)),
    st.builds(ClientConnected, sessions, st.just("b1"), st.just("resumed"), st.just(0), st.none()),
    st.builds(ClientDisconnected, sessions, st.just(1006), st.just("gone")),
)
facts = st.builds(lambda event, name: device(event, name=name), of_devices, names) | st.just(
    system(ServerStarted("b2", "1"))
)


def compact(log: Log, until_us: int) -> None:
    """As the server does it: whole minutes before a time, from where the last one ended."""
    after = max(
        (event.position for event in log.events if event.type in BEATS and event.data is None),
        default=0,
    )
    last = sum(event.recorded_at < until_us // MINUTE_US * MINUTE_US for event in log.events)
    if last > after:
        log.add(system(compacted(after, last, log.events[after:last])))
        for event in log.events[after:last]:
            if event.type in BEATS:
                log.events[event.position - 1] = evolve(event, data=None)


def digests(events: list[RecordedEvent]) -> dict[str, str]:
    """Those of a store that folded these events."""
    return fold_into(new_store(ASKED), events).digests()


@given(st.lists(st.lists(facts, max_size=12), min_size=1, max_size=5), st.data())
@settings(max_examples=80, deadline=None)
def test_a_rebuild_after_compactions_has_the_digests_of_the_store_that_followed(
    history: list[list[Fact]], data: st.DataObject
) -> None:
    """Folded whole and compacted under its feet, or folded from what was left: the same rows."""
    log, live = Log(*(device(HeartbeatAnswered("s0", 1.0)) for _ in range(60))), new_store(ASKED)
    for part in history:
        log.add(*part)
        fold_into(live, log.events)
        compact(log, data.draw(st.integers(START_US, log.head.recorded_at + 1)))
    fold_into(live, log.events)
    assert digests(log.events) == live.digests()


def test_of_a_compacted_minute_the_connection_shows_the_mean_and_the_misses() -> None:
    """When it was heard, to the minute; who was online does not change at all."""
    beats = [HeartbeatAnswered("s1", 10.0), HeartbeatAnswered("s1", 31.0), HeartbeatMissed("s1", 1)]
    log = Log(device(ClientConnected("s1", "b1", "resumed", 0)), *map(device, beats))
    live = fold_into(new_store(ASKED), log.events)
    before = ask(live, presence(FAR_US))
    compact(log, log.head.recorded_at + 2 * MINUTE_US)
    fold_into(live, log.events)
    row = the(live, list_connections())
    assert (row.rtt_ms, row.missed, row.heard_at) == (20.5, 1, row.opened_at)
    assert ask(live, presence(FAR_US)) == before
    assert ask(live, compacted_until()) == [4]
    [minute] = ask(live, list_minutes(0, FAR_US, limit=10))
    assert (minute.pongs, minute.rtt_us, minute.missed) == (2, 41_000, 1)


def test_beats_after_a_compacted_minute_are_shown_as_they_are() -> None:
    """The newest beat counts, and the minute before it is the compacted one."""
    log = Log(device(ClientConnected("s1", "b1", "resumed", 0)))
    log.add(*(device(HeartbeatAnswered("s1", float(number))) for number in range(90)))
    live = fold_into(new_store(ASKED), log.events)
    [exact] = ask(live, list_connections())
    compact(log, START_US + MINUTE_US)
    fold_into(live, log.events)
    assert ask(live, list_connections()) == [exact]
