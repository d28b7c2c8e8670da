"""Given connects, disconnects and server starts, when asked who is online, then exactly those."""

from __future__ import annotations

from eventstore.events import (
    ClientConnected,
    ClientDisconnected,
    HeartbeatAnswered,
    HeartbeatMissed,
    ServerStarted,
    ServerStopped,
)
from projections.connections import list_connections, presence
from tests.projections.history import START_US, Fact, ask, device, given, system, the

HOUR_US = 3_600_000_000


def connected(session: str, boot: str = "b1", **whose: str) -> Fact:
    """A session began."""
    return device(ClientConnected(session, boot, "resumed", 0, "127.0.0.1"), **whose)


def test_a_session_is_open_until_it_is_closed() -> None:
    """And then has the code and the reason."""
    closed = device(ClientDisconnected("s1", 4408, "stalled"))
    store = given(connected("s1"), connected("s2"), closed)
    assert [row.session for row in ask(store, list_connections())] == ["s2"]
    [_, first] = ask(store, list_connections(closed=True))
    assert (first.code, first.reason) == (4408, "stalled")


def test_a_server_of_another_boot_ends_every_session_of_those_before() -> None:
    """A killed server recorded no disconnects; nobody is online for ever."""
    store = given(connected("s1"), system(ServerStarted("b2", "1")), connected("s2", "b2"))
    assert [row.session for row in ask(store, list_connections())] == ["s2"]
    assert [row.reason for row in ask(store, list_connections(closed=True))] == [
        None, "server_restarted",
    ]  # fmt: skip


def test_a_server_that_stops_ends_its_own_sessions() -> None:
    """Those of no other boot."""
    store = given(connected("s1"), connected("s2", "b2"), system(ServerStopped("b1")))
    assert [row.session for row in ask(store, list_connections())] == ["s2"]


def test_heartbeats_tell_the_round_trip_and_the_misses_in_a_row() -> None:
    """An answer ends the misses; the round trip is the last one."""
    beats = [HeartbeatMissed("s1", 1), HeartbeatAnswered("s1", 41.5), HeartbeatMissed("s1", 1)]
    row = the(given(connected("s1"), *map(device, beats)), list_connections())
    assert (row.rtt_ms, row.missed) == (41.5, 1)
    assert row.heard_at > row.opened_at


def test_a_closed_session_is_not_changed_any_more() -> None:
    """Neither by a late heartbeat, nor by closing or opening it again."""
    closed = [ClientDisconnected("s1", 1000, "first"), ClientDisconnected("s1", 1006, "second")]
    store = given(
        connected("s1"), *map(device, closed), device(HeartbeatAnswered("s1", 1.0)), connected("s1")
    )
    row = the(store, list_connections(closed=True))
    assert (row.code, row.rtt_ms) == (1000, None)


def test_another_devices_stream_cannot_end_a_session() -> None:
    """A session belongs to the device in whose stream it began."""
    store = given(connected("s1"), device(ClientDisconnected("s1", 1000, "x"), "bob"))
    assert len(ask(store, list_connections())) == 1


def test_presence_counts_a_users_devices_not_their_connections() -> None:
    """Since the oldest session that is open."""
    store = given(
        connected("s1"), connected("s2"), connected("s3", name="tv"), connected("s4", user="bob"),
        device(ClientDisconnected("s4", 1000, "bye"), "bob"),
    )  # fmt: skip
    row = the(store, presence(START_US + HOUR_US))
    assert (row.user, row.devices) == ("ann", 2)


def test_a_user_is_present_for_15_s_after_the_last_connection_ended() -> None:
    """However it ended; reconnecting within them is no absence, and another device none at all."""
    store = given(connected("s1"), device(ClientDisconnected("s1", 1006, "connection lost")))
    [row] = ask(store, list_connections(closed=True))
    closed_at = row.closed_at
    assert closed_at is not None
    online = [
        [each.user for each in ask(store, presence(closed_at + after_us))]
        for after_us in (0, 14_999_999, 15_000_000)
    ]
    assert online == [["ann"], ["ann"], []]


def test_a_restart_of_the_server_is_no_absence_but_a_long_one_is() -> None:
    """Those of the older boot have 15 s from the new one's start to come back."""
    store = given(connected("s1"), system(ServerStarted("b2", "1")))
    [row] = ask(store, list_connections(closed=True))
    assert row.closed_at is not None
    assert len(ask(store, presence(row.closed_at + 1_000_000))) == 1
    assert ask(store, presence(row.closed_at + 16_000_000)) == []


def test_presence_asks_an_index_and_not_every_session_there_ever_was() -> None:
    """Old sessions are kept for ever; who is online is asked all the time."""
    query = presence(START_US)
    plan = given(connected("s1"))._db.execute(f"EXPLAIN QUERY PLAN {query.sql}", query.parameters)
    assert not [detail for *_, detail in plan if detail.startswith("SCAN connections")]
