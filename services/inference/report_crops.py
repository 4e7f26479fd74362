"""Cuts what the model got wrong out of an annotated picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from services.inference.core.scoring import Corners

AROUND = 3.0
"""How many times the box's longer side is shown, so that one sees what the face is part of."""
LEAST_PX = 48
SHOWN_PX = 320

Sides = tuple[int, int]


def region(box: Corners, width: int, height: int) -> tuple[int, int, int, int]:
    """The square around a box, cut at the picture's edges: left, top, right, bottom in pixels, never empty."""
    half = max(AROUND * max(box[2] - box[0], box[3] - box[1]), LEAST_PX) / 2
    x = min(max((box[0] + box[2]) / 2, 0.0), width - 1.0)
    y = min(max((box[1] + box[3]) / 2, 0.0), height - 1.0)
    left, top = max(0, int(x - half)), max(0, int(y - half))
    return left, top, min(width, round(x + half)), min(height, round(y + half))


def crop(picture: NDArray[np.uint8], box: Corners, annotated: Sides) -> Image.Image:
    """The surroundings of a box, its longer side scaled to 320 px, with the box drawn.

    `picture` is RGB [H, W, 3], `box` in pixels of a picture of the `annotated` width and height.
    """
    height, width = picture.shape[:2]
    x, y = width / annotated[0], height / annotated[1]
    own = (box[0] * x, box[1] * y, box[2] * x, box[3] * y)
    left, top, right, bottom = region(own, width, height)
    scale = SHOWN_PX / max(right - left, bottom - top)
    sides = (max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale)))
    part = Image.fromarray(np.ascontiguousarray(picture[top:bottom, left:right]))
    shown = part.resize(sides, Image.Resampling.BICUBIC)
    _outline(shown, tuple((own[place] - (left, top)[place % 2]) * scale for place in range(4)))
    return shown


def _outline(picture: Image.Image, corners: tuple[float, ...]) -> None:
    """Draws the box in yellow on black, which shows on every picture."""
    draw = ImageDraw.Draw(picture)
    draw.rectangle((corners[0] - 1, corners[1] - 1, corners[2] + 1, corners[3] + 1), outline="black", width=4)
    draw.rectangle(corners, outline="yellow", width=2)
