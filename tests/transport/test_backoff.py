from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transport.backoff import Backoff


@pytest.mark.parametrize(
    ("attempts", "ceiling_s"),
    [(0, 0.5), (1, 1.0), (2, 2.0), (5, 16.0), (6, 20.0), (7, 20.0), (1_000_000, 20.0)],
)
def test_the_ceiling_doubles_from_half_a_second_to_twenty(attempts: int, ceiling_s: float) -> None:
    """PROTOCOL's numbers, and no overflow however long a client was away."""
    assert Backoff().ceiling_s(attempts) == ceiling_s


@given(st.integers(0, 100), st.floats(0, 1, exclude_max=True))
def test_the_jitter_is_full(attempts: int, fraction: float) -> None:
    """A delay lies anywhere from nothing to the ceiling, so that clients spread over all of it."""
    backoff = Backoff()
    assert backoff.delay_s(attempts, fraction) == backoff.ceiling_s(attempts) * fraction
    assert 0 <= backoff.delay_s(attempts, fraction) <= 20.0


def test_base_and_cap_are_settings() -> None:
    """A test or a small device may be quicker or slower than the protocol's numbers."""
    backoff = Backoff(base_s=1.0, cap_s=3.0)
    assert [backoff.ceiling_s(attempts) for attempts in range(4)] == [1.0, 2.0, 3.0, 3.0]
