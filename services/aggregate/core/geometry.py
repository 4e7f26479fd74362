"""Where faces are, in picture widths, so that x and y can be compared whatever the picture's aspect."""

from dataclasses import dataclass
from math import sqrt

from proto.types import Box


@dataclass(frozen=True, slots=True)
class Location:
    """Where a face is: its centre and its size (the geometric mean of its sides), all in picture widths."""

    x: float
    y: float
    size: float


SMALLEST = 1e-4
"""A box of no area still has a size, so that nothing divides by zero."""


def place(box: Box, aspect: float) -> Location:
    """Return the place of a normalised box in a picture of this aspect (width / height)."""
    x1, y1, x2, y2 = box
    size = sqrt(max(0.0, x2 - x1) * max(0.0, y2 - y1) / aspect)
    return Location((x1 + x2) / 2, (y1 + y2) / 2 / aspect, max(size, SMALLEST))
