"""The log against a plain list: appends, repeats, failing commits, reopening, backups (G1 to G4).

How many histories are tried is said in tests/machines.py.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Coroutine, Iterator
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import eventstore.connection
from eventstore.codec import encode
from eventstore.cursor import Cursor
from eventstore.draft import Draft, idempotency_key
from eventstore.events import (
    Contact,
    Generic,
    HeartbeatMissed,
    MessageReceived,
    RecordedEvent,
    WebhookDuplicated,
)
from eventstore.log import EventLog, Limits, LogUnavailable, restore
from tests.machines import sharded
from tests.simulation.disk import AtOnce, Driver, folder_in_memory
from tests.simulation.loop import VirtualLoop
from tests.simulation.process import Process

T = TypeVar("T")
LIMITS = Limits(tail_events_max=3, recent_events_max=5, readers=1)
OPENINGS_MAX = 3
_EMPTY: list[bytes] = []
"""The file of a log without events, once one was made in this process."""
_KEYED = tuple(product("abcdef", ("one", "two", "três")))
_items = st.lists(st.sampled_from((None,) * 6 + _KEYED), min_size=1, max_size=4)


@pytest.fixture(autouse=True, scope="module")
def _no_threads() -> Iterator[None]:
    """The log's connections live on the loop's thread: threads cost more than all the rest."""
    with mock.patch.object(eventstore.connection, "aiosqlite", Driver(AtOnce)):
        yield


def _draft(item: tuple[str, str] | None) -> Draft:
    if item is None:
        return Draft("client:ana/phone", HeartbeatMissed("s", 1))
    name, text = item
    event = MessageReceived(name, Contact("c"), Generic("note", text))
    return Draft("inbox:support", event, "c_1", idempotency_key("support", "message", name))


class Model:
    """What a log is: a list, what stands under each key, and which other contents were noted."""

    def __init__(self) -> None:
        self.data: list[bytes] = []
        self.first: dict[bytes, int] = {}
        self.noted: set[tuple[bytes, bytes]] = set()

    def copy(self) -> Model:
        """As it is now, to come back to."""
        other = Model()
        other.data, other.first, other.noted = [*self.data], dict(self.first), set(self.noted)
        return other

    def add(self, draft: Draft) -> tuple[int, bool]:
        """The position that is answered, and whether the key was known."""
        data = encode(draft.event)
        position = None if draft.key is None else self.first.get(draft.key)
        if draft.key is None or position is None:
            self.data.append(data)
            if draft.key is not None:
                self.first[draft.key] = len(self.data)
            return len(self.data), False
        if self.data[position - 1] != data and (draft.key, data) not in self.noted:
            self.noted.add((draft.key, data))
            self.data.append(encode(WebhookDuplicated(position)))
        return position, True


class LogMachine(RuleBasedStateMachine):
    """Any order of what can be asked of a log, and of what can befall it.

    Opening a file costs as much as twenty appends, so that a history does it no more than
    ``OPENINGS_MAX`` times.
    """

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop(None)
        self.loop.on_thread_work = lambda _, work: AtOnce().do(work)
        self.process = Process("log", self.loop)
        self.place = folder_in_memory()
        self.folder = Path(self.place.name) / "data"
        self.model = Model()
        self.copy: tuple[Path, Model, list[RecordedEvent]] | None = None
        self.announced: list[RecordedEvent] = []
        self.seen = 0
        self.openings = 0
        self.now = 1_000
        self.fault: str | None = None
        self.connection = self._failing_connection()
        self._furnish()
        self.log = self._do(self._open())

    def _furnish(self) -> None:
        """Begin with the tables: making them would be a tenth of a history, and always the same."""
        file = self.folder / "log.db"
        if not _EMPTY:
            self._do(self._do(self._open()).close())
            _EMPTY.append(file.read_bytes())
        self.folder.mkdir(mode=0o700, exist_ok=True)
        file.write_bytes(_EMPTY[0])
        self.openings = 0

    def _failing_connection(machine) -> type[sqlite3.Connection]:  # noqa: N805
        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
                fault = machine.fault if "INSERT INTO appended" in sql else None
                if fault is not None:
                    machine.fault = None
                if fault == "before":
                    raise sqlite3.OperationalError("disk I/O error")
                done = super().execute(sql, *parameters)
                if fault == "after":
                    raise sqlite3.OperationalError("disk I/O error")
                return done

        return Connection

    def _do(self, what: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(self.process.spawn(what))

    async def _open(self) -> EventLog:
        self.openings += 1
        log = await EventLog.open(
            self.folder,
            clock=lambda: self.now,
            limits=LIMITS,
            connection_factory=self.connection,
        )
        log.on_commit = self.announced.extend
        return log

    async def _reopen(self) -> None:
        await self.log.close()
        self.log = await self._open()

    async def _replace(self, copy: Path) -> None:
        await self.log.close()
        await restore(copy, self.folder)
        self.log = await self._open()

    async def _read(self, after: int, page: int) -> list[RecordedEvent]:
        events: list[RecordedEvent] = []
        while found := await self.log.read(after + len(events), page):
            events += found
        return events

    @rule(items=_items, step_us=st.integers(-5, 5))
    def append(self, items: list[tuple[str, str] | None], step_us: int) -> None:
        """New ones get the next positions, repeats the first one's; the clock may go back."""
        self.now += step_us
        drafts = [_draft(item) for item in items]
        receipts = self._do(self.log.append(drafts))
        expected = [self.model.add(draft) for draft in drafts]
        assert [(each.position, each.duplicate) for each in receipts] == expected
        hashes = [self.announced[each.position - 1].hash for each in receipts]
        assert hashes == [each.hash for each in receipts]

    @precondition(lambda self: self.openings < OPENINGS_MAX)
    @rule(items=_items, fault=st.sampled_from(("before", "after")))
    def append_to_a_failing_disk(self, items: list[tuple[str, str] | None], fault: str) -> None:
        """Nobody is told that it is there; it is there whole or not at all, and the log goes on."""

        async def scenario() -> None:
            with pytest.raises(LogUnavailable):
                await self.log.append([_draft(item) for item in items])
            async with asyncio.timeout(20):
                while not self.log.writable:  # noqa: ASYNC110  it tells nobody that it is well
                    await asyncio.sleep(0.001)

        self.openings += 1
        self.fault = fault
        before = len(self.model.data)
        tried = self.model.copy()
        for item in items:
            tried.add(_draft(item))
        if len(tried.data) == before:  # nothing to write: there is nothing that can fail
            self.fault = None
            return
        self._do(scenario())
        if fault == "after":
            self.model = tried

    @precondition(lambda self: self.openings < OPENINGS_MAX)
    @rule()
    def reopen(self) -> None:
        """A log reopened is the same log, with the same epoch."""
        epoch = self.log.epoch
        self._do(self._reopen())
        assert self.log.epoch == epoch

    @precondition(lambda self: self.copy is None)
    @rule()
    def back_up(self) -> None:
        """The copy holds all that was acknowledged."""
        target = Path(self.place.name) / "copy.db"
        assert self._do(self.log.backup(target)) == self.log.head
        self.copy = target, self.model.copy(), [*self.announced]

    @precondition(lambda self: self.copy is not None and self.openings < OPENINGS_MAX)
    @rule()
    def restore(self) -> None:
        """The log is what it was then, as another log: cursors of before do not fit (G9)."""
        assert self.copy is not None
        copy, model, announced = self.copy
        epoch = self.log.epoch
        self._do(self._replace(copy))
        assert self.log.epoch != epoch
        self.model = model.copy()
        self.announced[:] = announced
        self.seen = min(self.seen, len(announced))

    @rule(back=st.integers(0, 10), page=st.integers(1, 7))
    def read(self, back: int, page: int) -> None:
        """From anywhere, in pages of any size: what was announced, each event once, in order."""
        after = max(0, len(self.announced) - back)
        assert self._do(self._read(after, page)) == self.announced[after:]

    @rule(back=st.integers(0, 10), limit=st.integers(1, 7), mine=st.booleans())
    def read_as_a_member(self, back: int, limit: int, mine: bool) -> None:
        """The first so many after a position that are of their inboxes, and not for auditors."""
        after = max(0, len(self.announced) - back)
        inboxes = frozenset({"support"} if mine else {"sales"})
        found = self._do(self.log.read_visible(after, limit, inboxes))
        seen = [each.position for each in self.announced[after:] if mine and each.for_members]
        assert [each.position for each in found] == seen[:limit]

    @rule(back=st.integers(0, 5), beside=st.integers(-2, 3))
    def find_by_time(self, back: int, beside: int) -> None:
        """The last event at or before a time, whichever it is."""
        times = [event.recorded_at for event in self.announced]
        time_us = [0, *times][-1 - min(back, len(times))] + beside
        expected = sum(each <= time_us for each in times)
        assert self._do(self.log.position_at(time_us)) == expected

    @rule(beyond=st.integers(-12, 2))
    def find_a_cursor(self, beyond: int) -> None:
        """Each position has its own; beyond the head there is none."""
        position = max(0, len(self.model.data) + beyond)
        found = self._do(self.log.cursor_at(position))
        assert (found is None) == (beyond > 0)
        if found is not None and position:
            event = self.announced[position - 1]
            assert found == Cursor.at(self.log.epoch, position, event.hash)

    @invariant()
    def the_head_is_the_lists_end(self) -> None:
        """And all that was committed was announced, once and in order, its time increasing."""
        assert self.log.head.position == len(self.model.data) == len(self.announced)
        for index in range(self.seen, len(self.announced)):
            event = self.announced[index]
            assert (event.position, event.data) == (index + 1, self.model.data[index])
            assert not index or event.recorded_at > self.announced[index - 1].recorded_at
        self.seen = len(self.announced)

    def teardown(self) -> None:
        """What the file has is what was announced."""
        try:
            self._do(self.log.close())
            with closing(sqlite3.connect(self.folder / "log.db")) as db:
                rows = db.execute("SELECT position, data, hash FROM events ORDER BY position")
                stored = rows.fetchall()
            assert stored == [(each.position, each.data, each.hash) for each in self.announced]
        finally:
            self.loop.close()
            self.place.cleanup()


globals().update(sharded(LogMachine))
