"""A JSON value from a stranger, and where it stands.

An authentic payload may still hold anything anywhere. What a message cannot do without is asked for
with a plain name and raises :class:`Malformed`; what it can do without is asked for with ``maybe_``
and is None where it is absent or of another type: the raw webhook has it still.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from attrs import frozen

_DECIMAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)
_YEAR_10000_S = 253_402_300_800


class Malformed(Exception):
    """A part of the payload lacks something essential; ``path`` is the JSON path to it."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


@frozen
class Node:
    """A parsed JSON value and its JSON path."""

    value: Any
    path: str = "$"

    def get(self, key: str) -> Any:
        """The raw member, None where it is absent. Raises :class:`Malformed` on a non-object."""
        if not isinstance(self.value, dict):
            raise Malformed(self.path, "not an object")
        return self.value.get(key)

    def member(self, key: str) -> Node:
        """The member, whatever it is."""
        return Node(self.get(key), f"{self.path}.{key}")

    def child(self, key: str) -> Node:
        """The member that must be an object."""
        node = self.member(key)
        if not isinstance(node.value, dict):
            raise Malformed(node.path, "not an object")
        return node

    def elements(self) -> Iterator[Node]:
        """The elements of this list, none of an absent one."""
        if not isinstance(self.value, list | None):
            raise Malformed(self.path, "not a list")
        for index, each in enumerate(self.value or ()):
            yield Node(each, f"{self.path}[{index}]")

    def text(self, key: str) -> str:
        """The member that must be a string and not empty."""
        value = self.get(key)
        if not isinstance(value, str) or not value:
            raise Malformed(f"{self.path}.{key}", "no text")
        return value

    def number(self, key: str) -> float:
        """The member that must be a number, or its decimal digits in a string."""
        value = self.maybe_number(key)
        if value is None:
            raise Malformed(f"{self.path}.{key}", "no number")
        return value

    def maybe_child(self, key: str) -> Node:
        """The member where it is an object, else an empty object."""
        value = self.get(key)
        return Node(value if isinstance(value, dict) else {}, f"{self.path}.{key}")

    def maybe_each(self, key: str) -> list[Node]:
        """The objects among the elements of the member, nothing where it is no list."""
        member = self.member(key)
        if not isinstance(member.value, list):
            return []
        return [each for each in member.elements() if isinstance(each.value, dict)]

    def maybe_text(self, key: str) -> str | None:
        """The member where it is a string and not empty."""
        value = self.get(key)
        return value if isinstance(value, str) and value else None

    def maybe_number(self, key: str) -> float | None:
        """The member where it is a number, or its decimal digits in a string."""
        value = self.get(key)
        if isinstance(value, str) and _DECIMAL.fullmatch(value):
            return float(value)
        # A bool is an int to Python, but not to JSON.
        return float(value) if type(value) in (int, float) else None

    def maybe_int(self, key: str) -> int | None:
        """The member where it is an integer."""
        value = self.get(key)
        return value if type(value) is int else None

    def maybe_time(self, key: str) -> datetime | None:
        """The member as seconds since the Unix epoch, an integer or its digits in a string."""
        value = self.get(key)
        if isinstance(value, str) and _SECONDS.fullmatch(value):
            value = int(value)
        if type(value) is int and 0 <= value < _YEAR_10000_S:
            return datetime.fromtimestamp(value, UTC)
        return None

    def flag(self, key: str) -> bool:
        """Whether the member is ``true``."""
        return self.get(key) is True
