"""Query parameters are read strictly."""

from __future__ import annotations

import pytest

from api.routes import query


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000001Z", 1),
        ("1970-01-01t01:00:00+01:00", 0),
        ("2026-11-22T14:02:11.123456Z", 1_795_356_131_123_456),
    ],
)
def test_a_time_is_exact_to_the_microsecond(text: str, expected: int) -> None:
    """No float is on the way."""
    assert query.time_us(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-11-22", "2026-11-22T10:00:00", "2026-13-01T00:00:00Z", "20261122T100000Z",
     "2026-02-30T00:00:00Z", "2026-11-22T24:61:00Z", "9999-12-31T23:59:59-23:59",
     "2026-11-22T10:00:00.1234567Z", "٢٠٢٦-11-22T10:00:00Z"],
)  # fmt: skip
def test_what_is_no_rfc_3339_time_is_refused(text: str) -> None:
    """With ValueError, whatever is wrong with it, or it is a time after all."""
    if text.startswith("9999"):
        assert query.time_us(text) > 0
        return
    with pytest.raises(ValueError, match=r"time"):
        query.time_us(text)


@pytest.mark.parametrize("text", ["", "-1", "01", "1.0", "1e3", "٣", "9" * 19, "9" * 400, " 1"])
def test_what_is_no_position_is_refused(text: str) -> None:
    """Only plain digits up to 2^63 - 1."""
    with pytest.raises(ValueError, match="position"):
        query.position(text)


@pytest.mark.parametrize("text", ["0", "1001", "-5", "x", "1" * 30])
def test_a_limit_out_of_bounds_is_refused(text: str) -> None:
    """Nobody gets a page without end."""
    with pytest.raises(ValueError, match="1 to 1000"):
        query.page_limit(1000)(text)
