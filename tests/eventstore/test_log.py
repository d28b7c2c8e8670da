"""The log on a real disk: what was appended is what is read, in order, by any page and cursor."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventstore.chain import GENESIS
from eventstore.codec import encode
from eventstore.cursor import Cursor
from eventstore.draft import Draft, Receipt, idempotency_key
from eventstore.events import (
    Contact,
    ConversationRead,
    Generic,
    HeartbeatMissed,
    MessageReceived,
    RecordedEvent,
    WebhookReceived,
)
from eventstore.log import EventLog, Limits, LogUnavailable
from eventstore.tail import Visible

SUPPORT = frozenset({"support"})
SMALL_TAIL = Limits(tail_events_max=3)
FROM_DISK = Limits(recent_events_max=0)


@asynccontextmanager
async def _opened(
    folder: Path, limits: Limits = FROM_DISK, clock: Callable[[], int] = lambda: 1_000
) -> AsyncIterator[EventLog]:
    log = await EventLog.open(folder, limits=limits, clock=clock)
    try:
        yield log
    finally:
        await log.close()


def _message(name: str, inbox: str = "support", text: str = "hi") -> Draft:
    event = MessageReceived(name, Contact("c"), Generic("note", text))
    return Draft(f"inbox:{inbox}", event, "c_1", idempotency_key(inbox, "message", name))


def _heartbeat(missed: int = 1) -> Draft:
    return Draft("client:ana/phone", HeartbeatMissed("s", missed))


def _webhook() -> Draft:
    return Draft("inbox:support", WebhookReceived("standard", b"\xff\x00"))


async def _all(log: EventLog, page: int = 3) -> list[RecordedEvent]:
    events: list[RecordedEvent] = []
    while found := await log.read(events[-1].position if events else 0, page):
        events += found
    return events


def test_what_is_appended_is_read_back(tmp_path: Path) -> None:
    """Envelope and bytes come back as they were given, in any script and with any control."""

    async def scenario() -> None:
        odd = Draft('inbox:é\t\x01🙂"\\', ConversationRead(1, "ä\0"), "c\r", None, "r\x7f")
        async with _opened(tmp_path / "data") as log:
            receipts = await log.append([odd, Draft("system", ConversationRead(2, "b"), cause=0)])
            first, second = await log.read(0, 10)
        assert (first.stream, first.conversation, first.correlation_id) == (
            odd.stream, odd.conversation, odd.correlation_id,
        )  # fmt: skip
        assert first.data == encode(odd.event)
        assert (second.conversation, second.correlation_id, second.causation_id) == (None, None, 1)
        assert receipts == [Receipt(1, first.hash), Receipt(2, second.hash)]
        assert [first.recorded_at, second.recorded_at] == [1_000, 1_001]

    asyncio.run(scenario())


_draft = st.one_of(
    st.builds(
        _message, st.sampled_from("abcdef"), st.sampled_from(["support", "sales"]), st.text()
    ),
    st.builds(_heartbeat, st.integers(1, 5)),
    st.builds(_webhook),
)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(st.lists(_draft, min_size=1, max_size=4), max_size=6), max_size=4),
    st.integers(1, 7),
)
def test_a_log_reopened_is_the_same_log(rounds: list[list[list[Draft]]], page: int) -> None:
    """G2, G4: random appends with repeats, reopened in between, read in pages of any size."""

    async def scenario(folder: Path) -> None:
        announced: list[RecordedEvent] = []
        first: dict[bytes, Receipt] = {}
        for appends in rounds:
            async with _opened(folder, SMALL_TAIL) as log:
                assert log.writable
                log.on_commit = announced.extend
                answers = await asyncio.gather(*map(log.append, appends))
                for drafts, receipts in zip(appends, answers, strict=True):
                    _check_receipts(drafts, receipts, first)
        async with _opened(folder, SMALL_TAIL) as log:
            events = await _all(log, page)
            assert events == announced
            assert [event.position for event in events] == list(range(1, log.head.position + 1))
            visible = await log.read_visible(0, 1000, frozenset({"support", "sales"}))
            assert [v.position for v in visible] == [e.position for e in events if e.for_members]

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(scenario(Path(folder) / "data"))


def _check_receipts(
    drafts: Sequence[Draft], receipts: Sequence[Receipt], first: dict[bytes, Receipt]
) -> None:
    for draft, receipt in zip(drafts, receipts, strict=True):
        if draft.key is not None:
            known = first.setdefault(draft.key, receipt)
            assert (receipt.position, receipt.hash) == (known.position, known.hash)
            assert receipt.duplicate == (receipt is not known)


def test_two_copies_in_one_group_are_one_event(tmp_path: Path) -> None:
    """G2: fifty concurrent deliveries of one message give one event and fifty same receipts."""

    async def scenario() -> None:
        async with _opened(tmp_path) as log:
            answers = await asyncio.gather(*[log.append([_message("a")]) for _ in range(50)])
            assert log.head.position == 1
            assert {receipt.position for [receipt] in answers} == {1}
            assert [receipt.duplicate for [receipt] in answers].count(False) == 1

    asyncio.run(scenario())


def test_on_commit_comes_after_head_and_tail_and_before_the_receipts(tmp_path: Path) -> None:
    """The contract with the hub: what it is told is already readable, nobody was answered yet."""

    async def scenario() -> None:
        async with _opened(tmp_path) as log:
            seen: list[tuple[int, int, bool]] = []

            def committed(events: Sequence[RecordedEvent]) -> None:
                tail = log.tail.read(0, 10, SUPPORT, 1 << 20)
                assert tail is not None
                assert log.cursor == tail[-1].cursor
                seen.append((log.head.position, events[-1].position, appending.done()))

            log.on_commit = committed
            appending = asyncio.create_task(log.append([_message("a"), _message("b")]))
            await appending
            assert seen == [(2, 2, False)]

    asyncio.run(scenario())


def test_what_waits_is_one_group(tmp_path: Path) -> None:
    """Group commit: appends that wait together are announced together; a big one stays whole."""

    async def scenario() -> None:
        async with _opened(tmp_path, Limits(group_drafts_max=10)) as log:
            groups: list[int] = []
            log.on_commit = lambda events: groups.append(len(events))
            big = [_heartbeat() for _ in range(2500)]
            appends = [[_heartbeat()] * 4, [_heartbeat()] * 6, big, [_heartbeat()]]
            answers = await asyncio.gather(*map(log.append, appends))
            assert groups == [10, 2500, 1]
            assert [answer[0].position for answer in answers] == [1, 5, 11, 2511]

    asyncio.run(scenario())


def test_a_failing_announcement_fails_no_append(tmp_path: Path) -> None:
    """The event is durable, whatever its listener makes of it."""

    def broken(_events: Sequence[RecordedEvent]) -> None:
        raise RuntimeError

    async def scenario() -> None:
        async with _opened(tmp_path) as log:
            log.on_commit = broken
            await log.append([_message("a")])
            assert log.writable

    asyncio.run(scenario())


def test_a_cancelled_append_does_not_disturb_the_others(tmp_path: Path) -> None:
    """G3: it may be in the log or not; the queue goes on, and a repeat is safe."""

    async def scenario() -> None:
        async with _opened(tmp_path) as log:
            tasks = [asyncio.create_task(log.append([_message(name)])) for name in "abc"]
            await asyncio.sleep(0)
            tasks[1].cancel()
            await asyncio.gather(tasks[0], tasks[2])
            [receipt] = await log.append([_message("b")])
            assert log.head.position == 3
            assert receipt.duplicate

    asyncio.run(scenario())


def test_a_draft_that_cannot_be_stored_is_refused_to_its_caller_alone(tmp_path: Path) -> None:
    """Bad causes and data that is not JSON never reach a group."""

    async def scenario() -> None:
        bad_data = _message("a", text="\ud800")
        async with _opened(tmp_path) as log:
            good = asyncio.create_task(log.append([_message("b")]))
            with pytest.raises(TypeError):
                await log.append([bad_data])
            for cause in (0, 1, -1):
                with pytest.raises(ValueError, match="caused"):
                    await log.append([Draft("system", ConversationRead(1, "a"), cause=cause)])
            assert (await good)[0].position == log.head.position == 1
            assert await log.append([]) == []

    asyncio.run(scenario())


def test_the_waiting_queue_is_bounded(tmp_path: Path) -> None:
    """G18: past the bound an append is refused at once, and those that wait are not."""

    async def scenario() -> None:
        async with _opened(tmp_path, Limits(waiting_drafts_max=3)) as log:
            appends = [log.append([_message(str(n))]) for n in range(6)]
            answers = await asyncio.gather(*appends, return_exceptions=True)
            assert [isinstance(answer, LogUnavailable) for answer in answers] == [
                False, False, False, True, True, True,
            ]  # fmt: skip
            assert await log.append([_message("later"), *[_message("x")] * 9])

    asyncio.run(scenario())


def test_below_the_disk_reserve_nothing_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """G15: refused below the reserve, reading goes on, and it resumes by itself."""
    free = 10

    async def scenario() -> None:
        nonlocal free
        async with _opened(tmp_path, Limits(disk_reserve_bytes=100)) as log:
            monkeypatch.setattr("eventstore.log.free_bytes", lambda _folder: free)
            monkeypatch.setattr("eventstore.log._DISK_ASKED_EVERY_S", 0.0)
            with pytest.raises(LogUnavailable) as refused:
                await log.append([_message("a")])
            assert refused.value.retry_after_s <= 10
            assert log.disk_is_low
            assert await log.read(0, 10) == []
            free = 1000
            assert await log.append([_message("a")])
            assert not log.disk_is_low

    asyncio.run(scenario())


@pytest.mark.parametrize(("free", "taken"), [(99, True), (25, True), (24, False), (0, False)])
def test_what_keeps_the_rest_going_may_use_the_reserve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, taken: bool
) -> None:
    """Acks and connections: three quarters of it, so that the rest is left for checkpoints."""

    async def scenario() -> None:
        async with _opened(tmp_path, Limits(disk_reserve_bytes=100)) as log:
            monkeypatch.setattr("eventstore.log.free_bytes", lambda _folder: free)
            with nullcontext() if taken else pytest.raises(LogUnavailable):
                await log.append([_heartbeat()], from_reserve=True)
            with pytest.raises(LogUnavailable):
                await log.append([_message("a")])

    asyncio.run(scenario())


async def _filled(log: EventLog) -> list[RecordedEvent]:
    """A mixed log of 60 events in two inboxes, most of them not for members."""
    for n in range(12):
        await log.append([_message(f"m{n}"), _heartbeat(), _webhook(), _heartbeat()])
        await log.append([_message(f"s{n}", "sales")])
    return await _all(log)


def test_tail_and_disk_give_the_same_pages(tmp_path: Path) -> None:
    """A cache of the log, never a second truth: the same questions, both ways."""

    async def scenario() -> None:
        async with _opened(tmp_path / "a") as log:
            await _filled(log)
            backup = tmp_path / "copy.db"
            await log.backup(backup)
            big = await _questions(log)
            assert log.tail.since == 0
        async with _opened(tmp_path / "a", Limits(tail_events_max=1)) as log:
            small = await _questions(log)
            assert log.tail.since > 50
        assert big == small

    asyncio.run(scenario())


async def _questions(log: EventLog) -> list[object]:
    answers: list[object] = []
    for inboxes in (SUPPORT, frozenset({"sales"}), frozenset({"support", "sales", "none"})):
        answers.append(await log.visible_head(inboxes))
        for after in (0, 1, 7, 30, 59, 60, 99):
            answers.append(await log.count_visible(after, inboxes, most=7))
            answers += [
                await log.read_visible(after, limit, inboxes, bytes_max=bytes_max)
                for limit, bytes_max in ((1, 1), (5, 1 << 20), (100, 1 << 20))
            ]
    return answers


def test_nothing_is_visible_without_inboxes(tmp_path: Path) -> None:
    """G21: an empty set of inboxes sees nothing, on disk and in the tail."""

    async def scenario() -> None:
        for limits in (Limits(), Limits(tail_events_max=1)):
            async with _opened(tmp_path, limits) as log:
                await _filled(log)
                assert await log.read_visible(0, 10, frozenset()) == []
                assert await log.count_visible(0, frozenset(), most=9) == 0
                assert await log.visible_head(frozenset()) == 0

    asyncio.run(scenario())


def test_more_inboxes_than_sqlite_joins_are_read(tmp_path: Path) -> None:
    """A user may belong to a thousand inboxes; SQLite takes 500 SELECTs at a time."""

    async def scenario() -> None:
        async with _opened(tmp_path, Limits(tail_events_max=1)) as log:
            names = [f"i{n}" for n in range(1000)]
            await log.append([_message("a", name) for name in reversed(names)])
            page = await log.read_visible(0, 2000, frozenset(names))
            assert [entry.position for entry in page] == list(range(1, 1001))
            assert [e.position for e in await log.read_visible(5, 3, frozenset(names))] == [6, 7, 8]
            assert await log.count_visible(0, frozenset(names), most=900) == 900
            assert await log.visible_head(frozenset(names)) == 1000
            light = await log.read_visible(0, 50, frozenset(names), bytes_max=300)
            assert [entry.position for entry in light] == list(range(1, len(light) + 1))

    asyncio.run(scenario())


def test_pages_are_cut_by_weight_and_go_on(tmp_path: Path) -> None:
    """G18: a page of heavy events ends early; whoever reads on misses nothing."""

    async def scenario() -> None:
        async with _opened(tmp_path, Limits(tail_events_max=1)) as log:
            await log.append([_message(str(n), text="x" * 1000) for n in range(9)])
            sizes, after = [], 0
            page: list[Visible]
            while page := await log.read_visible(after, 10, SUPPORT, bytes_max=2500):
                sizes.append(len(page))
                after = page[-1].position
            assert sum(sizes) == 9
            assert max(sizes) <= 3

    asyncio.run(scenario())


def test_read_keeps_to_its_range_and_streams(tmp_path: Path) -> None:
    """``after`` is exclusive, ``until`` inclusive and never past the head; streams are exact."""

    async def scenario() -> None:
        async with _opened(tmp_path) as log:
            events = await _filled(log)
            assert await log.read(3, 4, until=5) == events[3:5]
            assert await log.read(58, 10, until=1000) == events[58:]
            assert await log.read(60, 10) == await log.read(0, 0) == []
            sales = await log.read(0, 100, streams=["inbox:sales"])
            assert sales == [event for event in events if event.stream == "inbox:sales"]
            assert await log.read(0, 100, streams=[]) == []

    asyncio.run(scenario())


def test_cursors_prove_the_history(tmp_path: Path) -> None:
    """G9: a cursor for every position up to the head, none beyond it, the first from GENESIS."""

    async def scenario() -> None:
        async with _opened(tmp_path) as log:
            assert log.cursor == await log.cursor_at(0) == Cursor.at(log.epoch, 0, GENESIS)
            for event in await _filled(log):
                expected = Cursor.at(log.epoch, event.position, event.hash)
                assert await log.cursor_at(event.position) == expected
            assert log.cursor == await log.cursor_at(60)
            assert await log.cursor_at(0) == Cursor.at(log.epoch, 0, GENESIS)
            assert await log.cursor_at(61) is await log.cursor_at(-1) is None

    asyncio.run(scenario())


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 60), max_size=12), st.lists(st.integers(-2, 80), max_size=12))
def test_a_time_finds_its_position(times: list[int], questions: list[int]) -> None:
    """Time is a seek: the last position at or before it, also when the clock jumped back."""

    async def scenario(folder: Path) -> None:
        clock = iter(times)
        async with _opened(folder, clock=lambda: next(clock)) as log:
            for _ in times:
                await log.append([_heartbeat()])
            events = await _all(log)
            for time_us in questions:
                expected = sum(event.recorded_at <= time_us for event in events)
                assert await log.position_at(time_us) == expected

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(scenario(Path(folder)))


def test_closing_writes_what_waits_and_then_refuses(tmp_path: Path) -> None:
    """G19: whoever waits at SIGTERM is answered; whoever comes later is told so."""

    async def scenario() -> None:
        log = await EventLog.open(tmp_path)
        waiting = [asyncio.create_task(log.append([_message(name)])) for name in "abc"]
        await asyncio.sleep(0)
        await log.close()
        assert [(await task)[0].position for task in waiting] == [1, 2, 3]
        with pytest.raises(LogUnavailable):
            await log.append([_message("d")])
        assert not log.writable
        assert not (tmp_path / "log.db-wal").exists()

    asyncio.run(scenario())
