"""The projector keeps up with the log, survives what happens to its file, and says where it is."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import attrs
import pytest

from eventstore.draft import Draft
from eventstore.events import (
    ConversationRead,
    InboxCreated,
    MemberAdded,
    MessageReceived,
    MessageStatusChanged,
    RecordedEvent,
)
from eventstore.log import EventLog
from projections import PROJECTIONS, lanes, projector, store
from projections.access import Access
from projections.conversations import list_conversations
from projections.messages import list_messages
from projections.projection import Projection
from projections.projector import PositionUnknown, ProjectionsBehind, Projector
from tests.projections.history import Fact, Log, said, system, told

A = frozenset({"a"})


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """One scenario on a loop of its own, which must not take for ever."""
    asyncio.run(asyncio.wait_for(scenario, 30))


def history(length: int = 30) -> list[Fact]:
    """Messages, statuses and reads in a few conversations."""
    facts = [system(InboxCreated("a", "whatsapp")), system(MemberAdded("ann", "member", ("a",)))]
    for number in range(length):
        place = f"c{number % 4}"
        facts.append(said(place, f"m{number}", direction=("inbound", "outbound")[number % 2]))
        facts.append(told(place, MessageStatusChanged(f"m{number}", "read")))
        if number % 5 == 0:
            facts.append(told(place, ConversationRead(number, "ann")))
    return facts


@asynccontextmanager
async def opened(path: Path, log: Any, **options: Any) -> AsyncIterator[Projector]:
    """A projector that is closed whatever happens."""
    it = await Projector.open(path, log, **options)
    try:
        yield it
    finally:
        await it.close()


@asynccontextmanager
async def running(path: Path, log: Any, **options: Any) -> AsyncIterator[Projector]:
    """A projector whose fold runs."""
    async with opened(path, log, **options) as it:
        task = asyncio.create_task(it.run())
        try:
            yield it
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def until(condition: Callable[[], object]) -> None:
    """Wait for something another task or thread does; the scenario has a time limit."""
    while not condition():  # noqa: ASYNC110 - what changes is a plain attribute, maybe in a thread
        await asyncio.sleep(0.001)


async def digests_of(path: Path, log: Any) -> dict[str, str]:
    """The digests of a fresh fold of a log."""
    async with opened(path.with_name("fresh.db"), log) as fresh:
        return await fresh.digests()


# --- with the real log -------------------------------------------------------------------------


def drafts(facts: Sequence[Fact]) -> list[Draft]:
    """Facts as the log takes them."""
    return [Draft(stream, event, conversation) for stream, event, conversation in facts]


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[tuple[EventLog, Projector]]:
    """The real log, whose commits wake a running projector."""
    log = await EventLog.open(folder)
    try:
        async with running(folder / "projections.db", log) as it:
            log.on_commit = lambda _: it.wake()
            yield log, it
    finally:
        await log.close()


def test_what_is_appended_can_be_read_once_waited_for(tmp_path: Path) -> None:
    """Read your own writes: rows, access, and the cursor at which they stand."""

    async def scenario() -> None:
        async with house(tmp_path / "data") as (log, it):
            receipts = await log.append(drafts(history()))
            await it.wait_for(receipts[-1].position)
            answer = await it.fetch(list_conversations(A))
            assert len(answer.rows) == 4
            assert answer.cursor == log.cursor
            assert it.access.inboxes_of("ann") == A

    run(scenario())


def test_a_snapshot_and_the_events_after_it_are_the_later_snapshot(tmp_path: Path) -> None:
    """G10: every answer taken during writes is exactly the fold up to its own cursor."""

    async def scenario() -> None:
        async with house(tmp_path / "data") as (log, it):
            answers = []

            async def write() -> None:
                for number, fact in enumerate(history(40)):
                    await log.append(drafts([fact]))
                    if number % 4 == 0:  # or all of it is one fold
                        await it.wait_for(log.head.position)

            writing = asyncio.create_task(write())
            while not writing.done():
                answers.append(await it.fetch(list_conversations(A)))
            await it.wait_for(log.head.position)
            answers.append(await it.fetch(list_conversations(A)))
            assert len({answer.cursor for answer in answers}) > 3
            for answer in answers[:: max(1, len(answers) // 15)] + answers[-1:]:
                again = await it.fetch_as_of(answer.cursor.position, list_conversations(A))
                assert again == answer

    run(scenario())


def test_as_of_answers_the_same_before_and_after_a_rebuild_and_a_restart(tmp_path: Path) -> None:
    """G14, at every position of a history, from nothing to all of it."""

    async def scenario() -> None:
        folder, asked = tmp_path / "data", (0, 1, 2, 7, 20, 40)
        query = list_messages(A, "c1")
        async with house(folder) as (log, it):
            await log.append(drafts(history()))
            before = [await it.fetch_as_of(position, query) for position in asked]
            await it.rebuild()
            assert [await it.fetch_as_of(position, query) for position in asked] == before
        (folder / "projections.db").unlink()
        async with house(folder) as (log, it):
            assert [await it.fetch_as_of(position, query) for position in asked] == before
            assert [answer.cursor.position for answer in before] == list(asked)
            with pytest.raises(PositionUnknown):
                await it.fetch_as_of(log.head.position + 1, query)

    run(scenario())


def test_a_rebuild_while_events_come_in_gives_the_live_digests(tmp_path: Path) -> None:
    """Live = rebuilt, and reading goes on meanwhile."""

    async def scenario() -> None:
        async with house(tmp_path / "data") as (log, it):
            await log.append(drafts(history()))

            async def write() -> None:
                for fact in history(30):
                    await log.append(drafts([fact]))

            writing = asyncio.create_task(write())
            rebuilt = await it.rebuild(["messages", "conversations"])
            assert set(rebuilt) == {"messages", "conversations"}
            await writing
            await it.wait_for(log.head.position)
            live = await it.digests()
            assert await it.rebuild() == live == await it.digests()
            with pytest.raises(KeyError):
                await it.rebuild(["nonsense"])
        assert not list((tmp_path / "data").glob("*.rebuild*"))

    run(scenario())


def test_a_rebuild_puts_right_what_was_wrong_in_the_rows(tmp_path: Path) -> None:
    """Of the projections asked for; the others' rows are left as they are."""

    async def scenario() -> None:
        path, log = tmp_path / "p.db", Log(*history())
        async with opened(path, log) as it:
            whole = await it.digests()
            it._store._db.execute("UPDATE messages SET preview = 'never said'")
            it._store._db.execute("UPDATE conversations SET unread = 77")
            assert (await it.rebuild(["messages"])) == {"messages": whole["messages"]}
            found = await it.digests()
            assert {name for name in whole if found[name] != whole[name]} == {"conversations"}
            await it.rebuild()
            assert await it.digests() == whole

    run(scenario())


# --- what can happen to the file ---------------------------------------------------------------


def test_the_fold_goes_on_where_it_was(tmp_path: Path) -> None:
    """A restart reads nothing of the log that is already in the rows."""

    async def scenario() -> None:
        log, asked = Log(*history()), []
        async with opened(tmp_path / "p.db", log) as first:
            assert first.position == log.head.position
        log.add(*history(5))
        read = log.read

        async def watched(after: int, *rest: Any, **named: Any) -> list[RecordedEvent]:
            asked.append(after)
            return await read(after, *rest, **named)

        log.read = watched  # type: ignore[method-assign]  # watches the double
        async with opened(tmp_path / "p.db", log) as again:
            assert min(asked) == first.position
            assert await again.digests() == await digests_of(tmp_path / "p.db", log)

    run(scenario())


@pytest.mark.parametrize("damage", ["deleted", "emptied", "header", "middle", "text"])
def test_a_deleted_or_damaged_file_is_folded_anew(tmp_path: Path, damage: str) -> None:
    """It is only derived: never a reason not to start, nor to answer wrongly."""

    async def scenario() -> None:
        path, log = tmp_path / "p.db", Log(*history(200))
        async with opened(path, log) as first:
            whole = await first.digests()
        content = path.read_bytes()
        match damage:
            case "deleted":
                path.unlink()
            case "emptied":
                path.write_bytes(b"")
            case "header":
                path.write_bytes(b"x" * 4096 + content[4096:])
            case "middle":
                path.write_bytes(content[:8192] + bytes(range(256)) * 64 + content[24576:])
            case "text":
                path.write_text("no database at all\n" * 100)
        async with opened(path, log) as again:
            assert await again.digests() == whole
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    run(scenario())


def test_a_file_that_is_damaged_while_in_use_is_folded_anew(tmp_path: Path) -> None:
    """The fold notices, makes another file, and answers from it."""

    async def scenario() -> None:
        path, log = tmp_path / "p.db", Log(*history(200))
        async with running(path, log) as it:
            whole = await it.digests()
            failing = FailingStore(it, store.StoreDamaged("a page is not what it was"))
            log.add(said("c9", "new"))
            it.wake()
            await until(lambda: failing.failed and it.position == log.head.position)
            await until(lambda: it.trouble is None)
            assert (await it.fetch(list_conversations(A))).rows[0].id == "c9"
            assert await it.digests() == await digests_of(path, log) != whole

    run(scenario())


def test_a_question_that_finds_the_file_damaged_has_it_folded_anew(tmp_path: Path) -> None:
    """It is told that there is no answer just now, and the next one has its answer."""

    async def scenario() -> None:
        path, log = tmp_path / "p.db", Log(*history())
        async with running(path, log) as it:
            await until(lambda: it.position == log.head.position)
            before = it._store
            with pytest.MonkeyPatch.context() as reading:
                reading.setattr(lanes, "fetch", _finds_damage)
                with pytest.raises(ProjectionsBehind):
                    await it.fetch(list_conversations(A))
            await until(lambda: it._store is not before and it._now.is_open)
            assert len((await it.fetch(list_conversations(A))).rows) == 4

    run(scenario())


def _finds_damage(*_: Any) -> Any:
    raise store.StoreDamaged("a page is not what it was")


def test_a_damaged_file_that_cannot_be_replaced_yet_is_tried_again(tmp_path: Path) -> None:
    """The fold never ends by an exception, not even by one while it mends."""

    async def scenario() -> None:
        path, log, failures = tmp_path / "p.db", Log(*history()), []

        def full(_: Path) -> None:
            failures.append(1)
            raise OSError("no space left")

        async with running(path, log) as it:
            await until(lambda: it.position == log.head.position)
            with pytest.MonkeyPatch.context() as disk:
                disk.setattr(projector, "discard", full)
                FailingStore(it, store.StoreDamaged("a page is not what it was"))
                log.add(said("c9", "new"))
                it.wake()
                await until(lambda: len(failures) > 3)
                assert isinstance(it.trouble, OSError)
            await until(lambda: it.trouble is None)
            await it.wait_for(log.head.position)

    run(scenario())


def test_a_new_version_is_folded_again_from_the_start_and_only_it(tmp_path: Path) -> None:
    """Rows of another version are no rows; progress is told with the projection's name."""

    async def scenario() -> None:
        path, log, told_ = tmp_path / "p.db", Log(*history(1_200)), []
        async with opened(path, log):
            pass
        newer = [changed(it, version=99) if it.name == "messages" else it for it in PROJECTIONS]
        async with opened(
            path, log, projections=newer, on_progress=lambda *step: told_.append(step)
        ) as it:
            assert (await it.digests())["access"]
        head = log.head.position
        assert told_ == [("messages", at, head) for at in (1_000, 2_000, head)]

    run(scenario())


def test_a_projection_that_is_no_more_leaves_nothing_behind(tmp_path: Path) -> None:
    """Its tables, views and checkpoint go with it."""

    async def scenario() -> None:
        path, log = tmp_path / "p.db", Log(*history())
        async with opened(path, log):
            pass
        async with opened(path, log, projections=PROJECTIONS[2:]):
            pass
        db = sqlite3.connect(path)
        names = {name for (name,) in db.execute("SELECT tbl_name FROM sqlite_master")}
        db.close()
        assert not {name for name in names if name.startswith(("messages", "conversations"))}

    run(scenario())


@pytest.mark.parametrize("epoch", ["epoch", "another"])
def test_rows_of_another_history_are_not_believed(tmp_path: Path, epoch: str) -> None:
    """A log that was restored has another epoch, or another hash where the rows stand."""

    async def scenario() -> None:
        path, other = tmp_path / "p.db", Log(*history(9), epoch=epoch)
        async with opened(path, Log(*history(30))):
            pass
        async with opened(path, other) as it:
            assert it.position == other.head.position
            assert await it.digests() == await digests_of(path, other)

    run(scenario())


# --- trouble -----------------------------------------------------------------------------------


class FailingStore:
    """Lets a projector's next fold fail once, after its rows and before its commit."""

    def __init__(self, it: Projector, error: Exception) -> None:
        self.failed = False
        self._error = error
        self._db = it._store._db
        it._store._db = self  # type: ignore[assignment]  # the double stands before the connection

    def execute(self, sql: str, *parameters: Any) -> Any:
        """Like the connection, but for one COMMIT."""
        if sql == "COMMIT" and not self.failed:
            self.failed = True
            raise self._error
        return self._db.execute(sql, *parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projector, "RETRY_PAUSE_S", 0)


def changed(projection: Projection, **fields: Any) -> Projection:
    """A projection with other fields."""
    return attrs.evolve(projection, **fields)


def test_rows_and_checkpoint_are_one_transaction(tmp_path: Path) -> None:
    """A fold that fails before its commit leaves neither, and is simply done again."""

    async def scenario() -> None:
        path, log = tmp_path / "p.db", Log(*history())
        async with running(path, log) as it:
            before = await it.digests()
            full = sqlite3.OperationalError("database or disk is full")
            failing = FailingStore(it, full)
            log.add(*history(7))
            with pytest.MonkeyPatch.context() as slow:
                slow.setattr(projector, "RETRY_PAUSE_S", 3600)
                it.wake()
                await until(lambda: it.trouble is full)
                assert failing.failed
                assert await it.digests() == before
                with pytest.raises(ProjectionsBehind):
                    await it.wait_for(log.head.position)
        async with opened(path, log) as again:
            assert await again.digests() == await digests_of(path, log)

    run(scenario())


def test_a_failing_log_is_trouble_that_passes(tmp_path: Path) -> None:
    """The fold tries again, and what was waited for arrives."""

    async def scenario() -> None:
        log = Log(*history())
        async with running(tmp_path / "p.db", log) as it:
            log.failure = OSError("no such disk")
            log.add(said("c1", "new"))
            it.wake()
            await until(lambda: it.trouble is log.failure)
            log.failure = None
            await until(lambda: it.trouble is None)
            await it.wait_for(log.head.position)

    run(scenario())


def test_an_event_of_a_newer_release_is_skipped_counted_and_folded_again_once_known(
    tmp_path: Path,
) -> None:
    """It must not keep a later revocation from being seen; nor be forgotten by the next release."""

    async def scenario() -> None:
        path, log = tmp_path / "p.db", Log(*history())
        log.add_raw("inbox:a", "message.starred", 1, b"{}", "c1")
        log.add_raw("inbox:a", MessageReceived.type, 99, b"{}", "c1")
        log.add_raw("inbox:a", MessageReceived.type, 1, b'{"no":"message"}', "c1")
        log.add(said("c9", "after"))
        async with opened(path, log) as it:
            assert it.skipped == 3
            assert it.position == log.head.position
            assert (await it.fetch(list_conversations(A))).rows[0].id == "c9"
        told_: list[str] = []
        async with opened(path, log, on_progress=lambda name, *_: told_.append(name)):
            assert told_ == []
        with pytest.MonkeyPatch.context() as newer:
            newer.setattr(store, "VOCABULARY", "another")
            async with opened(path, log, on_progress=lambda name, *_: told_.append(name)):
                assert set(told_) == {projection.name for projection in PROJECTIONS}

    run(scenario())


def test_access_is_told_before_anybody_hears_of_its_position(tmp_path: Path) -> None:
    """Whoever waited for a revocation finds it done."""

    async def scenario() -> None:
        log, order = Log(), []
        async with running(tmp_path / "p.db", log) as it:

            def on_access(access: Access) -> None:
                order.append((it.position, len(access.inboxes)))

            await until(lambda: it.trouble is None)
            it.on_access = on_access
            log.add(system(InboxCreated("a", "whatsapp")))
            it.wake()
            await it.wait_for(1)
            assert (0, 1) in order
            order.clear()
            log.add(said("c1", "1"))
            it.wake()
            await it.wait_for(2)
            assert order == []

    run(scenario())


def test_closing_wakes_those_who_wait(tmp_path: Path) -> None:
    """Nobody waits for a position that will not come."""

    async def scenario() -> None:
        async with opened(tmp_path / "p.db", Log()) as it:
            waiting = asyncio.create_task(it.wait_for(1))
            await asyncio.sleep(0)
        with pytest.raises(ProjectionsBehind):
            await waiting

    run(scenario())


def test_a_fold_that_is_cancelled_and_run_again_misses_and_repeats_nothing(tmp_path: Path) -> None:
    """The thread may finish a page that its task no longer waits for."""

    async def scenario() -> None:
        path, log = tmp_path / "p.db", Log()
        async with opened(path, log) as it:
            for fact in history(20):
                log.add(fact)
                task = asyncio.create_task(it.run())
                for _ in range(log.head.position % 7):
                    await asyncio.sleep(0)
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            task = asyncio.create_task(it.run())
            await it.wait_for(log.head.position)
            task.cancel()
            assert it.access.inboxes_of("ann") == A
            assert await it.digests() == await digests_of(path, log)

    run(scenario())
