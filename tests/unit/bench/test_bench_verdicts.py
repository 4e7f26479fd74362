"""What the capacity table decides: bench.verdicts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.histogram import Histogram
from bench.system import Run
from bench.verdicts import Row, Search, at_least, at_most, faults, growth, slope, spread

BOUNDS = (0.05, 0.1, float("inf"))


@pytest.mark.parametrize(
    ("row", "measured", "verdict"),
    [
        (at_most("x", 1.08, [1.2, 1.0, 1.07]), "1.07", "met"),
        (at_most("x", 1.08, [1.2, 1.0, 1.09]), "1.09", "missed"),
        (at_most("x", 60, [60.0, 5.0, float("inf")], " ms"), "60 ms", "met"),
        (at_most("x", 60, [float("inf")] * 2 + [5.0], " ms"), "inf ms", "missed"),
        (at_least("x", 12, [13, 9, 12]), "12", "met"),
        (at_least("x", 12, [11]), "11", "missed"),
        (Row("x", "<= 1", "no ffmpeg", None), "no ffmpeg", "not measured"),
    ],
)
def test_the_median_counts(row, measured, verdict):
    """Of three runs neither the best nor the worst; the limit itself is met."""
    assert (row.measured, row.verdict) == (measured, verdict)


@given(st.integers(0, 30), st.integers(1, 30), st.integers(1, 5))
def test_the_search_finds_the_most(truth, start, step):
    """Wherever it begins, if all up to `truth` pass and none above: that number, in few tries, none of them twice."""
    search, tried = Search(start, step, most=24), []
    while (number := search.next()) is not None:
        tried.append(number)
        search.tell(number, passed=number <= truth)
    assert search.result == min(truth, 24)
    assert len(tried) == len(set(tried)) <= 36
    assert all(1 <= number <= 24 for number in tried)


@pytest.mark.parametrize(
    ("late", "shed", "analysed", "found"),
    [
        (1, 0.01, 980, []),
        (2, 0.0, 1000, ["2.0% of the pictures lived for more than 100 ms"]),
        (0, 0.011, 1000, ["1.1% shed"]),
        (0, 0.0, 979, ["97.9% of the due pictures were analysed"]),
        (50, 0.5, 500, 3),
    ],
)
def test_what_keeps_a_run_from_counting(late, shed, analysed, found):
    """One in a hundred may be late or shed, one in fifty missing; more is told in words."""
    lifetime = Histogram(tuple(zip(BOUNDS, (90, 100 - late, 100), strict=True)))
    run = Run(due=10, seconds=100, analysed=analysed, shed_share=shed, lifetime=lifetime)
    assert faults(run) == found if isinstance(found, list) else len(faults(run)) == found


def test_a_run_without_a_picture_does_not_count():
    """Nothing measured is no success."""
    assert faults(Run(due=10, seconds=10, analysed=100))


def test_flatness_and_growth():
    """The dearest over the cheapest; the last third over the first, so that one transient is nothing."""
    assert spread({1: 10.0, 4: 9.0, 12: 9.9}) == pytest.approx(10 / 9 - 1)
    assert growth([5, 5, 6, 5, 9, 5, 5, 5, 5]) == 0
    assert growth([5, 5, 5, 6, 6, 6, 7, 7, 7]) == 2
    assert growth([1, 9]) == 0


@given(st.floats(-5, 5), st.floats(-100, 100), st.lists(st.integers(0, 1000), min_size=2, unique=True))
def test_a_line_s_slope(by, start, moments):
    """Points on a line give its slope; a single moment gives none."""
    assert slope([(x, start + by * x) for x in moments]) == pytest.approx(by, abs=1e-6)
    assert slope([(3.0, 1.0), (3.0, 2.0)]) == 0
