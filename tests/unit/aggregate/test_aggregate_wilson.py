"""The Wilson score interval."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.aggregate.core.wilson import interval

TRIALS = st.integers(1, 100_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    # Newcombe 1998, Statistics in Medicine 17:857-872, table I, method 3; the last row by scipy.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718),
     (20, 20, 0.8389, 1.0)],
)  # fmt: skip
def test_published_values(successes, trials, low, high):
    """The interval equals those of the literature to four digits."""
    assert interval(successes, trials) == pytest.approx((low, high), abs=5e-5)


def test_nobody_judged_has_no_interval():
    """Of nobody nothing can be said."""
    assert interval(0, 0) is None


@given(TRIALS)
def test_the_share_lies_within(pair):
    """The interval holds the share itself and stays within 0..1."""
    low, high = interval(*pair)
    assert 0 <= low <= pair[0] / pair[1] <= high <= 1


@given(TRIALS)
def test_the_mirrored_share_has_the_mirrored_interval(pair):
    """Counting failures instead of successes mirrors the interval."""
    successes, trials = pair
    low, high = interval(successes, trials)
    assert interval(trials - successes, trials) == pytest.approx((1 - high, 1 - low), abs=1e-9)


@given(TRIALS)
def test_ten_times_the_people_narrow_it(pair):
    """More people with the same share narrow the interval."""
    low, high = interval(*pair)
    narrow_low, narrow_high = interval(pair[0] * 10, pair[1] * 10)
    assert narrow_high - narrow_low < high - low
