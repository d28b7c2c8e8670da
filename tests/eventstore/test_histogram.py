"""Histograms: what was observed is counted at its bound, once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eventstore.histogram import Histogram


def test_an_observation_counts_at_its_bound_and_above() -> None:
    """A bound includes its own value, as Prometheus' `le` does."""
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 9.0):
        histogram.observe(value)
    assert list(histogram.cumulative()) == [(1.0, 2), (2.0, 3), (float("inf"), 4)]
    assert (histogram.count, histogram.sum) == (4, 12.0)


@given(st.lists(st.floats(0, 100)))
def test_the_last_bound_holds_everything(values: list[float]) -> None:
    """Nothing is lost above the last bound, and counts never go down."""
    histogram = Histogram((0.1, 1.0, 10.0))
    for value in values:
        histogram.observe(value)
    counts = [count for _, count in histogram.cumulative()]
    assert counts == sorted(counts)
    assert counts[-1] == histogram.count == len(values)
