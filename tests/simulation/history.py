"""The log of a world that is over, as its file has it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson
from attrs import define, frozen

from eventstore.codec import EVENT_TYPES
from eventstore.events import RecordedEvent


@frozen
class Row:
    """One event as stored."""

    position: int
    recorded_at: int
    stream: str
    type: str
    data: Mapping[str, Any]
    hash: bytes

    @property
    def recorded(self) -> RecordedEvent:
        """As the projections see it."""
        version, data = EVENT_TYPES[self.type].version, orjson.dumps(self.data)
        envelope = (self.position, self.recorded_at, self.stream, None, self.type, version)
        return RecordedEvent(*envelope, data, None, None, self.hash)

    @property
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
    def read(cls, file: Path, connect: Callable[..., sqlite3.Connection]) -> History:
        """From a file that nobody has open."""
        with closing(connect(file)) as db:
            rows = db.execute(
                "SELECT position, recorded_at, stream, type, data, hash FROM events ORDER BY 1"
            )
            events = [
                Row(position, recorded_at, stream, type_, orjson.loads(data), hash_)
                for position, recorded_at, stream, type_, data, hash_ in rows
            ]
            return cls(events, dict(db.execute("SELECT digest, position FROM keys")))

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
