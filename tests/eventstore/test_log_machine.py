"""The log against a plain list: appends, repeats, failing commits, reopening, backups (G1 to G4).

``MALOTE_EXAMPLES`` lowers or raises how many histories are tried, each of up to 50 steps.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
from collections.abc import Coroutine
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

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

T = TypeVar("T")
EXAMPLES = int(os.environ.get("MALOTE_EXAMPLES", "100"))
LIMITS = Limits(tail_events_max=3, recent_events_max=5, readers=1)
_SHM = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
_names = st.sampled_from("abcdef")
_texts = st.sampled_from(("one", "two", "três"))
_items = st.lists(st.one_of(st.tuples(_names, _texts), st.none()), min_size=1, max_size=4)


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
    """Any order of what can be asked of a log, and of what can befall it."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        where = _SHM if os.access(_SHM, os.W_OK) else None
        self.place = tempfile.TemporaryDirectory(prefix="malote-", dir=where)
        self.folder = Path(self.place.name) / "data"
        self.model = Model()
        self.copies: list[tuple[Path, Model, list[RecordedEvent]]] = []
        self.announced: list[RecordedEvent] = []
        self.numbers = count()
        self.now = 1_000
        self.fault: str | None = None
        machine = self

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:
                fault = machine.fault if "INSERT INTO appended" in sql else None
                if fault is not None:
                    machine.fault = None
                if fault == "before":
                    raise sqlite3.OperationalError("disk I/O error")
                done = super().execute(sql, *parameters)  # type: ignore[arg-type]  # as given
                if fault == "after":
                    raise sqlite3.OperationalError("disk I/O error")
                return done

        self.connection = Connection
        self.log = self._do(self._open())

    def _do(self, what: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(what)

    async def _open(self) -> EventLog:
        log = await EventLog.open(
            self.folder,
            clock=lambda: self.now,
            limits=LIMITS,
            connection_factory=self.connection,
        )
        log.on_commit = self.announced.extend
        return log

    async def _all(self, page: int) -> list[RecordedEvent]:
        events: list[RecordedEvent] = []
        while found := await self.log.read(len(events), page):
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
        stored = {event.position: event.hash for event in self._do(self._all(100))}
        assert [stored[each.position] for each in receipts] == [each.hash for each in receipts]

    @rule(items=_items, fault=st.sampled_from(("before", "after")))
    def append_to_a_failing_disk(self, items: list[tuple[str, str] | None], fault: str) -> None:
        """Nobody is told that it is there; it is there whole or not at all, and the log goes on."""

        async def scenario() -> None:
            with pytest.raises(LogUnavailable):
                await self.log.append([_draft(item) for item in items])
            async with asyncio.timeout(20):
                while not self.log.writable:  # noqa: ASYNC110  it tells nobody that it is well
                    await asyncio.sleep(0.001)

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

    @rule()
    def reopen(self) -> None:
        """A log reopened is the same log, with the same epoch."""
        epoch = self.log.epoch
        self._do(self.log.close())
        self.log = self._do(self._open())
        assert self.log.epoch == epoch

    @precondition(lambda self: len(self.copies) < 2)
    @rule()
    def back_up(self) -> None:
        """The copy holds all that was acknowledged."""
        target = Path(self.place.name) / f"copy-{next(self.numbers)}.db"
        assert self._do(self.log.backup(target)) == self.log.head
        self.copies.append((target, self.model.copy(), [*self.announced]))

    @precondition(lambda self: self.copies)
    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        """The log is what it was then, as another log: cursors of before do not fit (G9)."""
        copy, model, announced = data.draw(st.sampled_from(self.copies))
        epoch = self.log.epoch
        self._do(self.log.close())
        self._do(restore(copy, self.folder))
        self.log = self._do(self._open())
        assert self.log.epoch != epoch
        self.model = model.copy()
        self.announced[:] = announced

    @rule(page=st.integers(1, 7))
    def read(self, page: int) -> None:
        """In pages of any size: the list, in order, each event once, its time increasing."""
        events = self._do(self._all(page))
        assert [event.data for event in events] == self.model.data
        assert [event.position for event in events] == list(range(1, len(events) + 1))
        times = [event.recorded_at for event in events]
        assert times == sorted(set(times))

    @rule(after=st.integers(-2, 3))
    def find_by_time(self, after: int) -> None:
        """The last event at or before a time, whichever it is."""
        events = self._do(self._all(100))
        for event in events[-5:]:
            time_us = event.recorded_at + after
            expected = sum(each.recorded_at <= time_us for each in events)
            assert self._do(self.log.position_at(time_us)) == expected

    @rule(data=st.data())
    def find_a_cursor(self, data: st.DataObject) -> None:
        """Each position has its own; beyond the head there is none."""
        head = len(self.model.data)
        position = data.draw(st.integers(0, head + 2))
        found = self._do(self.log.cursor_at(position))
        assert (found is None) == (position > head)
        if found is not None and position:
            [event] = self._do(self.log.read(position - 1, 1))
            assert found == Cursor.at(self.log.epoch, position, event.hash)

    @invariant()
    def the_head_is_the_lists_end(self) -> None:
        """And all that was committed was announced, once and in order."""
        assert self.log.head.position == len(self.model.data)
        assert [event.data for event in self.announced] == self.model.data

    def teardown(self) -> None:
        """Close what is open."""
        self._do(self.log.close())
        self.runner.close()
        self.place.cleanup()


TestLogMachine = pytest.mark.timeout(900)(LogMachine.TestCase)
TestLogMachine.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
