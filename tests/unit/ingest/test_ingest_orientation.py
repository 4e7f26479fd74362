"""How pictures are turned upright: services.ingest.core.orientation."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.ingest.core.orientation import UPRIGHT, Turn, turn_by, turn_of

TURNS = st.builds(Turn, st.booleans(), st.booleans(), st.booleans())
SIDES = st.integers(1, 12)


def matrix_of(turn, scale=1):
    """Return the display matrix of a turn, written down from its definition: where (1, 0) and (0, 1) are shown."""
    x, y = (-scale if turn.flipped_x else scale), (-scale if turn.flipped_y else scale)
    return (0, y, 0, x, 0, 0, 0, 0, 1) if turn.transposed else (x, 0, 0, 0, y, 0, 0, 0, 1)


@given(TURNS, st.floats(0.01, 65_536.0))
def test_each_matrix_of_a_quarter_turn_is_read(turn, scale):
    """All eight, whatever the matrix is scaled by: fixed-point numbers need no conversion."""
    assert turn_of(matrix_of(turn, scale)) == turn


@given(TURNS, SIDES, SIDES)
def test_each_pixel_is_shown_where_the_matrix_says(turn, width, height):
    """The pixel at (x, y) comes to the place that the matrix gives; its middle is mapped, then the picture is moved."""
    plane = np.arange(width * height, dtype=np.uint8).reshape(height, width)
    shown = turn.upright(plane)
    a, b, _, c, d, *_ = matrix_of(turn)
    wide, high = turn.size((width, height))
    assert shown.shape == (high, wide)
    for y in range(height):
        for x in range(width):
            right, down = a * x + c * y, b * x + d * y
            assert shown[down + (high - 1 if b + d < 0 else 0), right + (wide - 1 if a + c < 0 else 0)] == plane[y, x]


@given(TURNS, SIDES, SIDES)
def test_a_turn_copies_nothing_and_its_size_is_its_own_inverse(turn, width, height):
    """What is returned are the plane's own pixels: no second plain picture comes into being."""
    plane = np.zeros((height, width), np.uint8)
    assert np.shares_memory(turn.upright(plane), plane)
    assert turn.size(turn.size((width, height))) == (width, height)


@pytest.mark.parametrize(
    ("degrees", "turn"),
    [
        (0, UPRIGHT),
        (-90, Turn(transposed=True, flipped_x=True)),
        (90, Turn(transposed=True, flipped_y=True)),
        (180, Turn(flipped_x=True, flipped_y=True)),
        (-180, Turn(flipped_x=True, flipped_y=True)),
    ],
)
def test_a_quarter_turn_is_anticlockwise(degrees, turn):
    """As FFmpeg tells angles: a phone held upright has -90, and its first row becomes the last column."""
    assert turn_by(degrees) == turn


@given(st.floats(-180, 180))
def test_any_other_angle_counts_as_the_nearest_quarter_turn(degrees):
    """No picture is dropped for an odd mark, and none is turned by anything but 90 degrees."""
    quarter = round(degrees / 90)
    assume(abs(degrees / 90 - quarter) < 0.499)
    assert turn_by(degrees) == turn_by(90 * quarter)


@pytest.mark.parametrize("degrees", [math.nan, math.inf, -(2**31), 181])
def test_what_is_no_angle_turns_nothing(degrees):
    """FFmpeg tells a matrix without an angle as not a number, which PyAV makes the smallest integer."""
    assert turn_by(degrees) == UPRIGHT


def test_a_matrix_without_numbers_flips_nothing():
    """A file may hold one of zeros, or half of one."""
    assert turn_of((0,) * 9) == UPRIGHT
    assert turn_of((0, 1, *(0,) * 7)) == turn_of((0, 0, 0, 1, *(0,) * 5)) == Turn(transposed=True)
