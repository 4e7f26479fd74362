"""The table of sources that a model did not learn from."""

import pytest

from bench.source_figures import rows, source_figures
from modelling.evaluation.labelled import Photo
from modelling.evaluation.measuring import PredictionLine

BOXES = [(0.0, 0.0, 30.0, 30.0), (50.0, 0.0, 90.0, 40.0), (100.0, 0.0, 115.0, 15.0), (200.0, 0.0, 240.0, 40.0)]
LABELS = ["mask", "no_mask", "no_mask", "incorrect"]
ALARM = (300.0, 0.0, 316.0, 16.0)


def seen(boxes, scores, said):
    """One photo with four faces, one of them small, and what was said of it."""
    return [(Photo("images/1.jpg", 400, 100, BOXES, LABELS), PredictionLine("images/1.jpg", boxes, scores, said))]


def test_figures_of_a_source():
    """A small face and a small false alarm count at their size; a badly worn mask taken for a good one is told."""
    found = source_figures(
        "a", "m", seen([*BOXES, ALARM], [0.9] * 5, ["mask", "no_mask", "no_mask", "mask", "mask"]), 0.5
    )
    assert (found.faces, found.precision, found.small_faces, found.small_recall) == (4, 0.8, 1, 1.0)
    assert (found.small_precision, found.taken_for_good, found.mask_right) == (0.5, 1.0, 1.0)
    assert (found.rate, found.rate_error) == (25.0, pytest.approx(35.0))
    assert (found.recall_masked, found.recall_bare) == (1.0, 1.0)


def test_below_the_threshold_nothing_is_found():
    """Figures that there are none of stay out of the table."""
    found = source_figures("a", "m", seen(BOXES[:1], [0.4], ["mask"]), 0.5)
    assert (found.f1, found.small_precision, found.rate_error) == (0.0, None, None)
    assert rows([found])[0][-2:] == ["-", "-"]


def test_the_worst_comes_first():
    """By the error of the rate, whichever way."""
    good = source_figures("good", "m", seen(BOXES, [0.9] * 4, LABELS), 0.5)
    bad = source_figures("bad", "m", seen(BOXES, [0.9] * 4, ["no_mask"] * 4), 0.5)
    assert [row[0] for row in rows([good, bad])] == ["bad", "good"]
