"""The hub over the real log, with sockets that only remember what they were given."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from eventstore.cursor import Cursor
from eventstore.draft import Draft, Receipt
from eventstore.events import DeliveryAcknowledged, DeliveryParked, HeartbeatAnswered
from eventstore.log import EventLog, LogUnavailable
from eventstore.log import Limits as LogLimits
from tests.transport.pages import message
from transport.connection import Connection
from transport.doorkeeper import Doors
from transport.frames import CloseCode, FrameError, Hello, Window
from transport.hub import Grant, Hub, Limits, Refused, Standing
from transport.outbox import Outbox
from transport.page import Packet
from transport.recorder import Recorder

A, B, AB = frozenset({"a"}), frozenset({"b"}), frozenset({"a", "b"})


class FakeChannel:
    """A socket that takes everything, until it is told not to."""

    def __init__(self) -> None:
        self.writable = True
        self.writes: list[list[Packet]] = []
        self.closed: int | None = None
        self.aborted = False

    def send(self, packets: Sequence[Packet]) -> None:
        """Remember one write."""
        self.writes.append(list(packets))

    def close(self, code: int, reason: str) -> None:  # noqa: ARG002 - the channel's signature
        """Remember the code."""
        self.closed = code

    def abort(self) -> None:
        """Remember that."""
        self.aborted = True

    def frames(self, kind: str | None = None) -> list[dict[str, Any]]:
        """All frames so far, decoded, of one type if it is given."""
        texts = [json.loads(packet.text) for write in self.writes for packet in write]
        return [frame for frame in texts if kind in (None, frame["type"])]

    def positions(self) -> list[int]:
        """The events so far."""
        return [e["position"] for frame in self.frames("events") for e in frame["events"]]


class House:
    """A log, a hub on it, clocks that stand still until moved."""

    def __init__(self, log: EventLog, limits: Limits) -> None:
        self.now = 0.0
        self.time_us = 1_000_000
        self.log = log
        self.floors: dict[tuple[str, str], Standing] = {}
        self.hub = Hub(
            log, boot="boot1", limits=limits, clock=lambda: self.time_us,
            monotonic=lambda: self.now, rand=lambda: 0.5,
        )  # fmt: skip
        log.on_commit = self.hub.committed

    def hello(self, cursor: Cursor | None = None) -> Hello:
        """What a client says first."""
        return Hello("ana", "laptop", cursor)

    def channel(self) -> FakeChannel:
        """A socket."""
        return FakeChannel()

    async def connect(
        self,
        user: str = "ana",
        *,
        device: str = "laptop",
        inboxes: frozenset[str] = A,
        cursor: Cursor | None = None,
        window: Window | None = None,
        expires_at_us: int | None = None,
        channel: FakeChannel | None = None,
    ) -> tuple[Connection, FakeChannel]:
        """A client says hello and is let in."""
        channel = channel or FakeChannel()

        def admit(token: str) -> Grant:
            if token == "bad":
                raise Refused(CloseCode.UNAUTHORIZED, "the token is not valid")
            return Grant(token, inboxes, token, expires_at_us)

        async def floor(user: str, device: str) -> Standing | None:
            return self.floors.get((user, device))

        hello = Hello(user, device, cursor, window)
        opening = await self.hub.prepare(hello, admit=admit, ack_floor=floor)
        return self.hub.open(opening, channel, "127.0.0.1"), channel

    async def append(self, *numbers: int, inbox: str = "a", text: str = "hello") -> list[Receipt]:
        """Messages, in one commit."""
        return await self.log.append([message(number, inbox, text) for number in numbers])

    async def recorded(self, type_: str) -> list[dict[str, Any]]:
        """The data of all events of one type."""
        events = await self.log.read(0, 10_000)
        return [json.loads(event.data or b"null") for event in events if event.type == type_]


@asynccontextmanager
async def house(folder: Path, limits: Limits | None = None, **log: Any) -> AsyncIterator[House]:
    """Open, run, and close it all."""
    opened = await EventLog.open(folder / "data", limits=evolve(LogLimits(), **log))
    it = House(opened, limits or Limits())
    task = asyncio.create_task(it.hub.run())
    try:
        yield it
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await opened.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition; 10 s are an error."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the condition is somebody else's
            await asyncio.sleep(0.001)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    """Run an async test."""

    async def bounded() -> None:
        async with asyncio.timeout(60):
            await scenario()

    asyncio.run(bounded())


def _more_than(channel: FakeChannel, frames: int) -> bool:
    return len(channel.frames("events")) > frames


def ack(frame: dict[str, Any]) -> bytes:
    """The client handled this frame."""
    return json.dumps({"type": "ack", "cursor": frame["cursor"]}).encode()


# --- delivery ----------------------------------------------------------------------------------


def test_the_events_of_one_commit_travel_in_one_frame_and_one_write(tmp_path: Path) -> None:
    """And two sessions at the same cursor get the very same packet."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            _, one = await it.connect("ana")
            _, two = await it.connect("rui")
            await it.append(0)  # from here on both stand at the same cursor
            one.writes.clear()
            two.writes.clear()
            await it.append(1, 2, 3)
            assert [len(write) for write in one.writes] == [1]
            assert len(one.frames("events")[0]["events"]) == 3
            assert one.writes[0][0] is two.writes[0][0]

    run(scenario)


def test_only_sessions_of_the_touched_inbox_hear_of_a_commit(tmp_path: Path) -> None:
    """Others are not written to, and their cursors do not move."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            connection, other = await it.connect("ana", inboxes=B)
            before = connection.session.last_sent
            writes = len(other.writes)
            await it.append(1, inbox="a")
            assert (len(other.writes), connection.session.last_sent) == (writes, before)

    run(scenario)


def test_acks_and_connections_wake_nobody(tmp_path: Path) -> None:
    """Their events are in the log, and nobody's socket moves for them."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            _, one = await it.connect("ana")
            connection, two = await it.connect("rui")
            await it.append(1)
            writes = len(one.writes)
            connection.received(ack(two.frames("events")[0]))
            async with asyncio.timeout(10):
                while not await it.recorded("delivery.acknowledged"):  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0)
            assert len(one.writes) == writes

    run(scenario)


def test_a_quiet_session_does_not_read_past_what_others_received(tmp_path: Path) -> None:
    """After far more foreign events than the tail holds, its next event still needs no disk."""

    async def scenario() -> None:
        async with house(tmp_path, tail_events_max=10) as it:
            _, channel = await it.connect("ana", inboxes=A)
            for number in range(5):
                await it.append(*range(number * 10, number * 10 + 10), inbox="b")
            await it.append(100, inbox="a")
            assert channel.positions() == [it.log.head.position]

    run(scenario)


def test_a_slow_socket_is_skipped_and_reads_on_when_it_drains(tmp_path: Path) -> None:
    """Nothing is kept for it meanwhile: it is an old cursor."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            connection, channel = await it.connect()
            channel.writable = False
            await it.append(1)
            await it.append(2)
            assert channel.positions() == []
            channel.writable = True
            connection.drained()
            assert len(channel.frames("events")) == 1
            assert len(channel.positions()) == 2

    run(scenario)


def test_a_full_window_waits_for_the_ack(tmp_path: Path) -> None:
    """At the limit the server just stops reading for that session."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            connection, channel = await it.connect(window=Window(2, 10_000))
            await it.append(1, 2, 3)
            assert len(channel.positions()) == 2
            connection.received(ack(channel.frames("events")[0]))
            assert len(channel.positions()) == 3

    run(scenario)


def test_catching_up_from_the_disk_gives_every_event_once_and_then_live(tmp_path: Path) -> None:
    """While commits go on; pages join without a seam (G7)."""

    async def scenario() -> None:
        async with house(tmp_path, tail_events_max=20) as it:
            start = it.log.cursor
            await it.append(*range(150))
            await it.append(*range(1000, 1003), inbox="b")
            connection, channel = await it.connect(cursor=start)
            assert channel.frames("welcome")[0]["resume"]["pending"] == 150
            acked = 0
            for number in range(200, 230):
                await it.append(number)
                for frame in channel.frames("events")[acked:]:
                    connection.received(ack(frame))
                    acked += 1
            for number in range(acked, 1000):
                if len(channel.positions()) == 180:
                    break
                await until(partial(_more_than, channel, number))
                connection.received(ack(channel.frames("events")[number]))
            events = await it.log.read(start.position, 1000, streams=["inbox:a"])
            assert channel.positions() == [event.position for event in events]
            afters = [frame["after"] for frame in channel.frames("events")]
            cursors = [frame["cursor"] for frame in channel.frames("events")]
            assert afters == [str(start), *cursors[:-1]]
            assert len(channel.frames("live")) == 1

    run(scenario)


def test_that_nothing_was_there_is_forgotten_at_the_next_commit(tmp_path: Path) -> None:
    """Two clients come with the same old cursor; for the second one there is something."""

    async def scenario() -> None:
        async with house(tmp_path) as before:
            await before.append(1, 2, inbox="b")
        async with house(tmp_path) as it:
            start = await it.log.cursor_at(0)
            _, first = await it.connect("ana", cursor=start)
            assert [frame["type"] for frame in first.frames()] == ["welcome", "live"]
            await it.append(3, inbox="a")
            _, second = await it.connect("rui", cursor=start)
            assert first.positions() == second.positions() != []

    run(scenario)


def test_a_client_far_behind_with_nothing_to_see_becomes_live(tmp_path: Path) -> None:
    """The disk says that there is nothing; what comes after it is delivered."""

    async def scenario() -> None:
        async with house(tmp_path) as before:
            await before.append(*range(20), inbox="b")
        async with house(tmp_path, tail_events_max=5) as it:
            start = await it.log.cursor_at(0)
            connection, channel = await it.connect(cursor=start)
            assert not channel.frames("live")
            await until(lambda: bool(channel.frames("live")))
            await it.append(1, inbox="a")
            assert channel.positions() == [connection.session.last_sent.position]

    run(scenario)


def test_a_herd_at_one_cursor_costs_one_read(tmp_path: Path) -> None:
    """A restart brings everybody back at once; they share the pages from the disk."""

    async def scenario() -> None:
        async with house(tmp_path, tail_events_max=5) as it:
            start = it.log.cursor
            await it.append(*range(50))
            reads = 0
            read_visible = it.log.read_visible

            async def counted(*args: Any, **kwargs: Any) -> Any:
                nonlocal reads
                reads += 1
                return await read_visible(*args, **kwargs)

            it.log.read_visible = counted  # type: ignore[method-assign]  # to count
            clients = [await it.connect(f"user{n}", cursor=start) for n in range(20)]
            await until(lambda: all(len(channel.positions()) == 50 for _, channel in clients))
            assert reads <= 2

    run(scenario)


def test_a_page_stays_under_64_kib_unless_one_event_is_larger(tmp_path: Path) -> None:
    """Clients may bound what they take in one frame."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            _, channel = await it.connect()
            channel.writes.clear()
            await it.append(1, 2, 3, text="x" * 30_000)
            assert [len(frame["events"]) for frame in channel.frames("events")] == [2, 1]
            assert len(channel.writes) == 1
            await it.append(4, text="x" * 100_000)
            assert len(channel.positions()) == 4

    run(scenario)


# --- resuming ----------------------------------------------------------------------------------


async def _resume(it: House, cursor: Cursor | None, device: str = "laptop") -> dict[str, Any]:
    _, channel = await it.connect(cursor=cursor, device=device)
    resume: dict[str, Any] = channel.frames("welcome")[0]["resume"]
    resets = channel.frames("reset")
    assert bool(resets) == (resume["outcome"] == "reset")
    return resume


def test_a_cursor_is_taken_or_refused_by_name(tmp_path: Path) -> None:
    """The table of G9: resumed, fresh, and three resets, each from where it says."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            first = (await it.append(1))[0]
            await it.append(2, 3)
            here = Cursor.at(it.log.epoch, first.position, first.hash)
            head = it.log.head.position
            resumed = await _resume(it, here)
            assert (resumed["outcome"], resumed["cursor"]) == ("resumed", str(here))
            assert resumed["pending"] == 2
            cases = {
                "ahead_of_log": Cursor(it.log.epoch, head + 10_000, here.hash8),
                "history_differs": Cursor(it.log.epoch, here.position, "00000000"),
                "epoch_changed": Cursor("another", here.position, here.hash8),
            }
            for reason, asked in cases.items():
                resume = await _resume(it, asked)
                assert (resume["outcome"], resume["reason"]) == ("reset", reason)
                assert Cursor.parse(resume["cursor"]).position >= head
            both = Cursor("another", here.position, "00000000")
            assert (await _resume(it, both))["reason"] == "history_differs"
            beyond = Cursor("another", head + 10_000, "00000000")
            assert (await _resume(it, beyond))["reason"] == "ahead_of_log"

    run(scenario)


def test_a_device_without_cursor_goes_on_at_its_ack_floor(tmp_path: Path) -> None:
    """And one never seen starts now: it loads the conversations instead of all history."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            receipts = await it.append(1, 2)
            fresh = await _resume(it, None)
            assert (fresh["outcome"], fresh["pending"]) == ("fresh", 0)
            it.floors["ana", "phone"] = Standing(receipts[0].position, receipts[0].position)
            known = await _resume(it, None, "phone")
            assert (known["outcome"], known["pending"]) == ("resumed", 1)

    run(scenario)


@pytest.mark.parametrize("device", ["", "a/b", "x\ny", "x" * 101, "é"])
def test_a_device_that_cannot_name_a_stream_is_refused(tmp_path: Path, device: str) -> None:
    """`client:<user>/<device>` must stay unambiguous, also in the chain's header."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            with pytest.raises(FrameError):
                await it.connect(device=device)

    run(scenario)


def test_a_second_connection_of_a_device_replaces_the_first(tmp_path: Path) -> None:
    """4409 to the old one; the new one is untouched when the old socket is lost."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            old, old_channel = await it.connect()
            new, channel = await it.connect()
            assert old_channel.closed == CloseCode.REPLACED
            assert old_channel.frames()[-1]["type"] == "bye"
            old.lost(1006, "gone")
            assert list(it.hub.connections) == [new]
            await it.append(1)
            assert len(channel.positions()) == 1
            assert old_channel.positions() == []

    run(scenario)


def test_a_full_house_refuses_with_1013(tmp_path: Path) -> None:
    """The bound on connections is the hub's, not the machine's."""

    async def scenario() -> None:
        async with house(tmp_path, Limits(doors=Doors(total=1))) as it:
            await it.connect("ana")
            with pytest.raises(Refused) as refused:
                await it.connect("rui")
            assert refused.value.code == CloseCode.OVERLOADED

    run(scenario)


# --- who may see what --------------------------------------------------------------------------


@pytest.mark.parametrize("now", [A, AB | {"c"}, frozenset[str]()])
def test_a_session_whose_inboxes_change_ends_and_the_next_one_is_given_the_others(
    tmp_path: Path, now: frozenset[str]
) -> None:
    """4411: its client comes back with its cursor; meanwhile nothing is sent for either (G21)."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            connection, channel = await it.connect(inboxes=AB)
            channel.writable = False
            await it.append(1, inbox="a")
            await it.append(2, inbox="b")
            await it.append(3, inbox="c")
            it.hub.regrant(lambda grant: evolve(grant, inboxes=now))
            assert channel.closed == CloseCode.ACCESS_CHANGED
            channel.writable = True
            connection.drained()
            assert channel.positions() == []
            assert channel.frames("bye")[0]["retry_after_ms"] is None
            start = connection.session.last_sent
            _, again = await it.connect(inboxes=now, cursor=start)
            events = [event for frame in again.frames("events") for event in frame["events"]]
            assert [event["inbox"] for event in events] == sorted(now)

    run(scenario)


def test_a_grant_of_the_same_inboxes_ends_no_session(tmp_path: Path) -> None:
    """Another's membership, or one's own new role, is none of its business."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            connection, channel = await it.connect(inboxes=AB)
            it.hub.regrant(lambda grant: evolve(grant, expires_at_us=9))
            assert channel.closed is None
            assert connection.grant.expires_at_us == 9
            await it.append(1, inbox="b")
            assert len(channel.positions()) == 1

    run(scenario)


def test_a_refused_grant_ends_the_session_with_its_code(tmp_path: Path) -> None:
    """4503: do not come back."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            _, ana = await it.connect("ana")
            _, rui = await it.connect("rui")

            def judge(grant: Grant) -> Grant:
                if grant.user == "ana":
                    raise Refused(CloseCode.REVOKED, "access was withdrawn")
                return grant

            it.hub.regrant(judge)
            assert (ana.closed, rui.closed) == (CloseCode.REVOKED, None)

    run(scenario)


def test_a_token_ends_when_it_expires_unless_renewed(tmp_path: Path) -> None:
    """4501 at the next tick; a newer token of the same user prolongs it, another's does not."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            connection, channel = await it.connect(expires_at_us=5_000_000)
            for token in ("bad", "rui"):
                connection.received(json.dumps({"type": "refresh", "token": token}).encode())
            assert [frame["problem"]["status"] for frame in channel.frames("error")] == [401, 401]
            it.time_us = 4_999_999
            it.hub.tick()
            assert channel.closed is None
            connection.grant = evolve(connection.grant, expires_at_us=9_000_000)
            it.time_us = 5_000_000
            it.hub.tick()
            assert channel.closed is None
            it.time_us = 9_000_000
            it.hub.tick()
            assert channel.closed == CloseCode.UNAUTHORIZED

    run(scenario)


@pytest.mark.parametrize("inboxes", [A, AB])
def test_a_refreshed_token_brings_its_own_end_and_inboxes(
    tmp_path: Path, inboxes: frozenset[str]
) -> None:
    """Renewed in-band, without a new connection, unless it is good for other inboxes."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            grants = {
                "old": Grant("ana", A, "t1", 5_000_000),
                "new": Grant("ana", inboxes, "t2", None),
            }

            async def floor(_user: str, _device: str) -> None:
                return None

            channel = FakeChannel()
            opening = await it.hub.prepare(
                Hello("old", "laptop"), admit=grants.__getitem__, ack_floor=floor
            )
            connection = it.hub.open(opening, channel, None)
            (welcome,) = channel.frames("welcome")
            assert welcome["expires_in_ms"] == 4_000
            connection.received(b'{"type":"refresh","token":"new"}')
            assert channel.frames("refreshed") == [{"type": "refreshed", "expires_in_ms": None}]
            it.time_us = 6_000_000
            it.hub.tick()
            assert channel.closed == (None if inboxes == A else CloseCode.ACCESS_CHANGED)
            await it.append(1)
            assert len(channel.positions()) == (inboxes == A)

    run(scenario)


def test_a_grant_withdrawn_while_the_disk_is_read_lets_nobody_in(tmp_path: Path) -> None:
    """The token is judged again after the last wait of the opening."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            calls = 0

            def admit(_token: str) -> Grant:
                nonlocal calls
                calls += 1
                if calls > 1:
                    raise Refused(CloseCode.REVOKED, "access was withdrawn")
                return Grant("ana", A, "t", None)

            async def floor(_user: str, _device: str) -> None:
                return None

            with pytest.raises(Refused):
                await it.hub.prepare(Hello("t", "laptop"), admit=admit, ack_floor=floor)

    run(scenario)


def test_an_opening_whose_inboxes_change_meanwhile_is_prepared_again(tmp_path: Path) -> None:
    """What it counted was of other inboxes than its session would be given."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            await it.append(1, inbox="b")
            last = (await it.append(2, inbox="a"))[-1].position
            answers = [A, AB]

            def admit(_token: str) -> Grant:
                return Grant("ana", answers.pop(0) if answers[1:] else AB, "t", None)

            async def floor(_user: str, _device: str) -> Standing:
                return Standing(0, 0)

            hello = Hello("t", "laptop", await it.log.cursor_at(last))
            opening = await it.hub.prepare(hello, admit=admit, ack_floor=floor)
            assert (opening.grant.inboxes, opening.passed) == (AB, 2)

    run(scenario)


# --- catching up under another grant -----------------------------------------------------------


def _withdrawn(_grant: Grant) -> Grant:
    raise Refused(CloseCode.REVOKED, "access was withdrawn")


def test_a_revocation_stops_a_replay_even_while_the_disk_is_read(tmp_path: Path) -> None:
    """What was read for the session before is not sent after (G21)."""

    async def scenario() -> None:
        async with house(tmp_path, tail_events_max=5) as it:
            start = it.log.cursor
            await it.append(*range(100))
            read_visible = it.log.read_visible

            async def revoked_meanwhile(*args: Any, **kwargs: Any) -> Any:
                page = await read_visible(*args, **kwargs)
                it.hub.regrant(_withdrawn)
                return page

            it.log.read_visible = revoked_meanwhile  # type: ignore[method-assign]  # in between
            _, channel = await it.connect(cursor=start)
            await until(lambda: channel.closed is not None)
            await until(lambda: not it.hub._for_disk)
            assert (channel.closed, channel.positions()) == (CloseCode.REVOKED, [])

    run(scenario)


def test_an_inbox_lost_while_the_disk_is_read_is_not_replayed(tmp_path: Path) -> None:
    """The page was read for the old inboxes, and their session is over."""

    async def scenario() -> None:
        async with house(tmp_path, tail_events_max=5) as it:
            start = it.log.cursor
            for number in range(0, 60, 2):
                await it.append(number, inbox="a")
                await it.append(number + 1, inbox="b")
            read_visible = it.log.read_visible

            async def lost_meanwhile(*args: Any, **kwargs: Any) -> Any:
                page = await read_visible(*args, **kwargs)
                it.hub.regrant(lambda grant: evolve(grant, inboxes=A))
                return page

            it.log.read_visible = lost_meanwhile  # type: ignore[method-assign]  # in between
            _, channel = await it.connect(inboxes=AB, cursor=start)
            await until(lambda: channel.closed is not None)
            await until(lambda: not it.hub._for_disk)
            assert (channel.closed, channel.positions()) == (CloseCode.ACCESS_CHANGED, [])

    run(scenario)


@pytest.mark.parametrize("refreshed", [False, True])
def test_a_token_that_expires_during_a_replay_ends_it_unless_renewed(
    tmp_path: Path, refreshed: bool
) -> None:
    """Between two pages; renewed in band it goes on to the end."""

    async def scenario() -> None:
        async with house(tmp_path, tail_events_max=5) as it:
            start = it.log.cursor
            await it.append(*range(30))
            connection, channel = await it.connect(
                cursor=start, window=Window(10, 10_000), expires_at_us=5_000_000
            )
            await until(lambda: len(channel.positions()) == 10)
            if refreshed:
                connection._admit = lambda _token: Grant("ana", A, "newer", None)
                connection.received(b'{"type":"refresh","token":"newer"}')
            it.time_us = 5_000_000
            it.hub.tick()
            connection.received(ack(channel.frames("events")[-1]))
            if refreshed:
                await until(lambda: len(channel.positions()) == 20)
                assert channel.closed is None
            else:
                assert (channel.closed, len(channel.positions())) == (CloseCode.UNAUTHORIZED, 10)

    run(scenario)


# --- acks that do not come ---------------------------------------------------------------------


def test_what_is_not_acknowledged_is_read_and_sent_again(tmp_path: Path) -> None:
    """Out of the log, from the ack floor, with what came meanwhile, once a ping was answered."""

    async def scenario() -> None:
        async with house(tmp_path, Limits(window=Window(2, 10_000))) as it:
            connection, channel = await it.connect()
            first = (await it.append(1))[0].position
            second, last = [receipt.position for receipt in await it.append(2, 3)]
            await it.append(4, inbox="b")
            it.now = 10.0
            it.hub.tick()
            assert channel.positions() == [first, second]
            [ping] = channel.frames("ping")
            connection.received(json.dumps({"type": "pong", "id": ping["id"]}).encode())
            it.hub.tick()
            assert channel.positions() == [first, second, first, second]
            again = channel.frames("events")[-1]
            assert (again["attempt"], again["after"]) == (2, channel.frames("events")[0]["after"])
            connection.received(ack(again))
            assert channel.positions()[-1] == last

    run(scenario)


def test_what_is_sent_again_may_have_to_come_from_the_disk(tmp_path: Path) -> None:
    """The tail has moved on; that nothing lay beyond for this session is forgotten."""

    async def scenario() -> None:
        async with house(tmp_path, tail_events_max=5) as it:
            connection, channel = await it.connect()
            await it.append(1, 2)
            await it.append(*range(10, 30), inbox="b")
            it.now = 10.0
            it.hub.tick()
            connection.received(b'{"type":"pong","id":1}')
            it.hub.tick()
            await until(lambda: len(channel.positions()) == 4)
            assert channel.positions()[:2] == channel.positions()[2:]

    run(scenario)


def test_a_client_that_acknowledges_nothing_is_told_so_in_the_end(tmp_path: Path) -> None:
    """A close with 4410 and not an abort: it is there, and it may reconnect."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            connection, channel = await it.connect()
            await it.append(*range(10))
            answered = 0
            while channel.closed is None and it.now < 3600:
                it.now += 1.0
                it.hub.tick()
                for ping in channel.frames("ping")[answered:]:
                    answered += 1
                    connection.received(json.dumps({"type": "pong", "id": ping["id"]}).encode())
            assert (channel.closed, channel.aborted) == (CloseCode.ACK_OVERDUE, False)
            assert channel.frames()[-1]["code"] == CloseCode.ACK_OVERDUE
            assert not it.hub.connections
            await it.hub.shutdown()
            assert len(await it.recorded("delivery.parked")) == 3
            assert {each["attempt"] for each in await it.recorded("delivery.retried")} == {
                2,
                3,
                4,
                5,
            }

    run(scenario)


# --- time and the end --------------------------------------------------------------------------


def test_a_half_open_peer_is_aborted_and_recorded(tmp_path: Path) -> None:
    """No pong twice: there is nobody to say bye to."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            _, channel = await it.connect()
            for it.now in (25.0, 35.0, 45.0):
                it.hub.tick()
            assert channel.aborted
            assert len(channel.frames("ping")) == 2
            await it.hub.shutdown()
            [end] = await it.recorded("client.disconnected")
            assert (end["code"], end["reason"]) == (4408, "no heartbeat")
            assert len(await it.recorded("heartbeat.missed")) == 2

    run(scenario)


def test_a_ping_names_the_newest_event_the_client_may_see(tmp_path: Path) -> None:
    """Not the log's head: positions of other inboxes would look like a gap."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            _, channel = await it.connect(inboxes=A)
            await it.append(1, inbox="a")
            newest = await it.log.cursor_at(await it.log.visible_head(A))
            await it.append(2, inbox="b")
            it.now = 25.0
            it.hub.tick()
            assert channel.frames("ping")[0]["cursor"] == str(newest)

    run(scenario)


def test_a_session_is_recorded_from_beginning_to_end(tmp_path: Path) -> None:
    """Connected, acknowledged and disconnected, with one session id, in its device's stream."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            connection, channel = await it.connect()
            await it.append(1, 2)
            connection.received(ack(channel.frames("events")[0]))
            connection.lost(1001, "tab closed")
            await it.hub.shutdown()
            events = await it.log.read(0, 100, streams=["client:ana/laptop"])
            assert [event.type for event in events] == [
                "client.connected",
                "delivery.acknowledged",
                "client.disconnected",
            ]
            data = [json.loads(event.data or b"") for event in events]
            assert len({each["session"] for each in data}) == 1
            assert data[1]["count"] == 2

    run(scenario)


def test_shutdown_sends_everybody_away_with_1012_and_lets_nobody_in(tmp_path: Path) -> None:
    """With a jittered time to come back, and recorded."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            _, channel = await it.connect()
            await it.hub.shutdown()
            [bye] = channel.frames("bye")
            assert (bye["code"], bye["retry_after_ms"], channel.closed) == (1012, 2500, 1012)
            assert len(await it.recorded("client.disconnected")) == 1
            with pytest.raises(Refused):
                await it.connect("rui")

    run(scenario)


def test_a_herd_is_sent_away_in_batches_and_each_at_its_own_time(tmp_path: Path) -> None:
    """Everybody gets 1012, all is recorded, and other tasks have their turn in between."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            clients = [await it.connect(f"user{number}") for number in range(250)]
            closing = asyncio.create_task(it.hub.shutdown())
            await asyncio.sleep(0)
            assert len(it.hub.connections) == 150, "the first batch is gone, the loop goes on"
            await closing
            assert {channel.closed for _, channel in clients} == {CloseCode.RESTART}
            assert len(await it.recorded("client.disconnected")) == 250

    run(scenario)


def test_a_bad_frame_closes_with_its_code(tmp_path: Path) -> None:
    """4400 for nonsense, 1007 for bytes that are no text."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            for raw, code in ((b"{", 4400), (b'{"type":"ack"}', 4400), (b'"\xff"', 1007)):
                connection, channel = await it.connect()
                connection.received(raw)
                assert (channel.closed, channel.frames()[-1]["code"]) == (code, code)

    run(scenario)


def test_one_broken_session_does_not_keep_the_others_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is dropped, and resumes by its cursor."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            broken, channel = await it.connect("ana")
            _, other = await it.connect("rui")

            def fail(_packets: Sequence[Packet]) -> None:
                raise RuntimeError("a bug")

            monkeypatch.setattr(channel, "send", fail)
            await it.append(1)
            assert channel.aborted
            assert broken not in it.hub.connections
            assert len(other.positions()) == 1

    run(scenario)


def test_waiting_beyond_a_position_ends_with_the_next_event_of_the_inbox(tmp_path: Path) -> None:
    """At once if it is there already; never for another inbox."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            position = (await it.append(1, inbox="a"))[0].position
            await it.hub.wait_beyond(position - 1, A)
            waiting = asyncio.create_task(it.hub.wait_beyond(position, A))
            anything = asyncio.create_task(it.hub.wait_beyond(position))
            await it.append(2, inbox="b")
            await anything
            assert not waiting.done()
            await it.append(3, inbox="a")
            await waiting

    run(scenario)


# --- records -----------------------------------------------------------------------------------


class FlakyLog:
    """A log whose appends fail, some of them after they were stored."""

    def __init__(self, log: EventLog, failures: list[bool]) -> None:
        self._log = log
        self._failures = failures  # whether the append was stored all the same
        self.head = log.head
        self.read = log.read

    async def append(self, drafts: Sequence[Draft], *, from_reserve: bool = False) -> list[Receipt]:
        """Store, or not, and fail as often as told."""
        assert from_reserve, "a full disk must not keep anybody from connecting"
        if not self._failures:
            return await self._log.append(drafts)
        if self._failures.pop(0):
            await self._log.append(drafts)
        raise LogUnavailable("the disk said no", retry_after_s=0.001)


@pytest.mark.parametrize("failures", [[], [False], [True], [False, False, True], [True, True]])
def test_a_range_is_recorded_once_whatever_a_failed_append_did(
    tmp_path: Path, failures: list[bool]
) -> None:
    """An error means unknown (G3): counted twice it would break the ledger."""

    async def scenario() -> None:
        async with house(tmp_path) as it:
            recorder = Recorder(FlakyLog(it.log, failures))  # type: ignore[arg-type]  # a double
            task = asyncio.create_task(recorder.run())
            recorder.record("client:ana/laptop", DeliveryAcknowledged("s1", 0, 5, 5))
            await recorder.flush(10)
            task.cancel()
            assert len(await it.recorded("delivery.acknowledged")) == 1

    run(scenario)


def test_a_full_outbox_merges_ranges_and_leaves_out_heartbeats() -> None:
    """Bounded while the log is away, and every acknowledged event is still counted."""
    outbox = Outbox(3)
    for number in range(10):
        for session in ("s1", "s2"):
            outbox.add("client:x/y", DeliveryAcknowledged(session, number, number + 1, 1))
            outbox.add("client:x/y", HeartbeatAnswered(session, 1.0))
    assert outbox.full
    drafts = outbox.take()
    assert len(drafts) <= 4
    for session in ("s1", "s2"):
        ranges = [
            draft.event
            for draft in drafts
            if isinstance(draft.event, DeliveryAcknowledged) and draft.event.session == session
        ]
        assert sum(each.count for each in ranges) == 10
        assert ranges[-1].until == 10


def test_a_range_beyond_a_parked_event_is_not_merged_into_one_before_it() -> None:
    """It does not count that event; recorded first, it would settle what was not parked yet."""
    outbox = Outbox(1)
    events = [
        DeliveryAcknowledged("s", 0, 1, 1), DeliveryParked("s", 2, "bad"),
        DeliveryAcknowledged("s", 1, 3, 1), DeliveryAcknowledged("s", 3, 4, 1),
    ]  # fmt: skip
    for event in events:
        outbox.add("client:x/y", event)
    merged = DeliveryAcknowledged("s", 1, 4, 2)
    assert [draft.event for draft in outbox.take()] == [*events[:2], merged]
