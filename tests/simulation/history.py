"""The log of a world that is over, as its file has it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import orjson
from attrs import define, frozen

from eventstore.codec import EVENT_TYPES
from eventstore.events import RecordedEvent


@frozen(slots=False)
class Row:
    """One event as stored."""

    position: int
    recorded_at: int
    stream: str
    type: str
    json: bytes
    hash: bytes

    @cached_property
    def data(self) -> Mapping[str, Any]:
        """What the event says."""
        found: Mapping[str, Any] = orjson.loads(self.json)
        return found

    @property
    def recorded(self) -> RecordedEvent:
        """As the projections see it."""
        version = EVENT_TYPES[self.type].version
        envelope = (self.position, self.recorded_at, self.stream, None, self.type, version)
        return RecordedEvent(*envelope, self.json, None, None, self.hash)

    @cached_property
    def inbox(self) -> str | None:
        """The inbox whose members see it, None for what nobody is sent."""
        visible = self.stream.startswith("inbox:") and not self.type.startswith("webhook.")
        return self.stream.removeprefix("inbox:") if visible else None


@define(slots=False)
class History:
    """The whole log, and its keys."""

    rows: Sequence[Row]
    keys: Mapping[bytes, int]

    @classmethod
    def read(cls, file: sqlite3.Connection, known: Sequence[Row] = ()) -> History:
        """From the file as it is now; rows that were read before need not be read again."""
        rows = file.execute(
            "SELECT position, recorded_at, stream, type, data, hash FROM events"
            " WHERE position > ? ORDER BY 1",
            (len(known),),
        )
        events = [*known, *(Row(*row) for row in rows)]
        return cls(events, dict(file.execute("SELECT digest, position FROM keys")))

    @cached_property
    def granted(self) -> Mapping[str, frozenset[str]]:
        """The inboxes that each session was given."""
        return {
            str(row.data["session"]): frozenset(row.data["inboxes"])
            for row in self.rows
            if row.type == "client.connected"
        }

    def visible(self, after: int, until: int, inboxes: frozenset[str]) -> list[int]:
        """What a session of these inboxes may see in (after, until]."""
        return [row.position for row in self.rows[after:until] if row.inbox in inboxes]
