"""A crowd at the door must not keep those waiting who are inside."""

from __future__ import annotations

import asyncio

import pytest

from transport.turnstile import Turnstile


def test_whoever_comes_alone_does_not_wait() -> None:
    """Nothing is put off while nobody else is there."""

    async def scenario() -> None:
        done: list[int] = []
        turnstile = Turnstile()
        turnstile.enter(lambda: done.append(1))
        assert done == [1]
        await asyncio.sleep(0)
        turnstile.enter(lambda: done.append(2))
        assert done == [1, 2]

    asyncio.run(scenario())


def test_a_crowd_goes_through_in_order_and_others_come_between() -> None:
    """One step a turn: a task that only yields runs as often as steps do."""

    async def scenario() -> None:
        seen: list[str] = []
        turnstile = Turnstile()

        async def somebody_else() -> None:
            for number in range(5):
                seen.append(f"else {number}")
                await asyncio.sleep(0)

        other = asyncio.create_task(somebody_else())
        for number in range(5):
            turnstile.enter(lambda number=number: seen.append(f"step {number}"))  # type: ignore[misc]
        assert (seen, len(turnstile)) == (["step 0"], 4)
        await other
        await asyncio.sleep(0)
        assert [each for each in seen if each.startswith("step")] == [f"step {n}" for n in range(5)]
        for earlier, later in zip(range(4), range(1, 5), strict=True):
            between = seen[seen.index(f"step {earlier}") : seen.index(f"step {later}")]
            assert any(each.startswith("else") for each in between)

    asyncio.run(scenario())


def test_a_step_that_fails_stops_nobody_behind_it() -> None:
    """Its error is its own: raised where it was asked for, or told to the loop."""

    async def scenario() -> None:
        told: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        done: list[int] = []
        turnstile = Turnstile()

        def fail() -> None:
            raise ValueError

        with pytest.raises(ValueError, match=r"^$"):
            turnstile.enter(fail)
        turnstile.enter(fail)
        turnstile.enter(lambda: done.append(1))
        for _ in range(4):
            await asyncio.sleep(0)
        assert (done, len(told)) == ([1], 1)

    asyncio.run(scenario())
