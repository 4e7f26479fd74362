"""Where faces are, in picture widths."""

import pytest

from services.aggregate.core.counting.motion import SMALLEST, place


def test_places_are_in_picture_widths():
    """In a 16:9 picture a step down by a tenth of its height is 9/160 of its width, a step right a tenth of it."""
    here, below, beside = (
        place(box, 16 / 9) for box in [(0.4, 0.4, 0.5, 0.5), (0.4, 0.5, 0.5, 0.6), (0.5, 0.4, 0.6, 0.5)]
    )
    assert (below.x - here.x, below.y - here.y) == pytest.approx((0, 0.1 * 9 / 16))
    assert (beside.x - here.x, beside.y - here.y) == pytest.approx((0.1, 0))


def test_a_square_face_has_its_side_as_size():
    """A face as high as wide in pixels has that side as its size, whatever the picture's aspect."""
    assert place((0.1, 0.1, 0.2, 0.1 + 0.1 * 16 / 9), 16 / 9).size == pytest.approx(0.1)


def test_a_box_without_area_still_has_a_size():
    """A degenerate box divides nothing by zero."""
    assert place((0.5, 0.5, 0.5, 0.5), 1.5).size == SMALLEST
