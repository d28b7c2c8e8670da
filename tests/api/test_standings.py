"""How far devices are: asked of rows and log together, and of all who wait at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from api.records import Records, open_records
from api.standings import Standings
from eventstore.draft import Draft
from eventstore.events import ClientConnected, DeliveryAcknowledged, ServerStopped
from eventstore.log import LogUnavailable

PATIENCE_S = 10


def in_records(folder: Path, scenario: Callable[[Records, Standings], Awaitable[None]]) -> None:
    """Run it with records whose projections fold nothing any more."""

    async def opened() -> None:
        async with open_records(folder) as (records, tasks):
            await tasks.stop()
            await scenario(records, Standings(records))

    asyncio.run(asyncio.wait_for(opened(), PATIENCE_S))


async def acknowledged(records: Records, device: str, until: int) -> None:
    """The log says that one of Ana's devices has everything up to there."""
    stream = f"client:ana/{device}"
    begun = ClientConnected("s", "b", "fresh", 0)
    await records.log.append([Draft(stream, begun)])
    await records.log.append([Draft(stream, DeliveryAcknowledged("s", 0, until, 1))])


def counted(records: Records, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of how many devices each question to the rows is, from now on."""
    asked, fetch = [], type(records.projector).fetch

    async def counting(projector: Any, query: Any) -> Any:
        asked.append(query.parameters["devices"].count("["))
        return await fetch(projector, query)

    monkeypatch.setattr(type(records.projector), "fetch", counting)
    return asked


def test_it_does_not_wait_for_the_projections(tmp_path: Path) -> None:
    """They may be behind for long, after a crash or under load; the device's own events are not."""

    async def scenario(records: Records, standings: Standings) -> None:
        assert await standings.of("ana", "phone") is None
        await records.log.append([Draft("system", ServerStopped("b"))] * 2)
        await acknowledged(records, "phone", 2)
        found = await standings.of("ana", "phone")
        assert found is not None
        assert (found.floor, found.told, found.parked) == (2, 2, frozenset())
        assert await standings.of("ana", "laptop") is None

    in_records(tmp_path, scenario)


def test_who_asks_meanwhile_is_answered_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand who come back are a few questions; each has its own answer."""

    async def scenario(records: Records, standings: Standings) -> None:
        await records.log.append([Draft("system", ServerStopped("b"))] * 20)
        for number in range(12):
            await acknowledged(records, f"d{number}", number)
        asked = counted(records, monkeypatch)
        names = [f"d{number}" for number in range(14)]
        found = await asyncio.gather(*(standings.of("ana", name) for name in names))
        floors = [None if standing is None else standing.floor for standing in found]
        assert floors == [*range(12), None, None]
        assert len(asked) <= 2

    in_records(tmp_path, scenario)


def test_what_is_recorded_before_the_question_counts(tmp_path: Path) -> None:
    """Also where the question before it is still under way."""

    async def scenario(records: Records, standings: Standings) -> None:
        await records.log.append([Draft("system", ServerStopped("b"))] * 2)
        early = asyncio.create_task(standings.of("ana", "phone"))
        await asyncio.sleep(0)
        await acknowledged(records, "phone", 2)
        found = await standings.of("ana", "phone")
        assert found is not None
        assert found.floor == 2
        await early

    in_records(tmp_path, scenario)


def test_one_who_leaves_takes_no_answer_from_the_others(tmp_path: Path) -> None:
    """A socket that closes while it waits ends its own question alone."""

    async def scenario(records: Records, standings: Standings) -> None:
        await records.log.append([Draft("system", ServerStopped("b"))] * 2)
        await acknowledged(records, "phone", 1)
        leaving = asyncio.create_task(standings.of("ana", "phone"))
        staying = asyncio.create_task(standings.of("ana", "phone"))
        await asyncio.sleep(0)
        leaving.cancel()
        found = await staying
        assert found is not None
        assert found.floor == 1

    in_records(tmp_path, scenario)


def test_all_who_wait_are_told_of_a_failure_and_the_next_may_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that cannot be read refuses them; nobody hangs, now or later."""

    async def scenario(records: Records, standings: Standings) -> None:
        await acknowledged(records, "phone", 0)

        async def unreadable(*_: object, **__: object) -> None:
            raise LogUnavailable("the disk is away")

        with monkeypatch.context() as broken:
            broken.setattr(type(records.log), "read", unreadable)
            ends = await asyncio.gather(
                *(standings.of("ana", "phone") for _ in range(3)), return_exceptions=True
            )
        assert [type(end) for end in ends] == [LogUnavailable] * 3
        assert await standings.of("ana", "phone") is not None

    in_records(tmp_path, scenario)
