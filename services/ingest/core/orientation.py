"""How a picture must be turned to stand upright, as the display matrix of its stream or picture says.

A phone that is held upright encodes its pictures as its sensor sees them, lying on their side. A matrix beside them
says how to show them (ISO/IEC 14496-12, 6.2.2; H.264 and H.265 have a message for it, JPEG has EXIF). Turns are
multiples of 90 degrees, with or without a mirror. Any other matrix counts as the nearest of them.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Turn(NamedTuple):
    """One of the eight ways to turn and mirror a picture: first rows become columns, then both axes are flipped."""

    transposed: bool = False
    flipped_x: bool = False
    flipped_y: bool = False

    def size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return (width, height) after the turn; also the size before it, given the one after it."""
        width, height = size
        return (height, width) if self.transposed else (width, height)

    def upright(self, plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a view of a plane [rows, columns] that shows it turned; no pixel is copied."""
        shown = plane.T if self.transposed else plane
        return shown[:: -1 if self.flipped_y else 1, :: -1 if self.flipped_x else 1]


UPRIGHT = Turn()
"""The turn of a picture that is upright as it was encoded."""


def turn_of(matrix: Sequence[float]) -> Turn:
    """Return the turn of a display matrix, whose nine numbers stand row by row.

    A point (x, y) of the encoded picture, y downwards, is shown at (a x + c y, b x + d y), with a, b, c, d the numbers
    0, 1, 3 and 4. A matrix of zeros turns nothing.
    """
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Turn(transposed=True, flipped_x=c < 0, flipped_y=b < 0)
    return Turn(flipped_x=a < 0, flipped_y=d < 0)


def turn_by(degrees: float) -> Turn:
    """Return the turn by an angle in degrees, anticlockwise; none for an angle that no rotation has."""
    if not abs(degrees) <= 180:
        return UPRIGHT
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return turn_of((cosine, -sine, 0, sine, cosine))
