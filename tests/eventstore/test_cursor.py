"""Cursors go round as opaque text; anything else is refused in one way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventstore.cursor import Cursor, CursorMalformed

_epochs = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)


@given(_epochs, st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_a_cursor_reads_back(epoch: str, position: int, chain_hash: bytes) -> None:
    """parse(str(c)) == c."""
    cursor = Cursor.at(epoch, position, chain_hash)
    assert Cursor.parse(str(cursor)) == cursor
    assert cursor.hash8 == chain_hash.hex()[:8]


@given(st.text() | st.from_regex(r"[a-z0-9]+\.-?[0-9]+\.[0-9a-f]{8}"))
def test_any_text_is_a_cursor_or_malformed(text: str) -> None:
    """Security row 26: no other exception, and only one spelling of a cursor."""
    try:
        cursor = Cursor.parse(text)
    except CursorMalformed:
        return
    assert str(cursor) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "e", "e.1", "e.1.abcdef0", "e.1.ABCDEF01", "e.01.abcdef01", "e.-1.abcdef01",
        "e.9223372036854775808.abcdef01", "e.1.abcdef01\n", "e.\u0661.abcdef01", "é.1.abcdef01",
    ],
)  # fmt: skip
def test_what_is_not_a_cursor_is_refused(text: str) -> None:
    """Leading zeros, other digits, other cases, line ends, numbers past 64 bits."""
    with pytest.raises(CursorMalformed):
        Cursor.parse(text)
