"""What a device is told, and what is recorded of it, when it comes back after a while."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eventstore.cursor import Cursor
from eventstore.draft import Receipt
from eventstore.events import DeliveryAcknowledged, DeliveryParked
from tests.transport.pages import cursor, page
from tests.transport.test_hub import AB, House, ack, house, run, until
from transport.connection import Refused
from transport.frames import Ack, Nack, Window
from transport.hub import Grant, Limits, Standing
from transport.offline_queue import QueueLimits
from transport.session import Session

FIVE = Limits(queue=QueueLimits(events_max=5))
DAY_S = 86_400.0


def at(it: House, receipt: Receipt) -> Cursor:
    """The cursor of what was just appended."""
    return Cursor.at(it.log.epoch, receipt.position, receipt.hash)


async def recorded(it: House, type_: str) -> list[dict[str, Any]]:
    """The data of all events of one type, without the session."""
    await it.hub.shutdown()
    found = await it.recorded(type_)
    for data in found:
        del data["session"]
    return found


# --- the acknowledgement that a cursor brings --------------------------------------------------


def test_a_cursor_beyond_the_ack_floor_is_an_acknowledgement(tmp_path: Path) -> None:
    """With the exact number of events between that the user sees, and no others."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            floor = (await it.append(1))[0].position
            await it.append(2, 3, inbox="b")
            have = at(it, (await it.append(4, 5))[-1])
            it.floors["ana", "laptop"] = Standing(floor, floor)
            await it.connect(cursor=have)
            expected = {"after": floor, "until": have.position, "count": 2}
            assert await recorded(it, "delivery.acknowledged") == [expected]

    run(scenario)


def test_what_was_parked_between_is_not_acknowledged_by_the_cursor(tmp_path: Path) -> None:
    """It was counted when it was put aside."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            first, second, third = await it.append(1, 2, 3)
            parked = frozenset({second.position})
            it.floors["ana", "laptop"] = Standing(first.position, first.position, parked)
            await it.connect(cursor=at(it, third))
            [data] = await recorded(it, "delivery.acknowledged")
            assert data["count"] == 1

    run(scenario)


@pytest.mark.parametrize("beyond", [0, 1])
def test_a_cursor_at_or_below_the_floor_acknowledges_nothing(tmp_path: Path, beyond: int) -> None:
    """A device that lost something goes on where it is; what it had is not counted again."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            first, second = await it.append(1, 2)
            floor = (first, second)[beyond].position
            it.floors["ana", "laptop"] = Standing(floor, floor)
            connection, channel = await it.connect(cursor=at(it, first))
            assert channel.positions() == [second.position]
            connection.received(ack(channel.frames("events")[0]))
            counted = await recorded(it, "delivery.acknowledged")
            expected = {"after": first.position, "until": second.position, "count": 1}
            assert counted == ([] if beyond else [expected])

    run(scenario)


def test_what_was_parked_in_an_inbox_not_seen_any_more_is_taken_off_no_count(
    tmp_path: Path,
) -> None:
    """It is not among the events that the cursor acknowledges, and so not among the parked ones."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            first, _ = await it.append(1, 2)
            [other] = await it.append(3, inbox="b")
            [last] = await it.append(4)
            it.floors["ana", "laptop"] = Standing(0, 0, frozenset({first.position, other.position}))
            await it.connect(cursor=at(it, last))
            [data] = await recorded(it, "delivery.acknowledged")
            assert data["count"] == 2

    run(scenario)


def test_what_was_parked_is_not_skipped_as_well(tmp_path: Path) -> None:
    """Each event has one outcome: of four that fall out of the queue one was put aside before."""

    async def scenario() -> None:
        async with house(tmp_path, Limits(queue=QueueLimits(1, 1e9))) as it:
            first, *_ = await it.append(1, 2, 3, 4, 5)
            it.floors["ana", "laptop"] = Standing(0, 0, frozenset({first.position}))
            _, channel = await it.connect()
            assert channel.frames("skipped")[0]["count"] == 4
            [data] = await recorded(it, "queue.trimmed")
            assert data["count"] == 3

    run(scenario)


def test_a_session_says_which_inboxes_it_is_given(tmp_path: Path) -> None:
    """So that the ledger knows what is addressed to the device from here on."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            await it.connect(inboxes=frozenset({"b", "a"}))
            [data] = await recorded(it, "client.connected")
            assert data["inboxes"] == ["a", "b"]

    run(scenario)


def test_a_reset_acknowledges_nothing(tmp_path: Path) -> None:
    """The client starts over at the head; what lies between is passed over, and recorded so."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            await it.append(1, 2, 3)
            it.floors["ana", "laptop"] = Standing(0, 0)
            await it.connect(cursor=Cursor(it.log.epoch, 1, "00000000"))
            [data] = await recorded(it, "queue.trimmed")
            assert (data["after"], data["until"], data["count"]) == (0, 3, 3)
            assert data["reason"] == "reset"
            assert await recorded(it, "delivery.acknowledged") == []

    run(scenario)


def test_two_hellos_of_one_device_at_once_count_once(tmp_path: Path) -> None:
    """The floor that the second was prepared with is old by then, and is asked for again."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            floor, have = (at(it, receipt) for receipt in await it.append(1, 2))
            asked = 0

            async def standing(user: str, device: str) -> Standing:
                nonlocal asked
                asked += 1
                if asked == 1:  # meanwhile another hello of this device is faster
                    await it.connect(cursor=have)
                ranges = await it.recorded("delivery.acknowledged")
                known = max([floor.position, *(each["until"] for each in ranges)])
                answer = Standing(floor.position if asked == 1 else known, floor.position)
                it.floors[user, device] = answer
                return answer

            it.floors["ana", "laptop"] = Standing(floor.position, floor.position)
            hello = it.hello(cursor=have)
            opening = await it.hub.prepare(
                hello, admit=lambda token: Grant(token, AB, None, None), ack_floor=standing
            )
            assert asked == 2
            it.hub.open(opening, it.channel(), None)
            assert len(await recorded(it, "delivery.acknowledged")) == 1

    run(scenario)


def test_a_device_that_connects_without_end_is_sent_away(tmp_path: Path) -> None:
    """Rather than being prepared for ever."""

    async def scenario() -> None:
        async with house(tmp_path) as it:

            async def standing(_user: str, _device: str) -> None:
                await it.connect()

            with pytest.raises(Refused):
                await it.hub.prepare(
                    it.hello(), admit=lambda token: Grant(token, AB, None, None), ack_floor=standing
                )

    run(scenario)


# --- the session's count -----------------------------------------------------------------------


def test_what_an_earlier_session_settled_is_sent_again_and_counted_once() -> None:
    """The ranges of a device never overlap, whatever cursor it comes with."""
    it = Session("s2", cursor(1), Window(), lambda: 0.5, 0.0, settled=4, parked=[6])
    it.deliver(page(1, [2, 3, 4, 5, 6, 7]), 0.0)
    it.receive(Ack(cursor(3)), 2.0)
    assert it.floor == cursor(3)
    it.receive(Nack(6, "again"), 2.0)
    it.receive(Ack(cursor(5)), 4.0)
    assert it.floor == cursor(6)
    it.receive(Ack(cursor(7)), 6.0)
    assert [event for event in it.events_to_record() if isinstance(event, DeliveryParked)] == []
    it = Session("s2", cursor(1), Window(), lambda: 0.5, 0.0, settled=4, parked=[6])
    it.deliver(page(1, [2, 3, 4, 5, 6, 7]), 0.0)
    it.receive(Ack(cursor(7)), 6.0)
    assert it.events_to_record() == [DeliveryAcknowledged("s2", 4, 7, 2)]


def test_a_nack_of_what_was_settled_takes_nothing_from_the_count() -> None:
    """It is among neither the acknowledged of this session nor those that are to be subtracted."""
    it = Session("s2", cursor(1), Window(), lambda: 0.5, 0.0, settled=4)
    it.deliver(page(1, [2, 3, 4, 5, 6, 7]), 0.0)
    it.receive(Nack(3, "on second thoughts"), 1.0)
    it.receive(Ack(cursor(7)), 6.0)
    assert it.events_to_record()[-1] == DeliveryAcknowledged("s2", 4, 7, 3)


# --- limits ------------------------------------------------------------------------------------


def test_a_device_with_more_than_the_limit_is_told_what_was_skipped_and_gets_the_newest(
    tmp_path: Path,
) -> None:
    """From its cursor to the last one skipped, counted exactly; others' events do not count."""

    async def scenario() -> None:
        async with house(tmp_path, FIVE) as it:
            start = at(it, (await it.append(0))[0])
            await it.append(1, 2, 3, 4)
            await it.append(*range(100, 120), inbox="b")
            await it.append(5, 6, 7, 8)
            _, channel = await it.connect(cursor=start)
            kinds = [frame["type"] for frame in channel.frames()]
            assert kinds == ["welcome", "skipped", "events", "live"]
            [skipped], [events] = channel.frames("skipped"), channel.frames("events")
            assert (skipped["after"], skipped["count"]) == (str(start), 3)
            assert skipped["reason"] == "queue_limit"
            assert events["after"] == skipped["cursor"]
            assert channel.positions() == [5, *range(26, 30)]
            assert channel.frames("welcome")[0]["resume"]["pending"] == 5
            [trimmed] = await recorded(it, "queue.trimmed")
            assert trimmed == {"after": 1, "until": 4, "count": 3, "reason": "queue_limit"}

    run(scenario)


def test_exactly_the_limit_is_not_skipped(tmp_path: Path) -> None:
    """Five of five wait."""

    async def scenario() -> None:
        async with house(tmp_path, FIVE) as it:
            start = at(it, (await it.append(0))[0])
            await it.append(1, 2, 3, 4, 5)
            _, channel = await it.connect(cursor=start)
            assert channel.frames("skipped") == []
            assert len(channel.positions()) == 5

    run(scenario)


def test_what_is_older_than_the_age_is_skipped_as_expired(tmp_path: Path) -> None:
    """And what is younger comes, also beyond others' old events."""

    async def scenario() -> None:
        async with house(tmp_path, Limits(queue=QueueLimits(age_s=7 * DAY_S))) as it:
            start = it.log.cursor
            await it.append(1, 2)
            await it.append(3, inbox="b")
            it.time_us = it.log.head.recorded_at + int(7 * DAY_S * 1e6)
            await it.append(4)
            _, channel = await it.connect(cursor=start)
            [skipped] = channel.frames("skipped")
            assert (skipped["count"], skipped["reason"]) == (2, "expired")
            assert channel.positions() == [4]

    run(scenario)


def test_old_events_of_others_are_no_reason_to_skip(tmp_path: Path) -> None:
    """Nothing of the user's own is too old: no frame, no record."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            start = it.log.cursor
            await it.append(1, inbox="b")
            it.time_us = it.log.head.recorded_at + int(7 * DAY_S * 1e6)
            await it.append(2)
            _, channel = await it.connect(cursor=start)
            assert channel.frames("skipped") == []
            assert await recorded(it, "queue.trimmed") == []

    run(scenario)


def test_a_skip_that_was_perhaps_not_heard_is_told_again_and_recorded_once(tmp_path: Path) -> None:
    """The device has no cursor, and its connection died before it acknowledged anything."""

    async def scenario() -> None:
        async with house(tmp_path, FIVE) as it:
            await it.append(*range(10))
            it.floors["ana", "laptop"] = Standing(5, 0)
            _, channel = await it.connect()
            [skipped] = channel.frames("skipped")
            assert (skipped["count"], channel.positions()) == (5, [6, 7, 8, 9, 10])
            assert await recorded(it, "queue.trimmed") == []

    run(scenario)


def test_of_a_skip_that_grew_only_the_rest_is_recorded(tmp_path: Path) -> None:
    """The client hears of all of it."""

    async def scenario() -> None:
        async with house(tmp_path, FIVE) as it:
            await it.append(*range(12))
            it.floors["ana", "laptop"] = Standing(5, 0)
            _, channel = await it.connect()
            assert channel.frames("skipped")[0]["count"] == 7
            [trimmed] = await recorded(it, "queue.trimmed")
            assert trimmed == {"after": 5, "until": 7, "count": 2, "reason": "queue_limit"}

    run(scenario)


def test_an_ack_after_a_skip_begins_behind_it(tmp_path: Path) -> None:
    """Skipped is not acknowledged: the ranges join without overlapping. An ack of it is legal."""

    async def scenario() -> None:
        async with house(tmp_path, FIVE) as it:
            start = it.log.cursor
            await it.append(*range(8))
            connection, channel = await it.connect(cursor=start)
            connection.received(ack(channel.frames("skipped")[0]))
            connection.received(ack(channel.frames("events")[0]))
            assert channel.closed is None
            assert await recorded(it, "delivery.acknowledged") == [
                {"after": 3, "until": 8, "count": 5}
            ]

    run(scenario)


def test_the_limits_hold_for_what_only_the_disk_still_has(tmp_path: Path) -> None:
    """Several inboxes, read in pages with a small window, and heartbeats in between."""

    async def scenario() -> None:
        limits = Limits(queue=QueueLimits(events_max=200), window=Window(30, 10**6))
        async with house(tmp_path, limits, tail_events_max=20) as it:
            start = it.log.cursor
            for number in range(0, 400, 20):
                await it.append(*range(number, number + 20), inbox="ab"[number // 20 % 2])
            connection, channel = await it.connect(inboxes=AB, cursor=start)
            assert channel.frames("skipped")[0]["count"] == 200
            await until(lambda: bool(channel.frames("events")))
            answered = 0
            while not channel.frames("live"):
                it.now += 26.0
                it.hub.tick()
                [ping] = channel.frames("ping")[answered:]
                answered += 1
                connection.received(b'{"type":"pong","id":%d}' % ping["id"])
                seen = len(channel.frames("events"))
                connection.received(ack(channel.frames("events")[-1]))
                await until(
                    lambda seen=seen: (  # type: ignore[misc]  # the present number
                        len(channel.frames("events")) > seen or bool(channel.frames("live"))
                    )
                )
            assert channel.positions() == list(range(201, 401))
            assert answered > 3

    run(scenario)


@pytest.mark.parametrize("tail", [0, 10, 1000])
def test_the_nth_newest_visible_event_is_the_same_from_memory_and_from_the_disk(
    tmp_path: Path, tail: int
) -> None:
    """0 where there are fewer; and counts up to a position agree too."""

    async def scenario() -> None:
        async with house(tmp_path, tail_events_max=tail) as it:
            for number in range(30):
                await it.append(number, inbox="abc"[number % 3])
            mine = [p for p in range(1, 31) if p % 3 != 0]
            for nth in (1, 2, 5, 20):
                assert await it.log.newest_visible(nth, AB) == mine[-nth]
            assert await it.log.newest_visible(21, AB) == 0
            for after, last in ((0, 30), (4, 11), (25, 25), (12, 99)):
                count = await it.log.count_visible(after, AB, most=1000, until=last)
                assert count == len([p for p in mine if after < p <= last])
            assert await it.log.recorded_at(31) is None
            times = [await it.log.recorded_at(position) for position in (29, 30)]
            assert times == sorted(times, key=lambda time: time or 0)

    run(scenario)
