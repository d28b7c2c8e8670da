"""A draft that could not be written is refused where it is made."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from eventstore.draft import KEY_BYTES, Draft, idempotency_key
from eventstore.events import ConversationRead

EVENT = ConversationRead(1, "ana")
_parts = st.lists(st.text(max_size=5), min_size=2, max_size=4)


@pytest.mark.parametrize("bad", ["", "a\nb", "a\0b", "\ud800", "x" * 201])
@pytest.mark.parametrize("field", ["stream", "conversation", "correlation_id"])
def test_envelope_fields_that_would_break_the_log_are_refused(field: str, bad: str) -> None:
    """Line feeds make the header ambiguous, surrogates and NULs do not survive SQLite."""
    changes: dict[str, Any] = {field: bad}
    with pytest.raises(ValueError, match="empty, too long"):
        evolve(Draft("inbox:a", EVENT), **changes)


def test_envelope_fields_may_hold_any_other_text() -> None:
    """Up to 200 characters, of any script."""
    Draft("inbox:é漢🙂", EVENT, "c" * 200, bytes(KEY_BYTES), "\t\r")


@pytest.mark.parametrize("size", [0, 15, 17])
def test_a_key_of_another_length_is_refused(size: int) -> None:
    """Keys are looked up side by side in one blob: each must have its sixteen bytes."""
    with pytest.raises(ValueError, match="16 bytes"):
        Draft("inbox:a", EVENT, key=bytes(size))


@given(_parts, _parts)
def test_keys_differ_when_any_part_differs(one: list[str], other: list[str]) -> None:
    """Security row 7: however the parts are cut, and across inboxes."""
    assert (idempotency_key(*one) == idempotency_key(*other)) == (one == other)


def test_a_key_may_come_from_hostile_text() -> None:
    """A provider's id with a lone surrogate has a key too."""
    assert len(idempotency_key("a", "m", "\ud800")) == KEY_BYTES
