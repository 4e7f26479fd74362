"""Boxes and distances, in picture widths, so that x and y can be compared whatever the picture's aspect."""

from dataclasses import dataclass
from math import hypot, sqrt

from proto.types import Box


@dataclass(frozen=True, slots=True)
class Place:
    """Where a face is: its centre and its size (the geometric mean of its sides), all in picture widths."""

    x: float
    y: float
    size: float


SMALLEST = 1e-4
"""A box of no area still has a size, so that nothing divides by zero."""


def place(box: Box, aspect: float) -> Place:
    """Return the place of a normalised box in a picture of this aspect (width / height)."""
    x1, y1, x2, y2 = box
    size = sqrt(max(0.0, x2 - x1) * max(0.0, y2 - y1) / aspect)
    return Place((x1 + x2) / 2, (y1 + y2) / 2 / aspect, max(size, SMALLEST))


def distance(a: Box, b: Box, aspect: float) -> float:
    """Return the distance of two boxes' centres in picture widths."""
    p, q = place(a, aspect), place(b, aspect)
    return hypot(p.x - q.x, p.y - q.y)


def iou(a: Box, b: Box) -> float:
    """Return intersection over union, 0..1; the aspect cancels out."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    common = width * height
    return common / (_area(a) + _area(b) - common)


def interpolate(a: Box, b: Box, share: float) -> Box:
    """Return the box that lies `share` (0..1) of the way from `a` to `b`."""
    x1, y1, x2, y2 = (p + (q - p) * share for p, q in zip(a, b, strict=True))
    return (x1, y1, x2, y2)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
