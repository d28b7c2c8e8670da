"""What a projection is: tables, a version, a pure function from event to statement, and queries.

``evolve`` gives at most one statement an event: the name of a *step* of the projection, and values.
A step is SQL in the projection's schema and may touch several tables. It is the body of a trigger
on the view ``<name>_fold``, so that many statements go in as one INSERT. Python's sqlite3 gives the
GIL away at every row, and beside a busy event loop takes up to 5 ms to have it back: with
``executemany`` a page of 1,000 took seconds there, and this takes milliseconds. (Taking the values
out of JSON instead cost SQLite more than all the rest of what it does for a message in memory.)

Everything a projection creates is called after it (``messages``, ``messages_edit``), which is how
what an older version left behind is found and dropped. Tables hold integers and text, no floats:
digests are to be equal on any machine. They carry no triggers, and can be copied.
"""
# ruff: noqa: S608 - SQL is put together from constants of these files; values are always bound

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
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

POSITION_MAX = 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(time: datetime) -> Microseconds:
    """A datetime as µs since the Unix epoch, exactly: through float it would lose digits."""
    return Microseconds((time - _EPOCH) // timedelta(microseconds=1))


Values: TypeAlias = Mapping[str, SqlValue]


class Statement(NamedTuple):
    """One step of a projection, and values for some of its columns; the others are NULL."""

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


@frozen
class Projection:
    """Events to rows.

    ``tables`` is SQL that makes the tables, indexes and views. ``steps`` gives each step's SQL, in
    which a statement's values are ``new.<column>``, of ``columns``. ``types`` are the event types
    ``evolve`` wants to see; the others are not even decoded. A change of any of it is a new
    ``version``: rows of another version are dropped and folded again.
    """

    name: str
    version: int
    types: frozenset[str]
    tables: str
    columns: tuple[str, ...]
    steps: Mapping[str, str]
    evolve: Evolve

    @property
    def schema(self) -> str:
        """All of its SQL: the tables, and the view that takes statements."""
        columns = ", ".join(f"NULL AS {column}" for column in ("step", *self.columns))
        view = f"CREATE VIEW {self.name}_fold AS SELECT {columns};"
        triggers = (
            f"CREATE TRIGGER {self.name}_fold_{step} INSTEAD OF INSERT ON {self.name}_fold"
            f" WHEN new.step = '{step}' BEGIN {body} END;"
            for step, body in self.steps.items()
        )
        return "\n".join((self.tables, view, *triggers))

    def inserts(self, statements: Sequence[Statement]) -> Iterator[tuple[str, list[SqlValue]]]:
        """What takes these statements in their order: a few INSERTs, and their parameters."""
        width = 1 + len(self.columns)
        for start in range(0, len(statements), ROWS_MAX):
            part = statements[start : start + ROWS_MAX]
            values: list[SqlValue] = []
            for step, of in part:
                values.append(step)
                values += map(of.get, self.columns)
            # Few lengths, so that SQLite finds the INSERT prepared; a row without a step is none.
            rows = 1 << (len(part) - 1).bit_length()
            values += [None] * (rows * width - len(values))
            yield _insert(self.name, width, rows), values


@cache
def _insert(name: str, width: int, rows: int) -> str:
    row = f"({', '.join('?' * width)})"
    return f"INSERT INTO {name}_fold VALUES {', '.join([row] * rows)}"


@frozen
class Query(Generic[T_co]):
    """A question: SQL, its parameters, how a row becomes an answer, whose tables it reads."""

    sql: str
    parameters: Values
    row: Callable[..., T_co]
    reads: tuple[str, ...]


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
