"""G14: what is answered as of a position, from the rows of today, is what was answered there."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from eventstore.codec import decode_recorded
from eventstore.events import MessageRedacted, RecordedEvent
from projections.connections import CONNECTIONS, list_connections, presence
from projections.conversations import CONVERSATIONS as CONVERSATIONS_ROWS
from projections.conversations import get_conversation, list_conversations
from projections.deliveries import DELIVERIES, list_deliveries, list_parked
from projections.messages import MESSAGES, list_messages
from projections.projection import Query
from projections.search import SEARCH, search_conversations
from projections.store import Store
from tests.projections.history import Fact, Log, ask, fold_into, new_store
from tests.projections.hostile import (
    CONVERSATIONS,
    INBOXES,
    in_inboxes,
    of_devices,
)
from tests.projections.test_hostile_log import ERASABLE, logs

ASKED = (CONVERSATIONS_ROWS, MESSAGES, SEARCH, DELIVERIES, CONNECTIONS)
BOTH, A = frozenset(INBOXES), frozenset({"a"})


def questions(time_us: int) -> list[Query[Any]]:
    """Everything that can be asked of the past without folding the log."""
    return [
        list_conversations(BOTH),
        list_conversations(A, limit=2),
        list_conversations(BOTH, before=9, limit=1),
        *(get_conversation(BOTH, conversation) for conversation in CONVERSATIONS),
        *(list_messages(BOTH, conversation) for conversation in CONVERSATIONS),
        list_messages(A, "c1", before=9, limit=2),
        search_conversations(BOTH, "0"),
        search_conversations(BOTH, "a 0", before=12),
        search_conversations(BOTH, "a", inbox="a", limit=1),
        list_deliveries(),
        list_deliveries("ann", limit=1),
        list_parked(),
        list_parked([("ann", "phone")], waiting=True),
        list_connections(closed=True),
        list_connections(limit=2),
        presence(time_us),
    ]


def demand_the_same_past(events: list[RecordedEvent], positions: list[int]) -> None:
    """As the fold up to each position answers, so do the rows of the whole log."""
    whole, then = fold_into(new_store(ASKED), events), new_store(ASKED)
    for position in sorted(positions):
        fold_into(then, events[:position])
        time_us = events[position - 1].recorded_at if position else 0
        for query in questions(time_us):
            assert asked_at(whole, query, position, time_us) == ask(then, query), query.past


def asked_at(store: Store, query: Query[Any], position: int, time_us: int) -> list[Any]:
    """The rows of an answer as of a position."""
    past = query.at(position, time_us)
    assert past is not None
    return ask(store, past)


def blanked(events: list[RecordedEvent]) -> list[RecordedEvent]:
    """The log as it is once all has been erased that its erasures name."""
    gone: set[tuple[str, int]] = set()
    for recorded in events:
        event = decode_recorded(recorded)
        if isinstance(event, MessageRedacted):
            gone.update((recorded.stream, at) for at in event.positions if at < recorded.position)
    return [
        evolve(event, data=None)
        if (event.stream, event.position) in gone and event.type in ERASABLE
        else event
        for event in events
    ]


@given(logs(), st.data())
@settings(max_examples=40, deadline=None)
def test_the_past_of_any_log_is_what_folding_it_up_to_there_gives(
    made: tuple[Log, dict[str, str]], data: st.DataObject
) -> None:
    """Redacted, joined, read, acknowledged, parked, connected: at any position, of any log."""
    events = blanked(made[0].events)
    positions = data.draw(st.lists(st.integers(0, len(events)), min_size=1, max_size=6))
    demand_the_same_past(events, positions)


@given(
    st.lists(
        st.builds(Fact, st.just("inbox:a"), in_inboxes, st.sampled_from(CONVERSATIONS)),
        min_size=8,
        max_size=40,
    ),
    st.data(),
)
@settings(max_examples=40, deadline=None)
def test_the_past_of_a_busy_inbox_is_what_folding_it_up_to_there_gives(
    history: list[Fact], data: st.DataObject
) -> None:
    """All in one inbox, where much joins, is read, and is erased."""
    events = blanked(Log(*history).events)
    positions = data.draw(st.lists(st.integers(0, len(events)), min_size=1, max_size=6))
    demand_the_same_past(events, positions)


@given(
    st.lists(st.builds(Fact, st.just("client:ann/phone"), of_devices), min_size=8, max_size=40),
    st.data(),
)
@settings(max_examples=40, deadline=None)
def test_the_past_of_a_busy_device_is_what_folding_it_up_to_there_gives(
    history: list[Fact], data: st.DataObject
) -> None:
    """All of one device: sessions, heartbeats, acks, and what is parked and asked for again."""
    events = Log(*history).events
    positions = data.draw(st.lists(st.integers(0, len(events)), min_size=1, max_size=6))
    demand_the_same_past(events, positions)
