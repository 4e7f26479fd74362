"""What is cut out of a picture: the face with its surroundings, in the right place, the box drawn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelling.evaluation.report import LEAST_PX, SHOWN_PX, crop, region

YELLOW = (255, 255, 0)


def grey(width, height):
    """An even grey picture [H, W, 3]."""
    return np.full((height, width, 3), 128, np.uint8)


def yellow(picture):
    """Where the box was drawn: left, top, right, bottom in pixels of the crop."""
    rows, columns = np.nonzero((np.asarray(picture) == YELLOW).all(axis=2))
    return columns.min(), rows.min(), columns.max(), rows.max()


def test_a_face_is_shown_with_what_is_around_it():
    """Three times the longer side, the face in the middle."""
    assert region((100, 100, 120, 140), 400, 400) == (50, 60, 170, 180)


def test_a_tiny_face_has_enough_around_it():
    """At least 48 px are shown."""
    assert region((100, 100, 104, 104), 400, 400) == (78, 78, 126, 126)


def test_at_the_edge_it_ends_with_the_picture():
    """Nothing is made up outside."""
    assert region((0, 0, 40, 40), 400, 100) == (0, 0, 80, 80)


@given(
    st.tuples(st.floats(-50, 500), st.floats(-50, 500), st.floats(0.5, 600), st.floats(0.5, 600)),
    st.integers(1, 400),
    st.integers(1, 400),
)
def test_there_is_always_something_to_show(corner_and_sides, width, height):
    """Wherever the box lies, the region is inside the picture and not empty."""
    x, y, w, h = corner_and_sides
    left, top, right, bottom = region((x, y, x + w, y + h), width, height)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


@pytest.mark.parametrize(("width", "height"), [(300, 300), (30, 300), (300, 3), (1, 1)])
def test_the_longer_side_is_as_shown(width, height):
    """Small faces are enlarged; a narrow picture stays narrow."""
    picture = crop(grey(width, height), (0.0, 0.0, 1.0, 1.0), (width, height))
    assert max(picture.size) == SHOWN_PX
    assert min(picture.size) >= 1


def test_the_box_is_drawn_where_the_face_is():
    """A 32 px box in the middle of a region of 96 px: from a third to two thirds of the crop."""
    picture = crop(grey(400, 400), (184.0, 184.0, 216.0, 216.0), (400, 400))
    third = SHOWN_PX / 3
    assert yellow(picture) == pytest.approx((third, third, 2 * third, 2 * third), abs=3)


def test_the_crop_shows_the_right_place():
    """What is dark in the picture is dark inside the box and nowhere else."""
    rgb = grey(400, 300)
    rgb[50:90, 300:340] = 0
    pixels = np.asarray(crop(rgb, (300.0, 50.0, 340.0, 90.0), (400, 300))).astype(int)
    left, top, right, bottom = yellow(pixels)
    assert pixels[top + 8 : bottom - 7, left + 8 : right - 7].max() < 20
    assert pixels[: top - 8].min() > 100
    assert pixels[:, right + 8 :].min() > 100


def test_annotations_of_another_size_are_scaled():
    """A picture that was annotated at half its size shows the same place."""
    rgb = grey(400, 400)
    rgb[200:240, 200:240] = 0
    half = crop(rgb, (100.0, 100.0, 120.0, 120.0), (200, 200))
    assert np.array_equal(half, crop(rgb, (200.0, 200.0, 240.0, 240.0), (400, 400)))


def test_a_box_that_reaches_out_is_drawn_as_far_as_it_goes():
    """Annotated boxes may leave the picture; the crop does not."""
    picture = crop(grey(LEAST_PX, LEAST_PX), (-20.0, -20.0, 24.0, 24.0), (LEAST_PX, LEAST_PX))
    assert yellow(picture)[2:] == pytest.approx((SHOWN_PX / 2, SHOWN_PX / 2), abs=3)


def test_nothing_else_goes_along(tmp_path):
    """The file has pixels only: no comment, no place, no camera."""
    path = tmp_path / "crop.png"
    crop(grey(100, 100), (10.0, 10.0, 40.0, 40.0), (100, 100)).save(path)
    content = path.read_bytes()
    assert not [chunk for chunk in (b"tEXt", b"iTXt", b"zTXt", b"eXIf", b"tIME", b"iCCP") if chunk in content]
