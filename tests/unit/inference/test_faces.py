"""The rules by which raw numbers become faces."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.inference.core.faces import (
    CLASSES,
    Face,
    Limits,
    above,
    clipped,
    face_px,
    i420_sides,
    to_faces,
    verdict_of,
    visible,
)

LIMITS = Limits(score_threshold=0.5, min_face_px=10.0, unknown_below=0.6)
WIDTH, HEIGHT = 640, 360

anything = st.floats(width=32, allow_nan=True, allow_infinity=True)
share = st.floats(0, 1, width=32)
corner = st.floats(-2000, 2000, width=32)
row = st.tuples(corner, corner, corner, corner, share, share, share, share)


def arrays(rows):
    """Boxes, scores and probabilities out of rows of eight numbers."""
    table = np.array(rows, dtype=np.float32).reshape(-1, 8)
    return table[:, :4], table[:, 4], table[:, 5:]


def find(rows, limits=LIMITS):
    """The faces of rows in a picture of the usual size."""
    return to_faces(*arrays(rows), width=WIDTH, height=HEIGHT, limits=limits)


def one(box=(64, 36, 128, 108), score=0.9, probabilities=(0.9, 0.05, 0.05), limits=LIMITS):
    """The only face of one row."""
    (face,) = find([(*box, score, *probabilities)], limits)
    return face


def test_box_is_normalised():
    """Corners come out as shares of width and height."""
    face = one(box=(64, 36, 128, 108))
    assert (face.x1, face.y1, face.x2, face.y2) == pytest.approx((0.1, 0.1, 0.2, 0.3))


def test_box_is_cut_at_the_edges():
    """A face that reaches out of the picture ends at its edge."""
    face = one(box=(-30, -20, 700, 400))
    assert (face.x1, face.y1, face.x2, face.y2) == (0, 0, 1, 1)


@pytest.mark.parametrize(("best", "verdict"), list(enumerate(CLASSES)))
def test_likeliest_class_is_the_verdict(best, verdict):
    """The verdict is the class with the highest probability."""
    probabilities = [0.1, 0.1, 0.1]
    probabilities[best] = 0.8
    face = one(probabilities=probabilities)
    assert face.verdict == verdict
    assert face.confidence == pytest.approx(0.8 if verdict == "masked" else 0.9)


def test_unsure_is_unknown():
    """A face that is neither surely masked nor surely not is unknown, with its confidence kept."""
    face = one(probabilities=(0.59, 0.3, 0.11))
    assert face.verdict == "unknown"
    assert face.confidence == pytest.approx(0.59)


def test_surely_not_masked_is_judged():
    """Bare or badly worn, and hardly to tell which: not masked all the same, so it counts."""
    face = one(probabilities=(0.2, 0.39, 0.41))
    assert face.verdict == "incorrect"
    assert face.confidence == pytest.approx(0.8)


def test_side_comes_before_class():
    """The likeliest single class does not win against the two others together: the rate asks for masked or not."""
    face = one(probabilities=(0.38, 0.37, 0.25))
    assert (face.verdict, face.likeliest) == ("unmasked", "unmasked")
    assert one(probabilities=(0.45, 0.3, 0.25)).likeliest == "unmasked"


@pytest.mark.parametrize("side", [5, 40])
def test_likeliest_class_is_kept_where_nothing_is_judged(side):
    """An unknown face, too small or unsure, still tells its likeliest class, for whoever measures the model."""
    face = one(box=(100, 100, 100 + side, 100 + side), probabilities=(0.45, 0.1, 0.45))
    assert (face.verdict, face.likeliest) == ("unknown", "incorrect")


def test_limit_itself_is_sure_enough():
    """Exactly at the limit a face is judged: at that of confidence, and at that of size."""
    assert one(probabilities=(0.75, 0.2, 0.05), limits=Limits(0.5, 10.0, 0.75)).verdict == "masked"
    assert verdict_of(np.array([1.0, 0.0, 0.0], np.float32), 10.0, LIMITS) == ("masked", 1.0)


@pytest.mark.parametrize(("side", "verdict"), [(9.5, "unknown"), (10.0, "masked"), (40.0, "masked")])
def test_small_is_unknown(side, verdict):
    """A face smaller than the limit, in pixels of the picture, is unknown however sure the classifier is."""
    assert one(box=(100, 100, 100 + side, 100 + side), probabilities=(1, 0, 0)).verdict == verdict


def test_size_is_that_of_the_visible_part():
    """What lies outside the picture does not make a face large."""
    assert one(box=(-100, 100, 5, 130), probabilities=(1, 0, 0)).verdict == "masked"
    assert one(box=(-100, 100, 2, 130), probabilities=(1, 0, 0)).verdict == "unknown"


def test_not_a_number_is_unknown():
    """Probabilities that are none give unknown with confidence 0."""
    face = one(probabilities=(math.nan, math.nan, math.nan))
    assert (face.verdict, face.likeliest, face.confidence) == ("unknown", "unknown", 0.0)


def test_low_scores_are_dropped():
    """Only boxes that reach the threshold are faces."""
    faces = find([(10, 10, 50, 50, 0.49, 1, 0, 0), (60, 10, 99, 50, 0.5, 1, 0, 0)])
    assert [face.score for face in faces] == [0.5]


def test_best_first():
    """Faces are ordered by score, whatever the order of the rows."""
    faces = find([(10, 10, 50, 50, s, 1, 0, 0) for s in (0.6, 0.9, 0.7)])
    assert [face.score for face in faces] == pytest.approx([0.9, 0.7, 0.6])


def test_outside_is_dropped():
    """A box wholly outside the picture is no face."""
    assert find([(700, 10, 800, 50, 0.9, 1, 0, 0), (10, -90, 50, -10, 0.9, 1, 0, 0)]) == []


def test_turned_box_is_dropped():
    """A box whose corners are the wrong way round is no face."""
    assert find([(50, 50, 10, 10, 0.9, 1, 0, 0)]) == []


def test_nothing_found():
    """No rows, no faces."""
    assert find([]) == []


@pytest.mark.parametrize(
    ("boxes", "scores", "probabilities"),
    [((2, 4), (1,), (1, 3)), ((1, 4), (1,), (1, 2)), ((1, 4), (1,), (2, 3)), ((1, 5), (1,), (1, 3))],
)
def test_arrays_that_do_not_fit(boxes, scores, probabilities):
    """Arrays of different lengths or widths are refused, with their shapes in the text."""
    with pytest.raises(ValueError, match="don't fit"):
        to_faces(
            np.zeros(boxes, np.float32),
            np.zeros(scores, np.float32),
            np.zeros(probabilities, np.float32),
            width=WIDTH,
            height=HEIGHT,
            limits=LIMITS,
        )


@pytest.mark.parametrize(("width", "height"), [(0, 10), (10, 0), (-4, 4)])
def test_picture_without_pixels(width, height):
    """A picture without pixels is refused."""
    with pytest.raises(ValueError, match="pixels has no faces"):
        clipped(np.zeros((1, 4), np.float32), width, height)


@given(st.lists(row, max_size=12))
def test_every_face_is_well_formed(rows):
    """Whatever the numbers: corners in 0..1 in order, score and confidence in 0..1, a known verdict."""
    for face in find(rows):
        assert isinstance(face, Face)
        assert 0 <= face.x1 < face.x2 <= 1
        assert 0 <= face.y1 < face.y2 <= 1
        assert LIMITS.score_threshold <= face.score <= 1
        assert 0 <= face.confidence <= 1
        assert face.verdict in (face.likeliest, "unknown")
        assert face.likeliest in CLASSES


@given(st.lists(st.tuples(*[anything] * 8), max_size=8))
def test_no_number_breaks_it(rows):
    """Infinities and NaN never raise and never come out."""
    for face in find(rows):
        assert all(math.isfinite(v) for v in (face.x1, face.y1, face.x2, face.y2, face.score, face.confidence))


@given(st.lists(row, max_size=12), share, share)
def test_higher_threshold_shows_fewer(rows, low, high):
    """Faces at a higher threshold are the first of those at a lower one."""
    low, high = sorted((low, high))
    few = find(rows, Limits(high, 10.0, 0.6))
    assert few == find(rows, Limits(low, 10.0, 0.6))[: len(few)]


@given(st.lists(row, max_size=12))
def test_stricter_limits_never_change_a_verdict(rows):
    """Raising the confidence limit turns verdicts into unknown and into nothing else."""
    lenient, strict = find(rows, Limits(0.5, 10.0, 0.3)), find(rows, Limits(0.5, 10.0, 0.8))
    for before, after in zip(lenient, strict, strict=True):
        assert after.verdict in (before.verdict, "unknown")


@given(st.tuples(share, share, share), st.floats(0, 500))
def test_verdict_only_when_sure_and_large(probabilities, size_px):
    """A verdict other than unknown needs both size and confidence, and is on the side that is likelier."""
    values = np.array(probabilities, np.float32)
    verdict, confidence = verdict_of(values, size_px, LIMITS)
    assert (verdict != "unknown") == (size_px >= 10.0 and confidence >= 0.6)
    if verdict != "unknown":
        assert (verdict == "masked") == (values[0] >= values[1] + values[2])


@given(st.lists(anything, max_size=20), share)
def test_above_keeps_order(scores, threshold):
    """Rows above a threshold come best first; equal scores keep their order; NaN is left out."""
    values = np.array(scores, np.float32)
    rows = above(values, threshold)
    assert sorted(rows) == [i for i, v in enumerate(values) if v >= threshold]
    kept = [(-values[row], row) for row in rows]
    assert kept == sorted(kept)


@given(st.lists(st.tuples(corner, corner, corner, corner), max_size=10))
def test_visible_rows_have_an_area(boxes):
    """Clipped boxes that are called visible have width and height."""
    shares = clipped(np.array(boxes, np.float32).reshape(-1, 4), WIDTH, HEIGHT)
    assert ((shares >= 0) & (shares <= 1)).all()
    kept = shares[visible(shares)]
    assert (kept[:, 2:] > kept[:, :2]).all()


@pytest.mark.parametrize(("sides", "size"), [((9, 16), 12), ((0, 5), 0), ((-3, 5), 0), ((7, 7), 7)])
def test_face_px(sides, size):
    """A face's size is the root of its area, and 0 when it has none."""
    assert face_px(*sides) == pytest.approx(size)


@given(st.integers(1, 300), st.integers(1, 300))
def test_i420_sides(wide, high):
    """An array of 3 * H / 2 rows holds a picture of W x H."""
    assert i420_sides((6 * high, 4 * wide)) == (4 * wide, 4 * high)


@pytest.mark.parametrize("shape", [(539, 640), (540, 638), (540, 0), (0, 640), (3, 640), (543, 640)])
def test_i420_sides_multiples_of_four(shape):
    """Sides that are no multiples of 4 are refused."""
    with pytest.raises(ValueError, match="multiples of 4"):
        i420_sides(shape)


@pytest.mark.parametrize("shape", [(540,), (3, 360, 640), ()])
def test_i420_is_flat(shape):
    """An array with other than two axes is no I420 picture."""
    with pytest.raises(ValueError, match="an I420 picture is an array"):
        i420_sides(shape)


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [(4.0, 9.0, 6.0), (4.0, 0.25, 1.0), (0.25, 4.0, 1.0), (4.0, 0.0, 0.0), (-4.0, -9.0, 0.0), (4.0, -9.0, 0.0)],
)
def test_the_size_of_a_face(width: float, height: float, size: float):
    """The side of the square with its area; 0 for an empty box."""
    assert face_px(width, height) == size
