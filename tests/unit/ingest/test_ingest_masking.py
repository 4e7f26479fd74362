"""Privacy masks: nothing of what lies inside an area is left in the analysed picture."""

import av
import numpy as np
import pytest
from av.video.reformatter import Interpolation, VideoReformatter
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.core.masking import Mask
from services.ingest.core.picture import analysis_size, i420_size, plane_shapes

TRIANGLE = ((0.2, 0.3), (0.7, 0.25), (0.45, 0.8))
BOX = ((0.0, 0.0), (0.3, 0.0), (0.3, 0.4), (0.0, 0.4))
SHAPES = {"triangle": (TRIANGLE,), "corner": (BOX,), "both": (TRIANGLE, BOX)}
SIZES = [(1920, 1080), (1280, 720), (640, 360), (320, 240), (1080, 1920), (352, 288), (2592, 1944)]


def inside(width, height, polygons):
    """Every pixel of a camera's picture that touches a polygon, by drawing it far too large and looking closely."""
    fine = 4
    x = (np.arange(width * fine) + 0.5) / (width * fine)
    y = (np.arange(height * fine) + 0.5)[:, None] / (height * fine)
    found = np.zeros((height * fine, width * fine), bool)
    for polygon in polygons:
        winding = np.zeros(found.shape, bool)
        for (ax, ay), (bx, by) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
            if ay != by:
                winding ^= ((ay > y) != (by > y)) & (x < (bx - ax) * (y - ay) / (by - ay) + ax)
        found |= winding
    return found.reshape(height, fine, width, fine).any((1, 3))


def analysed(rgb, polygons):
    """The picture as ingest makes it: scaled by FFmpeg to I420, then masked."""
    height, width = rgb.shape[:2]
    w, h = analysis_size(width, height, 640)
    frame = av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format="yuv420p")
    small = VideoReformatter().reformat(frame, width=w, height=h, interpolation=Interpolation.AREA, threads=1)
    pixels = np.concatenate(
        [
            np.frombuffer(memoryview(plane), np.uint8)[: rows * plane.line_size].reshape(rows, -1)[:, :columns].ravel()
            for plane, (rows, columns) in zip(small.planes, plane_shapes(w, h), strict=True)
        ]
    )
    Mask(polygons, w, h, (width, height)).blank(memoryview(pixels))
    return pixels, w, h


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_inside_changes_nothing(size, shape):
    """Whatever is inside, the analysed picture is the same to the last bit: nothing of it survives."""
    width, height = size
    where, dice = inside(width, height, SHAPES[shape]), np.random.default_rng(7)
    picture = dice.integers(0, 256, (height, width, 3), np.uint8)
    first, w, h = analysed(picture, SHAPES[shape])
    for secret in (np.uint8(255), dice.integers(0, 256, (height, width, 3), np.uint8)[where]):
        other = picture.copy()
        other[where] = secret
        assert not np.array_equal(other, picture)
        assert np.array_equal(analysed(other, SHAPES[shape])[0], first)
    assert len(first) == i420_size(w, h)


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
def test_what_is_far_outside_stays(size):
    """Pixels a little away from every polygon are those of the picture without a mask."""
    width, height = size
    picture = np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)
    (masked, w, h), (plain, _, _) = analysed(picture, (TRIANGLE,)), analysed(picture, ())
    luma, before = masked[: w * h].reshape(h, w), plain[: w * h].reshape(h, w)
    assert np.array_equal(luma[: int(0.2 * h)], before[: int(0.2 * h)])
    assert np.array_equal(luma[:, int(0.8 * w) :], before[:, int(0.8 * w) :])
    assert (luma[int(0.4 * h), int(0.4 * w) : int(0.5 * w)] == 16).all()


def test_no_polygon_no_change():
    """Without an area nothing is touched."""
    pixels = np.arange(i420_size(64, 32), dtype=np.uint32).astype(np.uint8)
    before = pixels.copy()
    Mask((), 64, 32, (128, 64)).blank(memoryview(pixels))
    assert np.array_equal(pixels, before)


share = st.floats(0, 1)
polygons = st.lists(st.tuples(share, share), min_size=3, max_size=7).map(tuple)


@settings(max_examples=30, deadline=None)
@given(polygons, st.sampled_from([(96, 64), (320, 200)]))
def test_any_polygon_hides_its_inside(polygon, source):
    """Also for polygons that cross themselves or have no area."""
    width, height = source
    where = inside(width, height, (polygon,))
    picture = np.full((height, width, 3), 120, np.uint8)
    other = picture.copy()
    other[where] = 255
    assert np.array_equal(analysed(other, (polygon,))[0], analysed(picture, (polygon,))[0])
