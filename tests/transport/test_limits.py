"""Who is not let in, or sent away, and under which name that is counted."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Opcode

import transport.websocket
from tests.transport.serving import closed, hello, run, site, until
from tests.transport.test_hub import Grant, ack, house
from tests.transport.test_websocket import raw_frame
from transport.connection import Refused
from transport.doorkeeper import Doorkeeper, Doors, Refusal
from transport.frames import CloseCode, Hello, Window
from transport.hub import Limits
from transport.token_bucket import TokenBucket

# --- the bucket --------------------------------------------------------------------------------


def test_a_burst_passes_and_then_the_rate() -> None:
    """Ten at once, then one each fifth of a second; a rest fills no more than the burst."""
    bucket = TokenBucket(per_s=5, burst=10, now=0.0)
    assert [bucket.take(0.0) for _ in range(11)] == [True] * 10 + [False]
    assert [bucket.take(0.2), bucket.take(0.2)] == [True, False]
    assert sum(bucket.take(1000.0) for _ in range(20)) == 10


@given(st.lists(st.floats(0, 2), max_size=200))
def test_over_any_time_no_more_passes_than_the_burst_and_the_rate(steps: list[float]) -> None:
    """However they come."""
    bucket, now, passed = TokenBucket(per_s=5, burst=10, now=0.0), 0.0, 0
    for step in steps:
        now += step
        passed += bucket.take(now)
        assert passed <= 10 + 5 * now + 1e-6


# --- the doors ---------------------------------------------------------------------------------


def test_addresses_and_strangers_are_counted_and_forgotten() -> None:
    """Nothing is kept of an address that holds no connection."""
    keeper = Doorkeeper(Doors(address=2, strangers=3))
    keeper.entered("ana", "10.0.0.1")
    with keeper.stranger("10.0.0.1"):
        with pytest.raises(Refused), keeper.stranger("10.0.0.1"):
            pass
        with keeper.stranger("10.0.0.2"), keeper.stranger(None):
            assert keeper.strangers == 3
            with pytest.raises(Refused), keeper.stranger("10.0.0.3"):
                pass
    keeper.left("ana", "10.0.0.1")
    assert (keeper.strangers, keeper._addresses, keeper._users) == (0, {}, {})
    counted = {name: count for name, count in keeper.refusals.items() if count}
    assert counted == {"connections_address": 1, "unauthenticated_total": 1}


def test_the_counters_of_refusals_are_all_there_and_nobody_else_s_to_change() -> None:
    """A metric that appears only with its first event is one that alerts miss."""
    keeper = Doorkeeper(Doors())
    assert set(keeper.refusals) == {refusal.value for refusal in Refusal}
    with pytest.raises(TypeError):
        keeper.refusals["too_fast"] = 0  # type: ignore[index]  # it is what is tested


def test_a_user_has_so_many_devices_at_once_and_gets_another_when_one_goes(tmp_path: Path) -> None:
    """Others are let in meanwhile; the same device again is a replacement, not one more."""

    async def scenario() -> None:
        async with house(tmp_path, Limits(doors=Doors(user=2))) as it:
            first, _ = await it.connect("ana", device="one")
            await it.connect("ana", device="two")
            with pytest.raises(Refused) as refused:
                await it.connect("ana", device="three")
            assert refused.value.code == CloseCode.OVERLOADED
            await it.connect("rui", device="three")
            await it.connect("ana", device="two")
            first.lost(1001, "gone")
            await it.connect("ana", device="three")
            assert it.hub.refusals["connections_user"] == 1

    run(scenario)


def test_hellos_that_were_prepared_together_do_not_pass_the_limit_together(tmp_path: Path) -> None:
    """Room is asked for again at the end: nothing is awaited between that and the session."""

    async def scenario() -> None:
        async with house(tmp_path, Limits(doors=Doors(total=2))) as it:

            async def one(number: int) -> None:
                async def slow(_user: str, _device: str) -> None:
                    await asyncio.sleep(0)

                opening = await it.hub.prepare(
                    Hello(f"user{number}", "laptop"),
                    admit=lambda token: Grant(token, frozenset({"a"}), None, None),
                    ack_floor=slow,
                )
                it.hub.open(opening, it.channel(), None)

            ends = await asyncio.gather(*map(one, range(5)), return_exceptions=True)
            assert [isinstance(end, Refused) for end in ends].count(True) == 3
            assert it.hub.refusals["connections_total"] == 3

    run(scenario)


# --- how fast ----------------------------------------------------------------------------------


def test_a_client_that_sends_too_fast_is_closed_with_4429(tmp_path: Path) -> None:
    """A burst is fine, 50 a second are fine for ever, more is not; counted once."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            await it.append(1)
            connection, channel = await it.connect()
            frame = b'{"type":"ack","cursor":"%s"}' % str(connection.session.floor).encode()
            for _ in range(int(Limits().frames_burst)):
                connection.received(frame)
            for _ in range(200):
                it.now += 0.0201
                connection.received(frame)
            assert channel.closed is None
            for _ in range(3):
                connection.received(frame)
            assert channel.closed == CloseCode.TOO_FAST
            assert it.hub.refusals["too_fast"] == 1

    run(scenario)


def test_pings_of_the_socket_count_like_frames(tmp_path: Path) -> None:
    """They are answered by the parser, and would be a flood for nothing."""

    async def scenario() -> None:
        async with site(tmp_path) as it, it.connect(ping_interval=None) as client:
            await hello(client)
            flood = raw_frame(Opcode.PING, b"") * int(Limits().frames_burst * 2)
            client.transport.write(flood)
            code, frames = await closed(client)
            assert (code, frames[-1]["type"]) == (4429, "bye")

    run(scenario)


# --- without a name ----------------------------------------------------------------------------


def test_sockets_without_hello_are_counted_and_do_not_live(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """5 s, here a moment: then 4408, under its name; and nothing of them is left."""
    monkeypatch.setattr(transport.websocket, "HELLO_S", 0.3)

    async def scenario() -> None:
        async with site(tmp_path) as it:
            async with it.connect() as one, it.connect() as two:
                await until(lambda: it.hub.doors.strangers == 2)
                assert [(await closed(each))[0] for each in (one, two)] == [4408, 4408]
            assert it.hub.doors.strangers == 0
            assert it.hub.refusals["hello_late"] == 2

    run(scenario)


def test_refusals_at_the_door_are_counted_by_name(tmp_path: Path) -> None:
    """A bad token, a bad hello, a version we do not speak."""

    async def scenario() -> None:
        async with site(tmp_path) as it:
            for first in ('{"type":"hello","token":"bad","device":"d"}', "nonsense"):
                async with it.connect() as client:
                    await client.send(first)
                    await closed(client)
            async with it.connect(subprotocols=["malote.v9"]) as client:
                await closed(client)
            counted = {name: count for name, count in it.hub.refusals.items() if count}
            assert counted == {"unauthorized": 1, "hello_bad": 1, "version": 1}

    run(scenario)


# --- falling behind ----------------------------------------------------------------------------


def test_a_session_that_falls_behind_is_counted_once_until_it_is_there_again(
    tmp_path: Path,
) -> None:
    """Not once a commit; and again after it had caught up."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            connection, channel = await it.connect(window=Window(2, 10_000))
            await it.append(1, 2)
            assert it.hub.fell_behind == 0
            await it.append(3)
            await it.append(4)
            assert it.hub.fell_behind == 1
            connection.received(ack(channel.frames("events")[-1]))
            await it.append(5)
            assert it.hub.fell_behind == 2

    run(scenario)
