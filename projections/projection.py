"""What a projection is: tables, a version, a pure function from event to statement, and queries.

``evolve`` gives at most one statement an event: the name of a *step* of the projection, and values.
A step is SQL in the projection's schema and may touch several tables. It is the body of a trigger
on the view ``<name>_fold``, so that a whole page of statements goes in as one INSERT. Python's
sqlite3 gives the GIL away at every row, and beside a busy event loop takes up to 5 ms to have it
back: with ``executemany`` a page of 1,000 took seconds there, and this takes milliseconds.

Everything a projection creates is called after it (``messages``, ``messages_edit``), which is how
what an older version left behind is found and dropped. Tables hold integers and text, no floats:
digests are to be equal on any machine. They carry no triggers, and can be copied.
"""
# ruff: noqa: S608 - SQL is put together from constants of these files; values are always bound

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
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

    @property
    def fold_sql(self) -> str:
        """Takes statements, as :func:`encode_statements` gives them, in their order."""
        columns = ", ".join(f"value ->> '{column}'" for column in ("step", *self.columns))
        return f"INSERT INTO {self.name}_fold SELECT {columns} FROM json_each(?)"


def encode_statements(statements: Sequence[Statement]) -> str:
    """A page's statements as one parameter."""
    encoded = orjson.dumps([{"step": step, **values} for step, values in statements])
    if b"\\u0000" in encoded:
        # SQLite ends a JSON string at a NUL, so two ids could become one; U+FFFD keeps the rest.
        encoded = orjson.dumps(
            [{"step": step, **_without_nul(values)} for step, values in statements]
        )
    return encoded.decode()


def _without_nul(values: Values) -> Values:
    return {
        column: value.replace("\0", "\ufffd") if isinstance(value, str) else value
        for column, value in values.items()
    }


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
