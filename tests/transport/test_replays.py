"""Parked events that are delivered again on request: the machine, and the hub that reads for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from eventstore.events import (
    DeliveryAcknowledged,
    DeliveryParked,
    DeliveryReplayAcknowledged,
    DeliveryReplayed,
)
from tests.transport.pages import cursor, page, visible
from tests.transport.test_hub import AB, FakeChannel, House, ack, house, run, until
from transport.frames import Ack, CloseCode, Nack, ReplayAck, Window
from transport.hub import Grant
from transport.opening import Standing
from transport.replays import Replays
from transport.session import Session

# --- what one session knows of it --------------------------------------------------------------


def test_the_oldest_request_goes_first_and_one_frame_at_a_time() -> None:
    """Positions in order, at most as many as are asked for; the next when these are handled."""
    replays = Replays({9: 20, 3: 20, 5: 10, 7: 20})
    assert replays.due(100, 2) == (10, [5])
    replays.sent(10, [5])
    assert replays.due(100, 2) is None
    assert replays.acknowledge(10, [5]) == (5,)
    assert replays.due(100, 2) == (20, [3, 7])


def test_what_lies_beyond_the_ack_floor_waits() -> None:
    """The usual way may bring it yet."""
    replays = Replays({3: 20, 8: 20})
    assert replays.due(7, 10) == (20, [3])
    replays.pass_over([3])
    assert replays.due(7, 10) is None
    assert replays.due(8, 10) == (20, [8])


def test_only_what_was_sent_for_the_request_is_acknowledged() -> None:
    """Anything else changes nothing: an older session may have sent it."""
    replays = Replays({3: 20, 5: 20})
    replays.sent(20, [3])
    assert replays.acknowledge(19, [3]) == ()
    assert replays.acknowledge(20, [3, 3, 5, 6]) == (3,)
    assert replays.acknowledge(20, [3]) == ()
    assert not replays.idle
    replays.sent(20, [5])
    assert replays.put_aside(5)
    assert not replays.put_aside(5)
    assert replays.idle


def test_a_second_request_for_what_is_under_way_adds_nothing() -> None:
    """The first one brings it."""
    replays = Replays({3: 20, 5: 20})
    replays.sent(20, [3])
    replays.ask(30, [3, 5, 7])
    replays.acknowledge(20, [3])
    assert replays.due(100, 10) == (20, [5])
    replays.sent(20, [5])
    replays.acknowledge(20, [5])
    assert replays.due(100, 10) == (30, [7])


@given(
    st.dictionaries(st.integers(1, 30), st.integers(31, 34), max_size=12),
    st.integers(1, 4),
    st.randoms(use_true_random=False),
)
def test_each_is_sent_once_in_a_session_whatever_is_answered(
    wanted: dict[int, int], most: int, random: Any
) -> None:
    """Acknowledged, put aside or passed over, in any mixture; and in the end there is nothing."""
    replays, seen = Replays(wanted), []
    while (due := replays.due(30, most)) is not None:
        request, positions = due
        assert 0 < len(positions) <= most
        hidden = [at for at in positions if random.random() < 0.2]
        replays.pass_over(hidden)
        sent = [at for at in positions if at not in hidden]
        replays.sent(request, sent)
        seen += positions
        for at in sent:
            if random.random() < 0.3:
                assert replays.put_aside(at)
            else:
                assert replays.acknowledge(wanted[at], [at]) == (at,)
    assert sorted(seen) == sorted(wanted)
    assert replays.idle


def _live_session() -> Session:
    it = Session("s1", cursor(9), Window(), lambda: 0.5, 0.0)
    it.replays = Replays({3: 20, 5: 20})
    it.caught_up("now")
    it.frames_to_send()
    return it


def test_a_session_sends_them_beside_its_window_and_moves_no_cursor() -> None:
    """They lie below the client's cursor: nothing is in flight, the floor stays."""
    it = _live_session()
    before = (it.floor, it.last_sent, it.window, it.deadline)
    it.replay(20, [visible(3), visible(5)])
    [frame] = [json.loads(packet.text) for packet in it.frames_to_send()]
    assert (frame["type"], frame["request"], len(frame["events"])) == ("replayed", 20, 2)
    assert it.events_to_record() == [DeliveryReplayed("s1", 20, (3, 5))]
    it.receive(ReplayAck(20, (3, 5)), 1.0)
    assert it.events_to_record() == [DeliveryReplayAcknowledged("s1", 20, (3, 5))]
    assert (it.floor, it.last_sent, it.window, it.deadline) == before


def test_a_replay_that_is_put_aside_again_is_parked_again() -> None:
    """Though it lies below the floor, where any other nack says nothing new."""
    it = _live_session()
    it.replay(20, [visible(3)])
    it.events_to_record()
    it.receive(Nack(3, "still no good"), 1.0)
    it.receive(Nack(3, "still no good"), 1.0)
    assert it.events_to_record() == [DeliveryParked("s1", 3, "still no good")]
    it.receive(ReplayAck(20, (3,)), 1.0)
    assert it.events_to_record() == []


def test_the_range_that_passed_over_a_parked_event_is_recorded_before_its_acknowledgement() -> None:
    """A crash between the two would have it counted a second time, by the next session's range."""
    it = Session("s1", cursor(0), Window(), lambda: 0.5, 0.0)
    it.deliver(page(0, [1, 2, 3]), 0.0)
    it.receive(Ack(cursor(1)), 0.0)
    it.receive(Nack(2, "bad"), 0.1)
    it.receive(Ack(cursor(3)), 0.2)
    it.caught_up("now")
    it.replays = Replays({2: 20})
    it.replay(20, [visible(2)])
    it.events_to_record()
    it.receive(ReplayAck(20, (2,)), 0.3)
    assert it.events_to_record() == [
        DeliveryAcknowledged("s1", 1, 3, 1), DeliveryReplayAcknowledged("s1", 20, (2,))
    ]  # fmt: skip


def test_an_acknowledgement_of_what_was_never_sent_changes_nothing() -> None:
    """Also in a session that has nothing of the kind."""
    it = Session("s1", cursor(9), Window(), lambda: 0.5, 0.0)
    it.receive(ReplayAck(20, (3,)), 1.0)
    assert (it.events_to_record(), it.floor) == ([], cursor(9))


def test_an_ordinary_ack_has_nothing_to_do_with_it() -> None:
    """Both are under way at once."""
    it = _live_session()
    it.replay(20, [visible(3)])
    it.deliver(page(9, [10]), 1.0)
    it.receive(Ack(cursor(10)), 2.0)
    assert it.floor == cursor(10)
    assert it.replays is not None
    assert not it.replays.idle


# --- through the hub ---------------------------------------------------------------------------


async def _caught_up(it: House, positions: int = 6, **standing: Any) -> tuple[Any, FakeChannel]:
    """A device that acknowledged all there is, except what was parked."""
    await it.append(*range(1, positions + 1))
    await it.append(0, inbox="b")
    head = it.log.cursor
    it.floors["ana", "laptop"] = Standing(head.position, head.position, **standing)
    return await it.connect(inboxes=AB, cursor=head)


def _replayed(channel: FakeChannel) -> list[tuple[int, list[int]]]:
    return [
        (frame["request"], [event["position"] for event in frame["events"]])
        for frame in channel.frames("replayed")
    ]


def replay_ack(request: int, *positions: int) -> bytes:
    """The client handled these."""
    return json.dumps({"type": "replay_ack", "request": request, "positions": positions}).encode()


def test_what_was_asked_for_meanwhile_comes_with_the_next_session(tmp_path: Path) -> None:
    """After ``live``: what the device does not have yet goes first. Its own body, as ever."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            connection, channel = await _caught_up(it, replays={2: 90, 4: 90})
            it.hub.tick()
            await until(lambda: bool(channel.frames("replayed")))
            assert [frame["type"] for frame in channel.frames()] == ["welcome", "live", "replayed"]
            assert _replayed(channel) == [(90, [2, 4])]
            [event, _] = channel.frames("replayed")[0]["events"]
            assert event["data"]["message_id"] == "m2"
            connection.received(replay_ack(90, 2, 4))
            await it.hub.recorded()
            [handled] = await it.recorded("delivery.replay_acknowledged")
            assert handled == {"session": connection.session.id, "request": 90, "positions": [2, 4]}
            assert len(await it.recorded("delivery.replayed")) == 1

    run(scenario)


def test_what_is_asked_for_while_the_device_is_here_comes_at_once(tmp_path: Path) -> None:
    """And what is not acknowledged is not sent a second time in the same session."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            connection, channel = await _caught_up(it)
            it.hub.replay_requested("ana", "laptop", 90, [3])
            await until(lambda: bool(channel.frames("replayed")))
            it.hub.replay_requested("ana", "laptop", 91, [5])
            for _ in range(3):
                it.hub.tick()
            assert _replayed(channel) == [(90, [3])]
            connection.received(replay_ack(90, 3))
            it.hub.tick()
            await until(lambda: len(channel.frames("replayed")) == 2)
            assert _replayed(channel) == [(90, [3]), (91, [5])]

    run(scenario)


def test_what_the_user_may_not_see_now_is_not_delivered_again(tmp_path: Path) -> None:
    """Position 7 is in inbox b, which was lost meanwhile (G21); the others come."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            await it.append(*range(1, 7))
            await it.append(0, inbox="b")
            head = it.log.cursor
            it.floors["ana", "laptop"] = Standing(
                head.position, head.position, replays={7: 90, 2: 90}
            )
            connection, channel = await it.connect(cursor=head)
            it.hub.tick()
            await until(lambda: bool(channel.frames("replayed")))
            assert _replayed(channel) == [(90, [2])]
            connection.received(replay_ack(90, 2))
            assert connection.session.replays is not None
            assert connection.session.replays.idle

    run(scenario)


def test_an_inbox_lost_while_the_disk_is_read_is_not_delivered_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What counts is who may see it when it is sent."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            connection, channel = await _caught_up(it)
            read = it.log.read_at

            async def slow(positions: list[int], **options: Any) -> Any:
                found = await read(positions, **options)
                it.hub._change_grant(connection, _without_a(connection.grant))
                return found

            monkeypatch.setattr(it.log, "read_at", slow)
            it.hub.replay_requested("ana", "laptop", 90, [3])
            await until(lambda: channel.closed == CloseCode.ACCESS_CHANGED)
            await it.append(51)
            assert _replayed(channel) == []

    run(scenario)


def _without_a(grant: Grant) -> Grant:
    return evolve(grant, inboxes=frozenset({"b"}))


def test_a_redacted_event_comes_again_without_its_words(tmp_path: Path) -> None:
    """As on every other way."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            _, channel = await _caught_up(it)
            await it.log.redact(2, reason="asked", by="eve")
            it.hub.replay_requested("ana", "laptop", 90, [2])
            await until(lambda: bool(channel.frames("replayed")))
            [event] = channel.frames("replayed")[0]["events"]
            assert (event["position"], event["data"]) == (2, None)

    run(scenario)


def test_a_frame_of_them_is_no_larger_than_a_page_or_the_clients_window(tmp_path: Path) -> None:
    """The rest follows when these are handled."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            for number in range(1, 6):
                await it.append(number, text="x" * 30_000)
            head = it.log.cursor
            it.floors["ana", "laptop"] = Standing(
                head.position, head.position, replays=dict.fromkeys(range(1, 6), 90)
            )
            connection, channel = await it.connect(cursor=head)
            for frames in range(1, 6):
                it.hub.tick()
                count = frames
                await until(lambda count=count: len(channel.frames("replayed")) >= count)  # type: ignore[misc]
                request, positions = _replayed(channel)[-1]
                connection.received(replay_ack(request, *positions))
                if sum(len(each) for _, each in _replayed(channel)) == 5:
                    break
            assert [positions for _, positions in _replayed(channel)] == [[1, 2], [3, 4], [5]]

    run(scenario)


def test_nothing_is_delivered_again_into_a_socket_that_takes_nothing(tmp_path: Path) -> None:
    """Until it drains."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            _, channel = await _caught_up(it)
            channel.writable = False
            it.hub.replay_requested("ana", "laptop", 90, [3])
            it.hub.tick()
            await it.append(50)
            assert _replayed(channel) == []
            channel.writable = True
            it.hub.tick()
            await until(lambda: bool(channel.frames("replayed")))

    run(scenario)


def test_a_request_while_the_device_is_just_coming_is_not_missed(tmp_path: Path) -> None:
    """Its standing was read before: the opening is judged again."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            await it.append(1, 2)
            head, asked = it.log.cursor, 0

            async def floor(user: str, device: str) -> Standing:
                nonlocal asked
                asked += 1
                found = Standing(head.position, head.position, replays={1: 90} if asked > 1 else {})
                if asked == 1:
                    it.hub.replay_requested(user, device, 90, [1])
                return found

            def admit(token: str) -> Grant:
                return Grant(token, AB, token, None)

            opening = await it.hub.prepare(it.hello(head), admit=admit, ack_floor=floor)
            channel = FakeChannel()
            it.hub.open(opening, channel, None)
            it.hub.tick()
            await until(lambda: bool(channel.frames("replayed")))
            assert (asked, _replayed(channel)) == (2, [(90, [1])])

    run(scenario)


def test_what_waits_for_the_floor_comes_once_that_has_passed_it(tmp_path: Path) -> None:
    """An event parked beyond the floor comes by the usual way first."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            await it.append(1, 2)
            start = await it.log.cursor_at(0)
            it.floors["ana", "laptop"] = Standing(0, 0, frozenset({2}), replays={2: 90})
            connection, channel = await it.connect(cursor=start)
            it.hub.tick()
            await it.append(3)
            assert (channel.positions(), _replayed(channel)) == ([1, 2, 3], [])
            connection.received(ack(channel.frames("events")[-1]))
            it.hub.tick()
            await until(lambda: bool(channel.frames("replayed")))

    run(scenario)
