"""Boxes, distances, interpolation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.aggregate.core.geometry import SMALLEST, distance, interpolate, iou, place

SHARE = st.floats(0, 1, allow_nan=False)


@st.composite
def boxes(draw):
    """A box with some area."""
    x, y = draw(st.floats(0, 0.9)), draw(st.floats(0, 0.9))
    return (x, y, x + draw(st.floats(0.001, 0.1)), y + draw(st.floats(0.001, 0.1)))


@given(boxes(), boxes())
def test_iou_is_a_symmetric_share(a, b):
    """IoU lies in 0..1 and does not depend on which box comes first."""
    assert iou(a, b) == pytest.approx(iou(b, a))
    assert 0 <= iou(a, b) <= 1 + 1e-9


@given(boxes())
def test_a_box_overlaps_itself_wholly(box):
    """IoU of a box with itself is 1."""
    assert iou(box, box) == pytest.approx(1)


@pytest.mark.parametrize(
    ("other", "wanted"),
    [
        ((0.0, 0.0, 0.2, 0.2), 1.0),
        ((0.1, 0.0, 0.3, 0.2), 1 / 3),
        ((0.2, 0.0, 0.4, 0.2), 0.0),
        ((0.5, 0.5, 0.6, 0.6), 0.0),
        ((0.0, 0.0, 0.1, 0.1), 0.25),
    ],
)
def test_iou_of_known_boxes(other, wanted):
    """IoU is the common area over the joint area."""
    assert iou((0.0, 0.0, 0.2, 0.2), other) == pytest.approx(wanted)


def test_distance_is_in_picture_widths():
    """In a 16:9 picture a step down by a tenth of its height is 9/160 of its width."""
    a, b = (0.4, 0.4, 0.5, 0.5), (0.4, 0.5, 0.5, 0.6)
    assert distance(a, b, 16 / 9) == pytest.approx(0.1 * 9 / 16)
    assert distance(a, (0.5, 0.4, 0.6, 0.5), 16 / 9) == pytest.approx(0.1)


def test_a_square_face_has_its_side_as_size():
    """A face as high as wide in pixels has that side as its size, whatever the picture's aspect."""
    assert place((0.1, 0.1, 0.2, 0.1 + 0.1 * 16 / 9), 16 / 9).size == pytest.approx(0.1)


def test_a_box_without_area_still_has_a_size():
    """A degenerate box divides nothing by zero."""
    assert place((0.5, 0.5, 0.5, 0.5), 1.5).size == SMALLEST


@given(boxes(), boxes(), SHARE)
def test_interpolation_stays_between_its_ends(a, b, share):
    """Every side of an interpolated box lies between those of the two boxes."""
    for low, value, high in zip(map(min, a, b), interpolate(a, b, share), map(max, a, b), strict=True):
        assert low - 1e-12 <= value <= high + 1e-12


def test_interpolation_meets_its_ends():
    """Share 0 is the first box and share 1 the second."""
    a, b = (0.0, 0.1, 0.2, 0.3), (0.5, 0.6, 0.7, 0.8)
    assert interpolate(a, b, 0) == a
    assert interpolate(a, b, 1) == pytest.approx(b)
