"""The learning rate rises briefly and then falls to almost nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modelling.training.schedule import rate_at

shares = st.floats(0, 1)


@given(shares)
def test_rate_stays_in_bounds(done):
    """The rate is positive and never above the highest."""
    assert 0 < rate_at(done, 0.01) <= 0.01


@given(shares, shares)
def test_rate_falls_after_the_rise(one, other):
    """After the rise the rate only falls."""
    early, late = sorted((0.04 + 0.96 * one, 0.04 + 0.96 * other))
    assert rate_at(early, 1.0) >= rate_at(late, 1.0)


def test_ends():
    """A run starts low, peaks after the rise and ends at a hundredth, also when it overruns."""
    assert rate_at(0.0, 1.0) == 0.05
    assert rate_at(0.04, 1.0) == 1.0
    assert rate_at(1.0, 1.0) == rate_at(1.3, 1.0)
    assert 0.009 < rate_at(1.0, 1.0) < 0.011
