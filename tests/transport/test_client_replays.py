"""What a client got again on request: handed out once of a request, and acknowledged."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transport.fake_server import FakeServer, cursor, event, events, live, welcome
from tests.transport.test_client import joined, run, soon, take
from tests.transport.test_client_session import START, Client
from transport.client_session import State
from transport.cursor_store import SqliteCursorStore
from transport.frames import Nack, ReplayAck


def replayed(request: int, *positions: int) -> dict[str, Any]:
    """A ``replayed`` frame."""
    return {
        "type": "replayed",
        "request": request,
        "events": [event(position) for position in positions],
    }


def took(client: Client) -> list[tuple[int, int | None]]:
    """Handle what there is: position and request of each."""
    found = []
    while (item := client.session.intake.take()) is not None:
        found.append((item.position, item.request))
        client.finish()
    return found


# --- the machine -------------------------------------------------------------------------------


def test_a_replay_is_handed_out_in_its_turn_and_acknowledged_by_name() -> None:
    """It carries the cursor before it: storing that with its effect moves nothing."""
    client = Client()
    client.go_live()
    client.hear(events(START, 11), replayed(40, 3, 5), events(cursor(11), 12))
    items = []
    while (item := client.session.intake.take()) is not None:
        items.append(item)
        client.finish()
    assert [(item.position, item.request) for item in items] == [
        (11, None), (3, 40), (5, 40), (12, None),
    ]  # fmt: skip
    assert [item.cursor.position for item in items] == [11, 11, 11, 12]
    assert client.said(ReplayAck) == []
    client.session.keep_returns()
    assert client.said(ReplayAck) == [ReplayAck(40, (3, 5))]
    client.session.keep_returns()
    assert client.said(ReplayAck) == []


def test_an_acknowledgement_lost_with_its_link_is_said_again_and_nothing_handed_out() -> None:
    """Once of a request; of another request it is another time."""
    client = Client()
    client.go_live()
    client.hear(replayed(40, 3))
    assert took(client) == [(3, 40)]
    client.session.keep_returns()
    client.session.drop("cut", client.now)
    client.go_live()
    assert client.said(ReplayAck) == []
    client.hear(replayed(40, 3))
    assert (took(client), client.said(ReplayAck)) == ([], [ReplayAck(40, (3,))])
    client.hear(replayed(41, 3))
    assert took(client) == [(3, 41)]


def test_what_was_not_handed_out_before_the_link_ended_comes_again() -> None:
    """And what was in hand, or done and not yet durable, is not handed out a second time."""
    client = Client()
    client.go_live()
    client.hear(replayed(40, 3, 5, 7))
    assert client.session.intake.take() is not None
    client.finish()  # 3 is done, its transaction is still open
    assert client.session.intake.take() is not None  # 5 is in hand
    client.session.drop("cut", client.now)
    client.go_live()
    client.session.keep_returns()
    assert client.said(ReplayAck) == [], "this link has not brought it yet"
    client.hear(replayed(40, 3, 5, 7))
    assert client.said(ReplayAck) == [ReplayAck(40, (3,))]
    client.finish()
    assert took(client) == [(7, 40)]
    client.session.keep_returns()
    assert client.said(ReplayAck) == [ReplayAck(40, (5, 7))]


def test_a_replay_is_put_aside_by_its_own_position() -> None:
    """Its cursor is another event's."""
    client = Client()
    client.go_live()
    client.hear(replayed(40, 3))
    client.session.intake.take()
    assert client.session.put_aside("no good")
    client.session.keep_returns()
    assert client.session.frames_to_send() == [Nack(3, "no good")]
    assert client.session.intake.finished == START


def test_that_a_replay_is_put_aside_is_said_again_when_it_was_lost_with_its_link() -> None:
    """It does not count as handled, and nothing is handed out twice of one request."""
    client = Client()
    client.go_live()
    client.hear(replayed(40, 3, 5))
    client.session.intake.take()
    assert client.session.put_aside("x" * 300)
    assert took(client) == [(5, 40)]
    client.session.keep_returns()
    client.session.drop("cut", client.now)
    client.go_live()
    assert client.session.frames_to_send() == []
    client.hear(replayed(40, 3, 5))
    assert took(client) == []
    assert client.session.frames_to_send() == [ReplayAck(40, (5,)), Nack(3, "x" * 200)]
    client.hear(replayed(41, 3))
    assert took(client) == [(3, 41)]


def test_nobody_waits_for_a_link_to_put_a_replay_aside() -> None:
    """None may bring it again, where it expired or its inbox was lost; if one does, it is told."""
    client = Client()
    client.go_live()
    client.hear(replayed(40, 3))
    client.session.intake.take()
    client.session.drop("cut", client.now)
    assert client.session.put_aside("no good")
    assert client.session.intake.in_hand is None
    client.go_live()
    assert client.session.frames_to_send() == []
    client.hear(replayed(40, 3))
    assert (took(client), client.session.frames_to_send()) == ([], [Nack(3, "no good")])


@pytest.mark.parametrize(
    "frame",
    [replayed(40, 3, 3), {**replayed(40, 3), "events": [{"position": 3}]}],
    ids=["twice in a frame", "no event"],
)
def test_a_replay_that_cannot_be_one_ends_the_link(frame: dict[str, Any]) -> None:
    """The next one repairs it."""
    client = Client()
    client.go_live()
    client.hear(frame)
    assert not client.is_open


def test_replays_without_end_do_not_fill_our_memory() -> None:
    """Two windows at most are held, as of events."""
    client = Client()
    client.go_live()
    for request in range(40, 45):
        client.hear(replayed(request, *range(100 * request, 100 * request + 60)))
    assert not client.is_open


def test_a_replay_before_the_welcome_ends_the_link() -> None:
    """As any frame."""
    client = Client()
    client.open()
    client.hear(replayed(40, 3))
    assert not client.is_open


@given(st.lists(st.sampled_from(["take", "keep", "cut", "aside", "back", "answer"]), max_size=40))
def test_whatever_happens_each_is_handed_out_once_of_a_request(steps: list[str]) -> None:
    """Cuts, which lose what was said, open transactions, loops left and begun again.

    In the end the server knows what was handled and what put aside.
    """
    client, server, handed, aside, gone = Client(), {3, 5, 7}, [], set(), set()
    client.go_live()
    client.hear(replayed(40, *sorted(server)))
    intake = client.session.intake

    def answer() -> None:
        for frame in client.session.frames_to_send():
            if isinstance(frame, ReplayAck):
                assert set(frame.positions) <= set(handed) - aside
                server.difference_update(frame.positions)
            elif isinstance(frame, Nack):
                server.discard(frame.position)
                gone.add(frame.position)

    for step in [*steps, "take", "keep", "cut", "keep", *["take"] * 4, "keep", "answer"]:
        if step == "take":
            intake.finish()
            if (item := intake.take()) is not None:
                handed.append(item.position)
        elif step == "keep":
            client.session.keep_returns()
        elif step == "aside" and intake.in_hand is not None:
            aside.add(handed[-1])
            assert client.session.put_aside("no good")
        elif step == "back" and intake.in_hand is not None:
            handed.pop()
            intake.put_back()
        elif step == "cut":
            client.session.drop("cut", client.now)
            client.open()
            client.hear(welcome(START), live(START))
            if server:
                client.hear(replayed(40, *sorted(server)))
        elif step == "answer":
            answer()
    assert sorted(handed) == [3, 5, 7]
    assert (server, gone) == (set(), aside)


# --- with an application -----------------------------------------------------------------------


def test_a_replay_comes_out_of_the_loop_and_asking_for_the_next_acknowledges_it() -> None:
    """And the stored cursor stays where it was."""

    async def scenario(server: FakeServer) -> None:
        await server.commit(2)
        async with joined(server) as inbox:
            assert await take(inbox, 2) == [1, 2]
            inbox.done()
            await inbox.caught_up()
            await server.broadcast(replayed(40, 1))
            again = await anext(inbox)
            assert (again.position, again.request, again.cursor) == (1, 40, cursor(2))
            assert server.replay_acks == []
            await server.commit()
            assert await take(inbox, 1) == [3]
            await server.until(lambda: server.replay_acks == [(40, [1])])
            inbox.done()
            assert inbox.store.load() == cursor(3)

    run(scenario)


def test_a_replay_is_acknowledged_when_its_transaction_commits() -> None:
    """Before that its effect may still be undone."""

    async def scenario(server: FakeServer) -> None:
        with closing(sqlite3.connect(":memory:")) as db:
            await server.commit(1)
            async with joined(server, store=SqliteCursorStore(db)) as inbox:
                await anext(inbox)
                inbox.done()
                await server.broadcast(replayed(40, 1))
                await anext(inbox)
                db.execute("CREATE TABLE seen (position)")
                db.execute("INSERT INTO seen VALUES (1)")
                assert db.in_transaction
                await server.commit(1)
                assert await take(inbox, 1) == [2]
                await server.broadcast({"type": "ping", "id": 1, "cursor": str(cursor(2)),
                                        "rtt_ms": None, "quality": "good"})  # fmt: skip
                await server.until(lambda: server.pongs == [1])
                assert server.replay_acks == []
                db.commit()
                inbox.done()
                await server.until(lambda: server.replay_acks == [(40, [1])])

    run(scenario)


def test_a_replay_that_failed_in_the_loop_comes_first_in_the_next() -> None:
    """Its cursor is the stored one, which says nothing of it."""

    async def scenario(server: FakeServer) -> None:
        await server.commit(1)
        async with joined(server) as inbox:
            await anext(inbox)
            inbox.done()
            await inbox.caught_up()
            await server.broadcast(replayed(40, 1))
            seen = []
            for _ in range(2):
                async for again in inbox:
                    seen.append((again.position, again.request))
                    break  # not done with it: as an exception would leave it
            assert seen == [(1, 40), (1, 40)]
            assert server.replay_acks == []

    run(scenario)


def test_who_leaves_has_acknowledged_what_came_again_and_was_done() -> None:
    """With the last ack."""

    async def scenario(server: FakeServer) -> None:
        await server.commit(1)
        async with joined(server) as inbox:
            await anext(inbox)
            inbox.done()
            await soon(lambda: inbox.state is State.LIVE)
            await server.broadcast(replayed(40, 1))
            await anext(inbox)
            inbox.done()
        assert server.replay_acks == [(40, [1])]
        await asyncio.sleep(0)

    run(scenario)
