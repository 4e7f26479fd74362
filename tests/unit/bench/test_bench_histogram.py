"""Prometheus's histograms: bench.histogram, against prometheus_client's own text."""

import bisect

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client import Histogram as Metric

from bench.histogram import Histogram, read

BOUNDS = (0.02, 0.05, 0.1)


def page(values, bounds=BOUNDS):
    registry = CollectorRegistry()
    metric = Metric("life_seconds", "x", ["camera"], buckets=bounds, registry=registry)
    for number, value in enumerate(values):
        metric.labels(f"c{number % 2}").observe(value)
    Counter("frames", "x", ["camera", "outcome"], registry=registry).labels("c0", "shed").inc(3)
    return read(generate_latest(registry).decode())


@given(st.lists(st.floats(0, 0.2), min_size=1, max_size=50), st.floats(0.01, 1))
def test_the_quantile_lies_in_the_right_bucket(values, share):
    """Within the bucket that holds the true quantile, over all labels; infinite beyond the last bound."""
    found = page(values).histogram("life_seconds")
    rank = max(0, -(-round(share * len(values) * 1e9) // 10**9) - 1)
    place = bisect.bisect_left(BOUNDS, sorted(values)[rank])
    low, high = ((0.0, *BOUNDS)[place], (*BOUNDS, float("inf"))[place])
    assert low <= found.quantile(share) <= high
    assert found.count == len(values)
    assert found.share_above(0.1) == pytest.approx(sum(v > 0.1 for v in values) / len(values))


def test_only_what_was_added_since():
    """Two pages' difference; sums by a label; the mean; an unknown bound is refused and nothing has no quantile."""
    added = page([0.01, 0.03, 0.3]).since(page([0.01, 0.03]))
    assert added.histogram("life_seconds").cumulative == ((0.02, 0), (0.05, 0), (0.1, 0), (float("inf"), 1))
    assert page([]).by("frames_total", "outcome") == {"shed": 3}
    assert (added.mean("life_seconds"), page([]).mean("life_seconds")) == (pytest.approx(0.3), 0)
    with pytest.raises(ValueError, match=r"0\.07 is no bound"):
        added.histogram("life_seconds").share_above(0.07)
    assert (Histogram().quantile(0.5), Histogram().share_above(0.1), Histogram().count) == (0, 0, 0)
