"""Light and sharpness of a picture, sizes of faces: services.inference.core.picture_quality."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from services.inference.core.faces import Face
from services.inference.core.picture_quality import Meter, size_of

METER = Meter(1920)
LUMA = arrays(np.uint8, st.tuples(st.integers(3, 80), st.integers(3, 60)))


def scene(seed=5, rows=120, columns=200):
    """Rectangles of many sizes: edges of every height."""
    random = np.random.default_rng(seed)
    luma = np.full((rows, columns), 90, np.uint8)
    for _ in range(60):
        y, x = random.integers(0, rows), random.integers(0, columns)
        luma[y : y + random.integers(4, 30), x : x + random.integers(4, 30)] = random.integers(40, 200)
    return luma


def blurred(luma, times):
    """Each time a mean over 3 x 3 pixels."""
    result = luma.astype(float)
    for _ in range(times):
        result = sum(np.roll(result, (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)) / 9
    return np.rint(result).astype(np.uint8)


@given(LUMA)
def test_as_defined(luma):
    """The strips sum up to what the definition gives over the whole picture, and nothing of it stays in the buffers."""
    light = METER.measure(luma)
    y = luma.astype(float)
    middle = y[1:-1, 1:-1]
    assert light.brightness == pytest.approx(np.clip((middle.mean() - 16) / 219, 0, 1), abs=1e-4)
    assert light.dark == pytest.approx((middle <= 32).mean())
    assert light.clipped == pytest.approx((middle >= 230).mean())
    laplacian = 4 * middle - y[:-2, 1:-1] - y[2:, 1:-1] - y[1:-1, :-2] - y[1:-1, 2:]
    gradient = (middle - y[1:-1, :-2]) ** 2 + (middle - y[:-2, 1:-1]) ** 2
    black = y == 16
    clear = ~(black[1:-1, 1:-1] | black[:-2, 1:-1] | black[2:, 1:-1] | black[1:-1, :-2] | black[1:-1, 2:])
    if light.sharpness is not None:
        found = (laplacian[clear] ** 2).sum() / gradient[clear].sum() / 8
        assert light.sharpness == pytest.approx(min(1, found), rel=1e-3)
    assert not any(buffer.any() for buffer in (METER._strip, METER._work, METER._mask, METER._black))


def test_sharpness_falls_with_blur_and_not_with_contrast_or_black_areas():
    """What makes it comparable between scenes; a picture without contrast has none."""
    sharp = METER.measure(scene()).sharpness
    steps = [METER.measure(blurred(scene(), times)).sharpness for times in (1, 2, 4)]
    assert sharp > 2 * steps[0] > 2.5 * steps[1] > 2.5 * steps[2]
    flat = (scene() // 2 + 50).astype(np.uint8)
    assert METER.measure(flat).sharpness == pytest.approx(sharp, rel=0.05)
    for picture, around in ((scene(), 0.1), *((blurred(scene(), times), 0.2) for times in (1, 2, 4))):
        whole = METER.measure(picture).sharpness
        masked = picture.copy()
        masked[30:90, 40:160] = 16
        assert METER.measure(masked).sharpness == pytest.approx(whole, rel=around)
    assert METER.measure(np.full((40, 40), 128, np.uint8)).sharpness is None


@pytest.mark.parametrize("shape", [(2, 8), (8, 2), (8, 8, 3), (8, 1921)])
def test_what_is_no_luma_plane(shape):
    """Too narrow, too wide or of another dimension."""
    with pytest.raises(ValueError, match="can't be measured"):
        METER.measure(np.zeros(shape, np.uint8))


@pytest.mark.parametrize(
    ("verdict", "side", "unknown"),
    [("masked", 0.5, None), ("unknown", 0.5, "unsure"), ("unknown", 0.05, "too-small"), ("unmasked", 0.05, None)],
)
def test_a_face_without_its_verdict(verdict, side, unknown):
    """The size, and why there was no verdict; not which there was."""
    size = size_of(Face(0.0, 0.0, side, side, verdict, 0.9, 0.9), 200, 50, 10.0)
    assert (size.box, size.px, size.unknown) == ((0.0, 0.0, side, side), pytest.approx(100 * side), unknown)
