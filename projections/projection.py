"""What a projection is: tables, a version, a pure function from event to statement, and queries.

``evolve`` gives at most one statement an event, so that the projector can run a thousand equal
ones in one call. Where a single event must touch several tables, the statement inserts into a view
whose INSTEAD OF trigger does the rest; tables themselves carry no triggers and can be copied.

Everything a projection creates is called after it (``messages``, ``messages_edit``), which is how
what an older version left behind is found and dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, NamedTuple, NewType, TypeAlias, TypeVar

import orjson
from attrs import frozen
from cattrs import Converter

from eventstore.codec import time_text
from eventstore.cursor import Cursor
from eventstore.events import Event, RecordedEvent

SqlValue: TypeAlias = str | int | float | bytes | None
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Microseconds = NewType("Microseconds", int)
"""A time, µs since the Unix epoch, UTC; RFC 3339 text once it is JSON."""

POSITION_MAX = 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(time: datetime) -> Microseconds:
    """A datetime as µs since the Unix epoch, exactly: through float it would lose digits."""
    return Microseconds((time - _EPOCH) // timedelta(microseconds=1))


class Statement(NamedTuple):
    """One SQL constant and its parameters (``?1``, ``?2`` …)."""

    sql: str
    parameters: tuple[SqlValue, ...]


Evolve: TypeAlias = Callable[[RecordedEvent, Event | None], Statement | None]
"""The fold of one event; the event is None where its data was redacted. Pure: the same arguments
give the same statement on any machine and at any time."""


@frozen
class Projection:
    """Events to rows.

    A change of ``schema`` or of what ``evolve`` says is a new ``version``: the rows of another
    version are dropped and folded again. ``types`` are the event types ``evolve`` wants to see;
    the others are not even decoded.
    """

    name: str
    version: int
    types: frozenset[str]
    schema: str
    evolve: Evolve


@frozen
class Query(Generic[T_co]):
    """A question: SQL, its parameters, how a row becomes an answer, whose tables it reads."""

    sql: str
    parameters: Mapping[str, SqlValue]
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
