"""What a projection is: tables, a version, a pure function from event to statement, and queries.

``evolve`` gives at most one statement an event: the name of a *step* of the projection, and values.
A step is SQL in the projection's schema and may touch several tables. It is the body of a trigger
on a view of its own, ``<name>_step_<step>``, so that many statements go in as one INSERT. Python's
sqlite3 gives the GIL away at every statement, and beside a busy event loop takes up to 5 ms to have
it back: with ``executemany`` a page of 1,000 took seconds there, and this takes milliseconds.
(Taking the values out of JSON instead cost SQLite more than all the rest of what it does for a
message in memory.)

Where steps alternate, rows go through one more view, ``<name>_fold``, that passes each on to its
step. That costs about 2 µs a row for each step there is, for SQLite asks every trigger; so whatever
comes in a few runs of one step, as messages do, goes straight in.

Everything a projection creates is called after it (``messages``, ``messages_edit``), which is how
what an older version left behind is found and dropped. Tables hold integers and text, no floats:
digests are to be equal on any machine. They carry no triggers, and can be copied.
"""
# ruff: noqa: S608 - SQL is put together from constants of these files; values are always bound

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from itertools import groupby
from operator import itemgetter
from typing import Any, Generic, NamedTuple, NewType, TypeAlias, TypeVar

import orjson
from attrs import frozen
from cattrs import Converter

from eventstore.codec import time_text
from eventstore.cursor import Cursor
from eventstore.events import Event, RecordedEvent

SqlValue: TypeAlias = str | int | None
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Microseconds = NewType("Microseconds", int)
"""A time, µs since the Unix epoch, UTC; RFC 3339 text once it is JSON."""

ROWS_MAX = 128
"""Rows of one INSERT; a power of two. SQLite takes 32,766 parameters, and our widest row has 25."""

RUNS_MAX = 4
"""Runs of one step among so many rows that still go in one by one."""

POSITION_MAX = 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(time: datetime) -> Microseconds:
    """A datetime as µs since the Unix epoch, exactly: through float it would lose digits."""
    return Microseconds((time - _EPOCH) // timedelta(microseconds=1))


Values: TypeAlias = Mapping[str, SqlValue]


class Statement(NamedTuple):
    """One step of a projection, and its values; those it takes and is not given are NULL."""

    step: str
    values: Values

    def without_nul(self) -> Statement:
        """With U+FFFD for each NUL, at which functions of SQLite end a text: two ids became one."""
        values = {
            column: value.replace("\0", "\ufffd") if isinstance(value, str) else value
            for column, value in self.values.items()
        }
        return Statement(self.step, values)


Evolve: TypeAlias = Callable[[RecordedEvent, Event | None], Statement | None]
"""The fold of one event; the event is None where its data was redacted. Pure: the same arguments
give the same statement on any machine and at any time."""


@frozen(slots=False)
class Projection:
    """Events to rows.

    ``tables`` is SQL that makes the tables, indexes and views. ``steps`` gives each step's SQL, in
    which a statement's values are ``new.<column>``. ``types`` are the event types ``evolve`` wants
    to see; the others are not even decoded. A change of any of it is a new
    ``version``: rows of another version are dropped and folded again.
    """

    name: str
    version: int
    types: frozenset[str]
    tables: str
    steps: Mapping[str, str]
    evolve: Evolve

    @cached_property
    def columns(self) -> Mapping[str, tuple[str, ...]]:
        """By step: the values that its SQL takes, in the order in which they are bound."""
        taken = {step: set(_TAKEN.findall(body)) for step, body in self.steps.items()}
        return {step: tuple(sorted(columns)) for step, columns in taken.items()}

    @cached_property
    def _all_columns(self) -> tuple[str, ...]:
        return "step", *sorted({each for columns in self.columns.values() for each in columns})

    @property
    def schema(self) -> str:
        """All of its SQL: the tables, a view for the values of each step, and one for any."""
        made = [self.tables, _view(f"{self.name}_fold", self._all_columns)]
        for step, body in self.steps.items():
            taker, columns = f"{self.name}_step_{step}", self.columns[step]
            values = ", ".join(f"new.{column}" for column in columns)
            made += (
                _view(taker, columns),
                _trigger(f"{taker}_row", taker, body),
                _trigger(
                    f"{self.name}_fold_{step}",
                    f"{self.name}_fold WHEN new.step = '{step}'",
                    f"INSERT INTO {taker} VALUES ({values});",
                ),
            )
        return "\n".join(made)

    def inserts(self, statements: Sequence[Statement]) -> Iterator[tuple[str, list[SqlValue]]]:
        """What takes these statements in their order: a few INSERTs, and their parameters."""
        for part in _parts(statements):
            runs = [list(run) for _, run in groupby(part, key=itemgetter(0))]
            if len(runs) > RUNS_MAX:
                marked = [{"step": step, **values} for step, values in part]
                yield _insert(f"{self.name}_fold", self._all_columns, marked)
                continue
            for run in runs:
                step = run[0].step
                for few in _parts(run):
                    rows = [values for _, values in few]
                    yield _insert(f"{self.name}_step_{step}", self.columns[step], rows)


_TAKEN = re.compile(r"\bnew\.(\w+)")


def _view(name: str, columns: Sequence[str]) -> str:
    return f"CREATE VIEW {name} AS SELECT {', '.join(f'NULL AS {each}' for each in columns)};"


def _trigger(name: str, on: str, body: str) -> str:
    return f"CREATE TRIGGER {name} INSTEAD OF INSERT ON {on} BEGIN {body} END;"


def _parts(statements: Sequence[Statement]) -> Iterator[Sequence[Statement]]:
    """In pieces of 128, 64, 32, ...: few lengths, so that SQLite finds the INSERT prepared."""
    start = 0
    while left := len(statements) - start:
        count = min(ROWS_MAX, 1 << (left.bit_length() - 1))
        yield statements[start : start + count]
        start += count


def _insert(
    view: str, columns: Sequence[str], rows: Sequence[Values]
) -> tuple[str, list[SqlValue]]:
    values: list[SqlValue] = []
    for row in rows:
        values += map(row.get, columns)
    return _insertion(view, len(columns), len(rows)), values


@cache
def _insertion(view: str, width: int, count: int) -> str:
    row = f"({', '.join('?' * width)})"
    return f"INSERT INTO {view} VALUES {', '.join([row] * count)}"


@frozen
class Query(Generic[T_co]):
    """A question: SQL, its parameters, how a row becomes an answer, whose tables it reads.

    ``past`` is SQL that gives from the same tables what ``sql`` gave when the last event was the
    one at position ``:as_of``, recorded at ``:as_of_us``. Where it is None, only folding the log up
    to there tells.
    """

    sql: str
    parameters: Values
    row: Callable[..., T_co]
    reads: tuple[str, ...]
    past: str | None = None

    def at(self, position: int, time_us: int) -> Query[T_co] | None:
        """The question as it is put to the rows of today about that position; None without one."""
        if self.past is None:
            return None
        moment: Values = {"as_of": position, "as_of_us": time_us}
        return Query(self.past, {**self.parameters, **moment}, self.row, self.reads)


@frozen
class Answer(Generic[T]):
    """The rows, and the cursor at which they stand: they hold every event up to it, none beyond."""

    rows: list[T]
    cursor: Cursor


def json_list(values: frozenset[str]) -> str:
    """A set as one SQL parameter, for ``IN (SELECT value FROM json_each(:inboxes))``."""
    return orjson.dumps(sorted(values)).decode()


def _make_converter() -> Converter:
    converter = Converter()
    converter.register_unstructure_hook_func(lambda kind: kind is Microseconds, time_text)
    return converter


_CONVERTER = _make_converter()


def to_json(row: Any) -> dict[str, Any]:
    """A row as JSON-ready values: times in RFC 3339, everything by the name it has in Python."""
    fields: dict[str, Any] = _CONVERTER.unstructure(row)
    return fields
