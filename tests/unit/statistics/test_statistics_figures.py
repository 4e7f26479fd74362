"""Shares as they are published: tenths of a per cent, in intervals that only grow: services.statistics.figures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.statistics.figures import Rates, observed, rates
from services.statistics.proportions import wilson
from services.statistics.rate_interval import Judged, interval


def in_tenths(share: float) -> bool:
    return share == round(share, 3)


@given(st.integers(0, 100_000).flatmap(lambda masked: st.tuples(st.just(masked), st.integers(masked, 100_000))))
def test_an_interval_grows_by_less_than_a_tenth_of_a_per_cent_and_holds_its_rate(counts: tuple[int, int]):
    """Both intervals, of any count; and what is chance alone lies within the whole."""
    masked, people = counts
    found = rates(masked, [Judged(people)])
    if not people:
        assert found == Rates(None, None, None)
        return
    assert found.rate is not None
    assert abs(found.rate - masked / people) <= 0.0005
    for shown, exact in (
        (found.interval, interval(masked, [Judged(people)])),
        (found.sampling_interval, wilson(*counts)),
    ):
        assert shown is not None
        assert exact is not None
        assert exact[0] - 0.001 < shown[0] <= exact[0]
        assert exact[1] <= shown[1] < exact[1] + 0.001
        assert 0 <= shown[0] <= found.rate <= shown[1] <= 1
        assert all(map(in_tenths, (*shown, found.rate)))


def test_groups_of_people_add_up():
    """As the interval counts them."""
    assert rates(3, [Judged(2), Judged(4)]) == rates(3, [Judged(6)])


@pytest.mark.parametrize(("share", "shown"), [(1.0, 1.0), (0.9999, 0.999), (0.57, 0.57), (0.0, 0.0), (2 / 3, 0.666)])
def test_a_coverage_of_one_says_that_nothing_is_missing(share: float, shown: float):
    """It is rounded down; a whole step stays."""
    assert observed(share) == shown


@pytest.mark.parametrize(("share", "count"), [(0.7, 3), (0.6, 24), (0.8, 72), (0.998, 72), (1.0, 7)])
def test_the_mean_of_equal_coverages_is_theirs(share: float, count: int):
    """However their sum is off in binary."""
    assert observed(sum([share] * count) / count) == share
