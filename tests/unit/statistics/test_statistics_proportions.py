"""Intervals of shares and of their difference, against published numbers and their own definition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.statistics.proportions import Z_95, newcombe, wilson


@st.composite
def counts(draw):
    """Successes and trials, at least one trial."""
    trials = draw(st.integers(1, 10_000))
    return draw(st.integers(0, trials)), trials


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718),
     (20, 20, 0.8389, 1.0)],
)  # fmt: skip
def test_wilson_as_published(successes, trials, low, high):
    """Wilson's interval without continuity correction: Newcombe 1998, Statistics in Medicine 17:857-872, table I."""
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0000),
        ((10, 10), (0, 10), 0.6075, 1.0000),
    ],
)
def test_newcombe_as_published(one, other, low, high):
    """The difference's interval by method 10: Newcombe 1998, Statistics in Medicine 17:873-890, table II."""
    assert newcombe(one, other) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("one", "other"), [((0, 0), (1, 2)), ((1, 2), (0, 0)), ((0, 0), (0, 0))])
def test_without_a_trial_there_is_no_interval(one, other):
    """Nothing is invented where nobody was looked at."""
    assert wilson(0, 0) is None
    assert newcombe(one, other) is None


@given(counts())
def test_wilson_holds_the_share(one):
    """The interval lies in 0 to 1 and holds the share; at 0 and n of n one end is exact."""
    low, high = wilson(*one)
    assert 0 <= low <= one[0] / one[1] <= high <= 1
    assert (low == 0) == (one[0] == 0)
    assert (high == 1) == (one[0] == one[1])


@given(counts())
def test_wilson_inverts_the_score_test(one):
    """Wilson's definition: at an inner end the share lies 1.96 of that end's own standard errors away."""
    share = one[0] / one[1]
    for end in wilson(*one):
        if 0 < end < 1:
            assert abs(share - end) == pytest.approx(Z_95 * (end * (1 - end) / one[1]) ** 0.5, rel=1e-6)


@given(counts(), counts())
def test_newcombe_holds_the_difference(one, other):
    """The interval lies in -1 to 1 and holds the difference."""
    low, high = newcombe(one, other)
    assert -1 <= low <= one[0] / one[1] - other[0] / other[1] + 1e-12
    assert one[0] / one[1] - other[0] / other[1] - 1e-12 <= high <= 1


@given(counts(), counts())
def test_newcombe_turned_round(one, other):
    """The difference the other way round has the mirrored interval."""
    low, high = newcombe(one, other)
    assert newcombe(other, one) == pytest.approx((-high, -low))


@given(counts(), counts(), st.integers(2, 20))
def test_more_faces_say_more(one, other, times):
    """The same shares of more faces give a narrower interval."""
    low, high = newcombe(one, other)
    less_low, less_high = newcombe((one[0] * times, one[1] * times), (other[0] * times, other[1] * times))
    assert less_high - less_low < high - low


@given(counts())
def test_ten_times_the_people_narrow_it(one):
    """More people with the same share narrow the interval."""
    low, high = wilson(*one)
    narrow_low, narrow_high = wilson(one[0] * 10, one[1] * 10)
    assert narrow_high - narrow_low < high - low
