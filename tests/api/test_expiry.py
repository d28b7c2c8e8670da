"""Devices that stay away: closed once, by a clock that the test moves; and what they find again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from api.expiry import expire_unseen
from api.house import House, open_house
from api.settings import Settings
from api.standings import Standings
from eventstore.codec import decode_recorded
from eventstore.cursor import Cursor
from eventstore.draft import Draft
from eventstore.events import DeviceExpired, InboxCreated, MemberAdded
from projections.deliveries import list_deliveries
from projections.ledger import list_accounts
from tests.transport.pages import message
from tests.transport.test_hub import FakeChannel, ack
from transport.frames import Hello
from transport.hub import Connection, Grant

DAY_S = 86_400.0
AGE_S = 30 * DAY_S
_LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[House]:
    """A house with an inbox and ana in it."""
    async with open_house(Settings(data=folder)) as house:
        await house.records.record(
            Draft("system", InboxCreated("a", "standard")),
            Draft("system", MemberAdded("ana", "member", ("a",))),
        )
        yield house


def run(scenario: Callable[[House], Awaitable[None]], folder: Path) -> None:
    """Run an async test."""

    async def bounded() -> None:
        async with asyncio.timeout(60), opened(folder) as house:
            await scenario(house)

    asyncio.run(bounded())


async def connect(house: House, cursor: Cursor | None = None) -> tuple[Connection, FakeChannel]:
    """Ana's laptop comes."""
    opening = await house.hub.prepare(
        Hello("ana", "laptop", cursor),
        admit=lambda token: Grant(token, frozenset({"a"}), None, None),
        ack_floor=Standings(house.records).of,
    )
    channel = FakeChannel()
    return house.hub.open(opening, channel, None), channel


async def say(house: House, *numbers: int) -> None:
    """Messages arrive."""
    await house.log.append([message(number) for number in numbers])


async def leave(house: House, connection: Connection) -> None:
    """The device goes; that is recorded and folded."""
    connection.lost(1006, "gone")
    await house.hub.recorded()
    await house.projector.wait_for(house.log.head.position)


async def look(house: House, days: float) -> int:
    """Look for devices to close, as many days from now."""
    newest_us = await house.log.recorded_at(house.log.head.position)
    assert newest_us is not None
    now_us = newest_us + round(days * DAY_S * 1_000_000)
    return await expire_unseen(house.records, house.hub, age_s=AGE_S, clock=lambda: now_us)


async def expired(house: House) -> list[DeviceExpired]:
    """What was recorded of it."""
    await house.hub.recorded()
    await house.projector.wait_for(house.log.head.position)
    events = await house.log.read(0, 1_000, types=[DeviceExpired.type])
    return [event for each in events if isinstance(event := decode_recorded(each), DeviceExpired)]


async def account(house: House) -> Any:
    """The ledger's row of the laptop."""
    [row] = (await house.projector.fetch(list_accounts())).rows
    assert row.residue == 0
    return row


async def _away_with_three(house: House) -> Cursor:
    connection, channel = await connect(house)
    await say(house, 1)
    connection.received(ack(channel.frames("events")[-1]))
    known = Cursor.parse(channel.frames("events")[-1]["cursor"])
    await leave(house, connection)
    await say(house, 2, 3, 4)
    return known


def test_a_device_is_closed_once_after_its_time_and_not_before(tmp_path: Path) -> None:
    """What waited is skipped, counted exactly; nothing is outstanding any more."""

    async def scenario(house: House) -> None:
        await _away_with_three(house)
        assert (await look(house, 29.9), await expired(house)) == (0, [])
        assert (await account(house)).outstanding == 3
        assert await look(house, 30.1) == 1
        [event] = await expired(house)
        assert (event.count, event.inboxes) == (3, ("a",))
        assert await look(house, 31) == 0
        await say(house, 5)
        assert await look(house, 99) == 0
        assert len(await expired(house)) == 1
        row = await account(house)
        assert (row.acknowledged, row.skipped, row.outstanding) == (1, 3, 0)

    run(scenario, tmp_path)


def test_a_device_that_is_here_is_not_closed_however_quiet_it_is(tmp_path: Path) -> None:
    """Nothing of it was recorded for weeks; it answers its pings."""

    async def scenario(house: House) -> None:
        connection, _ = await connect(house)
        await house.hub.recorded()
        await house.projector.wait_for(house.log.head.position)
        assert await look(house, 300) == 0
        await leave(house, connection)
        assert await look(house, 30.1) == 1

    run(scenario, tmp_path)


def test_a_closed_device_that_returns_is_told_and_gets_what_came_since(tmp_path: Path) -> None:
    """With its cursor or without: skipped up to where it was closed, and then the rest."""

    async def scenario(house: House) -> None:
        known = await _away_with_three(house)
        await look(house, 30.1)
        [event] = await expired(house)
        await say(house, 5)
        for cursor in (known, None):
            connection, channel = await connect(house, cursor)
            [skipped] = channel.frames("skipped")
            assert (skipped["after"], skipped["count"], skipped["reason"]) == (
                str(known), 3, "expired",
            )  # fmt: skip
            assert Cursor.parse(skipped["cursor"]).position == event.until
            [received] = channel.frames("events")[-1]["events"]
            assert received["data"]["message_id"] == "m5"
            await leave(house, connection)
            assert (await account(house)).outstanding == 1
        connection, channel = await connect(house, known)
        connection.received(ack(channel.frames("events")[-1]))
        await leave(house, connection)
        row = await account(house)
        assert (row.acknowledged, row.skipped, row.outstanding) == (2, 3, 0)
        assert await look(house, 30.1) == 1, "it may expire again"

    run(scenario, tmp_path)


def test_a_device_that_comes_while_it_is_being_closed_is_judged_again(tmp_path: Path) -> None:
    """It learns of it in the same opening; of both, nothing is counted twice."""

    async def scenario(house: House) -> None:
        known = await _away_with_three(house)
        times = 0

        async def floor(user: str, device: str) -> Any:
            nonlocal times
            times += 1
            standing = await Standings(house.records).of(user, device)
            if times == 1:
                assert await look(house, 30.1) == 1
            return standing

        opening = await house.hub.prepare(
            Hello("ana", "laptop", known),
            admit=lambda token: Grant(token, frozenset({"a"}), None, None),
            ack_floor=floor,
        )
        channel = FakeChannel()
        connection = house.hub.open(opening, channel, None)
        assert times == 2
        assert channel.frames("skipped")[0]["count"] == 3
        await leave(house, connection)
        assert (await account(house)).skipped == 3

    run(scenario, tmp_path)


def test_a_device_that_came_after_it_was_looked_at_is_left_alone(tmp_path: Path) -> None:
    """It was here in between, if only for a moment."""

    async def scenario(house: House) -> None:
        await _away_with_three(house)
        begun = house.hub.begun("ana", "laptop")
        connection, _ = await connect(house)
        event = DeviceExpired(_LONG_AGO, 0, 1, 1)
        assert not house.hub.expire("ana", "laptop", begun, event)
        await leave(house, connection)
        assert not house.hub.expire("ana", "laptop", begun, event)
        [row] = (await house.projector.fetch(list_deliveries())).rows
        assert row.expired_at is None

    run(scenario, tmp_path)
