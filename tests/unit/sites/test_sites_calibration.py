"""What counting by hand tells of a model's errors at a site."""

from math import exp, sqrt

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import structs

from proto.model_errors import ModelErrors
from services.sites.calibration import HOURS, LEAST, Kinds, calibrated
from services.sites.proportions import Z_95

USUAL = ModelErrors(
    sensitivity=0.97, sensitivity_limits=(0.96, 0.98), specificity=0.99, specificity_limits=(0.95, 0.997),
    recall_ratio=0.99, recall_ratio_limits=(0.69, 1.41), overdispersion=1.2, sources=6,
)  # fmt: skip
EXACT = structs.replace(USUAL, sensitivity=1.0, specificity=1.0)
PEOPLE = st.integers(LEAST, 5_000)


def width(errors):
    """How far the limits are apart, as a ratio."""
    low, high = errors.recall_ratio_limits
    return high / low


def test_by_hand():
    """300 of 400 masked and 100 of 200 others were judged: a ratio of 1.5, and what is usual, each by its precision."""
    found = calibrated(structs.replace(EXACT, overdispersion=1.0), Kinds(400, 200), Kinds(300, 100))
    before, variance = (0.35737 / 1.959964) ** 2, HOURS + 0.25 / 300 + 0.5 / 100
    weight = before / (before + variance)
    assert found.recall_ratio == pytest.approx(0.99 * (1.5 / 0.99) ** weight, rel=1e-3)
    assert width(found) == pytest.approx(2.718281828 ** (2 * 1.959964 * (weight * variance) ** 0.5), rel=2e-3)
    assert found.counted == 600


@given(PEOPLE, PEOPLE, st.floats(0.1, 1.0), st.floats(0.1, 1.0))
def test_the_limits_hold_the_ratio_and_are_narrower_than_before(masked, others, first, second):
    """It lies between what is usual and what was seen, whatever was counted; nothing else changes."""
    judged = Kinds(round(masked * first), round(others * second))
    assume(min(judged) >= 10)
    found = calibrated(EXACT, Kinds(masked, others), judged)
    low, high = found.recall_ratio_limits
    assert low <= found.recall_ratio <= high
    assert width(found) < width(EXACT)
    seen = judged.masked / masked / (judged.others / others)
    assert min(seen, 0.99) - 1e-3 <= found.recall_ratio <= max(seen, 0.99) + 1e-3
    kept = structs.replace(found, recall_ratio=0.99, recall_ratio_limits=USUAL.recall_ratio_limits, counted=0)
    assert kept == EXACT


@given(PEOPLE, st.integers(2, 20))
def test_more_people_say_more(people, times):
    """With the same shares, and each hour that is counted adds to the one before; but never more than hours differ."""
    once, more = (calibrated(USUAL, Kinds(n, n), Kinds(n * 9 // 10, n * 9 // 10)) for n in (people, people * times))
    assert width(more) <= width(once) + 1e-2
    again = calibrated(once, Kinds(people, people), Kinds(people * 9 // 10, people * 9 // 10))
    assert width(again) <= width(once) + 1e-2
    assert again.counted == 4 * people
    for found in (once, more, again):
        assert width(found) >= exp(2 * Z_95 * sqrt(HOURS)) - 1e-2


def test_wrong_verdicts_are_no_missed_people():
    """All were judged, as well as is usual: nobody is missed more often than others."""
    counted = Kinds(1_000, 1_000)
    judged = Kinds(970 + 10, 30 + 990)
    found = calibrated(structs.replace(USUAL, recall_ratio=1.0), counted, judged)
    assert found.recall_ratio == pytest.approx(1.0, abs=0.002)


@pytest.mark.parametrize(
    ("counted", "judged"),
    [
        (Kinds(LEAST - 1, 100), Kinds(19, 100)),
        (Kinds(100, LEAST - 1), Kinds(100, 19)),
        (Kinds(100, 100), Kinds(0, 0)),
        (Kinds(100, 100), Kinds(100, 1)),
    ],
)
def test_what_says_too_little(counted, judged):
    """Too few of a kind, or hardly any of them judged."""
    with pytest.raises(ValueError, match="at least 20 people of each kind"):
        calibrated(USUAL, counted, judged)
