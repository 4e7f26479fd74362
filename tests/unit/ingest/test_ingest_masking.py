"""Privacy masks: each pixel that holds something of an area is black, and no other is touched."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.core.picture import Grid, Mask, Masking, PictureChanged, hidden_share, plane_shapes

POINT = st.tuples(*[st.integers(0, 64).map(lambda n: n / 64)] * 2)
SIZES = st.sampled_from([(32, 16), (16, 32), (16, 16), (64, 16)])


def rectangle(left, top, right, bottom):
    """Return a rectangle's corners."""
    return (left, top), (right, top), (right, bottom), (left, bottom)


def goes_round(x, y, polygon):
    """Whether a polygon goes round a point: by the angle that it turns through as seen from there."""
    turned = 0.0
    for (ax, ay), (bx, by) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        turn = math.atan2(by - y, bx - x) - math.atan2(ay - y, ax - x)
        turned += math.remainder(turn, math.tau)
    return abs(turned) > math.pi


def gap(x, y, polygon, reach_x, reach_y):
    """Return how far a point is from a polygon's edges, in reaches."""
    found = math.inf
    for (ax, ay), (bx, by) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        px, py = (x - ax) / reach_x, (y - ay) / reach_y
        ex, ey = (bx - ax) / reach_x, (by - ay) / reach_y
        along = min(1.0, max(0.0, (px * ex + py * ey) / (ex * ex + ey * ey))) if ex or ey else 0.0
        found = min(found, math.hypot(px - along * ex, py - along * ey))
    return found


@given(st.lists(POINT, min_size=3, max_size=5).map(tuple), SIZES, SIZES)
def test_pixels_that_hold_something_of_an_area_are_black(polygon, analysed, luma):
    """A pixel is black if the area goes round its middle, or comes as near as FFmpeg's scaler looks, corners included.

    The scaler looks 1.5 pixels far, of the coarser of the camera's and the analysed picture.
    """
    chroma = (luma[0] // 2, luma[1] // 2)
    picture = np.full(analysed[0] * analysed[1] * 3 // 2, 77, np.uint8)
    Mask((polygon,), Grid(luma, chroma, analysed)).blank(memoryview(picture))
    start = 0
    for (rows, columns), source, black in zip(
        plane_shapes(*analysed), (luma, chroma, chroma), (16, 128, 128), strict=True
    ):
        reach = 1.5 / min(columns, source[0]), 1.5 / min(rows, source[1])
        for row, column in np.ndindex(rows, columns):
            x, y = (column + 0.5) / columns, (row + 0.5) / rows
            away = gap(x, y, polygon, *reach)
            if abs(away - math.sqrt(2)) > 1e-6:
                is_covered = away < math.sqrt(2) or goes_round(x, y, polygon)
                assert picture[start + row * columns + column] == (black if is_covered else 77), (row, column)
        start += rows * columns
    assert start == picture.size


@pytest.mark.parametrize(
    ("areas", "share"),
    [
        ((rectangle(0.25, 0.25, 0.75, 0.75),), 0.25),
        ((rectangle(0.5 / 128, 0.0, 0.5, 1.0),), 0.5),  # an edge through the middles of pixels counts at one side
        ((rectangle(0.0, 0.5 / 128, 1.0, 0.5),), 0.5),
        ((rectangle(0.0, 0.0, 0.5, 0.5), rectangle(0.25, 0.0, 0.75, 0.5)), 0.375),  # overlaps count once
        ((((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)),), 0.5),
        ((), 0.0),
    ],
)
def test_the_share_that_is_hidden(areas, share):
    """It is the area inside at least one polygon, to within a few percent of itself."""
    assert hidden_share(areas) == pytest.approx(share, rel=0.02)
    if all(len(area) == 4 for area in areas):
        assert hidden_share(areas) == share


def test_a_picture_of_another_size_is_refused():
    """The error names both sizes, the camera's first; the size that was drawn on is no error."""
    masking = Masking((rectangle(0.0, 0.0, 0.5, 0.5),), (640, 480))
    masking.check((640, 480))
    with pytest.raises(
        PictureChanged, match="the picture is 1280x720 and the privacy areas were drawn for 640x480; look"
    ):
        masking.check((1280, 720))


def test_a_mask_is_made_once_for_each_grid():
    """Pictures of the same grid share a mask; another grid gets another."""
    masking, grid = Masking((rectangle(0.0, 0.0, 0.5, 0.5),), (64, 32)), Grid((64, 32), (32, 16), (32, 16))
    mask = masking.mask(grid)
    assert masking.mask(Grid((64, 32), (32, 16), (32, 16))) is mask
    assert masking.mask(Grid((64, 32), (32, 16), (16, 16))) is not mask
