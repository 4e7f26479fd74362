"""AP50 as faster-coco-eval computes it, of our boxes."""

import pytest

from modelling.evaluation.average_precision import Found, average_precision
from modelling.evaluation.scoring import Prediction, Truth

FACE, OTHER, TINY, NOTHING = (0.0, 0, 30, 30), (50.0, 0, 90, 40), (100.0, 0, 106, 6), (200.0, 0, 230, 30)


def ap(boxes, scores, labels=("mask", "no_mask", "ignore"), min_px=12.0):
    """Of one picture with three faces."""
    truth = Truth([FACE, OTHER, TINY], list(labels))
    return average_precision([Found(truth, Prediction(boxes, scores))], min_px=min_px)


def test_all_found_is_one():
    """Whatever the order, and whatever lies on a face that nobody judged."""
    assert ap([OTHER, TINY, FACE], [0.9, 0.8, 0.1]) == pytest.approx(1.0)


def test_half_found_is_half():
    """The area ends at the recall that was reached."""
    assert ap([FACE], [0.9]) == pytest.approx(0.5, abs=0.01)


def test_an_alarm_above_all_costs_more_than_one_below():
    """A false alarm costs precision at each recall above it."""
    first, last = ap([NOTHING, FACE, OTHER], [0.9, 0.8, 0.7]), ap([FACE, OTHER, NOTHING], [0.9, 0.8, 0.7])
    assert first == pytest.approx(2 / 3, abs=0.01)
    assert last == pytest.approx(1.0)


def test_small_faces_count_neither_way():
    """Below the least size a face is no miss, and what is found there no alarm."""
    assert ap([FACE, OTHER, TINY], [0.9, 0.8, 0.95], ("mask", "no_mask", "mask")) == pytest.approx(1.0)
    assert ap([FACE, OTHER], [0.9, 0.8], ("mask", "no_mask", "mask"), min_px=1.0) == pytest.approx(2 / 3, abs=0.01)


def test_nobody():
    """Without faces there is no figure; nothing found is nothing."""
    assert average_precision([Found(Truth([], []), Prediction([], []))], min_px=12) is None
    assert ap([], []) == 0.0
