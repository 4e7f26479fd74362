"""Geometry of the analysed picture: services.ingest.core.picture."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.core.picture import analysis_size, i420_size, plane_shapes

sides = st.integers(1, 8192)
long_sides = st.integers(5, 60).map(lambda n: n * 32)


@pytest.mark.parametrize(
    ("source", "long_side", "size"),
    [
        ((1920, 1080), 640, (640, 360)),
        ((1280, 720), 320, (320, 180)),
        ((640, 480), 640, (640, 480)),
        ((320, 240), 640, (640, 480)),
        ((1080, 1920), 640, (352, 640)),
        ((480, 640), 640, (480, 640)),
        ((1000, 1000), 640, (640, 640)),
        ((1919, 1079), 640, (640, 360)),
        ((8192, 16), 640, (640, 32)),
        ((16, 8192), 640, (32, 640)),
    ],
)
def test_known_sizes(source, long_side, size):
    """Usual cameras, portrait, upscaled, odd and absurd ones."""
    assert analysis_size(*source, long_side) == size


@given(sides, sides, long_sides)
def test_sides_are_bounded_and_aligned(width, height, long_side):
    """The longer side is long_side, both are multiples of 4 and 32 at least."""
    w, h = analysis_size(width, height, long_side)
    assert max(w, h) == long_side
    assert (w if width >= height else h) == long_side
    assert w % 4 == h % 4 == 0
    assert min(w, h) >= 32


@given(sides, sides, long_sides)
def test_aspect_is_kept(width, height, long_side):
    """Where the smallest side does not interfere, the aspect is right within 3 % or the rounding to 4."""
    w, h = analysis_size(width, height, long_side)
    exact = long_side * min(width, height) / max(width, height)
    if exact >= 32:
        assert abs(min(w, h) - exact) <= max(0.03 * exact, 2.0 + 1e-6)


@given(sides, sides, long_sides)
def test_landscape_rows_have_no_padding(width, height, long_side):
    """Every landscape picture's width is a multiple of 32."""
    if width >= height:
        assert analysis_size(width, height, long_side)[0] % 32 == 0


@given(sides, sides, long_sides)
def test_planes_fill_the_picture(width, height, long_side):
    """Y, U and V together are the I420 byte count, and fit a buffer of long_side squared."""
    w, h = analysis_size(width, height, long_side)
    assert sum(rows * columns for rows, columns in plane_shapes(w, h)) == i420_size(w, h) == w * h * 3 // 2
    assert i420_size(w, h) <= i420_size(long_side, long_side)


@pytest.mark.parametrize("bad", [(0, 10, 640), (10, 0, 640), (-1, 10, 640), (10, 10, 30), (10, 10, 642)])
def test_impossible_sizes_are_refused(bad):
    """No size, or a long side that is too small or no multiple of 4, is a ValueError that says what would be right."""
    with pytest.raises(ValueError, match=r"multiple of 4|at least"):
        analysis_size(*bad)
