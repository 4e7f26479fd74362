"""Whether confidence is honest: expected calibration error and reliability bins."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelling.evaluation.breakdown import BINS, calibration, reliability

judged = st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=60)


def bin_of(confidence):
    """The number of the bin that a confidence falls into."""
    (place,) = [n for n, one in enumerate(reliability([(confidence, True)])) if one["faces"]]
    return place


@pytest.mark.parametrize(
    ("confidence", "place"),
    [(0.0, 0), (0.05, 0), (0.1, 0), (0.1000001, 1), (0.3, 2), (0.6, 5), (0.7, 6), (0.95, 9), (1.0, 9)],
)
def test_a_bin_holds_its_upper_edge(confidence, place):
    """Ten bins of equal width, ((m - 1) / 10, m / 10] as Guo et al. have them; 0 is in the first."""
    assert bin_of(confidence) == place


def test_a_worked_example():
    """Two bins: three faces 0.8 sure of which one is right, one 0.55 sure and right: (3 * 0.4667 + 0.45) / 4."""
    result = calibration([(0.8, True), (0.8, False), (0.8, False), (0.55, True)])
    assert result["ece"] == pytest.approx((3 * (0.8 - 1 / 3) + 0.45) / 4)
    assert result["faces"] == 4
    assert result["bins"][7] == {
        "low": 0.7,
        "high": 0.8,
        "faces": 3,
        "mean_confidence": pytest.approx(0.8),
        "share_right": pytest.approx(1 / 3),
    }


def test_an_honest_model_has_no_error():
    """80 % right of those it is 80 % sure of: the error is nothing."""
    assert calibration([(0.8, place < 8) for place in range(10)])["ece"] == pytest.approx(0, abs=1e-12)


def test_sure_and_wrong_is_the_worst():
    """Wholly sure and always wrong: an error of 1."""
    assert calibration([(1.0, False)] * 5)["ece"] == 1


def test_too_sure_and_too_unsure_do_not_cancel_between_bins():
    """Errors of two bins add up, whichever way they point; within one bin they cancel: ECE's known weakness."""
    assert calibration([(0.9, False), (0.1, True)])["ece"] == pytest.approx(0.9)
    assert calibration([(0.75, True), (0.75, True), (0.75, True), (0.75, False)])["ece"] == pytest.approx(0)


def test_nobody_was_found():
    """Without faces there is no error, and every bin says None instead of a number."""
    result = calibration([])
    assert (result["faces"], result["ece"], len(result["bins"])) == (0, None, BINS)
    assert {(one["faces"], one["mean_confidence"], one["share_right"]) for one in result["bins"]} == {(0, None, None)}


@pytest.mark.parametrize("confidence", [-0.01, 1.01, float("nan"), float("inf")])
def test_what_is_no_probability(confidence):
    """A confidence outside 0 to 1 is refused, not put into a bin."""
    with pytest.raises(ValueError, match="is no probability"):
        calibration([(confidence, True)])


@given(judged)
def test_bins_hold_every_face_once(faces):
    """Bins follow each other from 0 to 1 without a gap, and their faces add up; means lie within their bin."""
    bins = calibration(faces)["bins"]
    assert (bins[0]["low"], bins[-1]["high"]) == (0, 1)
    assert all(one["high"] == other["low"] for one, other in pairwise(bins))
    assert sum(one["faces"] for one in bins) == len(faces)
    for one in bins:
        if one["faces"]:
            assert one["low"] - 1e-9 <= one["mean_confidence"] <= one["high"] + 1e-9
            assert 0 <= one["share_right"] <= 1


@given(judged.filter(bool))
def test_the_error_is_bounded(faces):
    """The error is a share, and never below the difference between overall confidence and share right."""
    ece = calibration(faces)["ece"]
    confidence, right = (sum(values) / len(faces) for values in zip(*faces, strict=True))
    assert abs(confidence - right) - 1e-9 <= ece <= 1


@given(judged.filter(bool), st.integers(2, 4))
def test_repeating_every_face_changes_nothing(faces, times):
    """The error does not depend on how many faces there are, only on their mix."""
    assert calibration(faces * times)["ece"] == pytest.approx(calibration(faces)["ece"])


@given(judged.filter(bool), st.randoms(use_true_random=False))
def test_the_order_does_not_matter(faces, random):
    """Faces in another order give the same error."""
    other = list(faces)
    random.shuffle(other)
    assert calibration(other)["ece"] == pytest.approx(calibration(faces)["ece"])


@given(judged.filter(bool))
def test_one_bin_is_the_overall_gap(faces):
    """With a single bin the error is the difference between overall confidence and share right."""
    confidence, right = (sum(values) / len(faces) for values in zip(*faces, strict=True))
    assert calibration(faces, bins=1)["ece"] == pytest.approx(abs(confidence - right))
