"""What comes in with one turn of the loop is handled in it, in order, and never piles up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from attrs import define, field

from transport.arrivals import BYTES_MAX, Arrivals


@define
class Reader:
    """Remembers what it was given."""

    heard: list[bytes] = field(factory=list)
    then: Callable[[], None] = lambda: None

    def received(self, data: bytes) -> None:
        """Remember."""
        self.heard.append(data)
        self.then()

    def failed(self) -> None:
        """Remember, too."""
        self.heard.append(b"failed")


def test_all_is_handled_in_order_before_the_next_turn() -> None:
    """Whoever awaits anything finds it done."""

    async def scenario() -> None:
        arrivals, one, other = Arrivals(), Reader(), Reader()
        order: list[str] = []
        one.then, other.then = lambda: order.append("one"), lambda: order.append("other")
        for round_ in range(3):
            arrivals.add(one, b"a")
            arrivals.add(other, b"b")
            arrivals.add(one, b"c")
            assert len(order) == 3 * round_
            await asyncio.sleep(0)
            assert order == ["one", "other", "one"] * (round_ + 1)
        assert one.heard == [b"a", b"c"] * 3

    asyncio.run(scenario())


def test_a_fault_is_of_whom_it_happened_to() -> None:
    """The others are handled all the same."""

    async def scenario() -> None:
        arrivals, one, other = Arrivals(), Reader(), Reader()

        def fail() -> None:
            raise RuntimeError("a fault")

        one.then = fail
        for reader in (one, other, one):
            arrivals.add(reader, b"a")
        arrivals.handle()
        assert one.heard == [b"a", b"failed"] * 2
        assert other.heard == [b"a"]

    asyncio.run(scenario())


def test_more_than_a_mebibyte_does_not_wait() -> None:
    """A thousand sockets that are all full must not fill the memory first."""

    async def scenario() -> None:
        arrivals, one = Arrivals(), Reader()
        half = bytes(BYTES_MAX // 2)
        arrivals.add(one, half)
        arrivals.add(one, half)
        assert not one.heard
        arrivals.add(one, b"x")
        assert one.heard == [half, half, b"x"]
        arrivals.add(one, b"y")
        assert one.heard[3:] == []
        await asyncio.sleep(0)
        assert one.heard[3:] == [b"y"]

    asyncio.run(scenario())


def test_what_waits_can_be_had_at_once() -> None:
    """As a socket does that has closed: its last words come before its end."""

    async def scenario() -> None:
        arrivals, one = Arrivals(), Reader()
        arrivals.add(one, b"ack")
        arrivals.handle()
        assert one.heard == [b"ack"]
        await asyncio.sleep(0)
        assert one.heard == [b"ack"]

    asyncio.run(scenario())
