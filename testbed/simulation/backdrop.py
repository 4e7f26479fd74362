"""The empty scene behind the passers-by: a market hall, drawn once per camera."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from testbed.simulation.walkers import HEIGHT, WIDTH

Colour = tuple[int, int, int]
_FLOOR = 236
"""Where the wall ends."""
_AWNINGS: tuple[tuple[Colour, Colour], ...] = (
    ((178, 66, 58), (232, 226, 214)),
    ((62, 104, 92), (228, 226, 212)),
    ((66, 88, 132), (226, 228, 232)),
    ((188, 140, 62), (236, 230, 216)),
)
_GOODS: tuple[Colour, ...] = ((196, 120, 50), (150, 168, 70), (186, 62, 52), (214, 186, 92), (112, 84, 120))


def backdrop(seed: int) -> Image.Image:
    """Return the scene of this seed as RGB: wall, floor, stalls, pillars, lamps, slightly out of focus, with grain."""
    source = np.random.default_rng(seed)
    picture = Image.fromarray(_room(source))
    pen = ImageDraw.Draw(picture, "RGBA")
    _tiles(pen)
    for index, left in enumerate(range(-30, WIDTH, 230)):
        _stall(pen, left + int(source.integers(-14, 14)), source, index)
    for left in (128, 372, 598):
        _pillar(pen, left + int(source.integers(-10, 10)))
    soft = picture.filter(ImageFilter.GaussianBlur(1.4))
    grain = source.normal(0, 2.5, (HEIGHT, WIDTH, 1))
    return Image.fromarray(np.clip(np.asarray(soft, np.float32) + grain, 0, 255).astype(np.uint8))


def _room(source: np.random.Generator) -> np.ndarray:
    """Return wall and floor, lit from above, in a tone of the camera's own."""
    tone = np.array([176, 170, 158], np.float32) + source.integers(-14, 14, 3)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    wall = 1.08 - 0.3 * y / _FLOOR
    floor = 0.62 + 0.24 * (y - _FLOOR) / (HEIGHT - _FLOOR)
    lamps = sum(0.16 * np.exp(-(((x - at) / 70) ** 2) - ((y - 12) / 60) ** 2) for at in (90, 320, 550))
    light = np.where(y < _FLOOR, wall, floor) + lamps
    return np.asarray(np.clip(light[..., None] * tone, 0, 255).astype(np.uint8))


def _tiles(pen: ImageDraw.ImageDraw) -> None:
    for step in range(-14, 15):
        pen.line((WIDTH / 2 + step * 34, _FLOOR, WIDTH / 2 + step * 110, HEIGHT), fill=(60, 56, 52, 70), width=1)
    for step in range(1, 7):
        y = _FLOOR + step * step * 3.4
        pen.line((0, y, WIDTH, y), fill=(60, 56, 52, 70), width=1)


def _stall(pen: ImageDraw.ImageDraw, left: int, source: np.random.Generator, index: int) -> None:
    """Draw a stall: shelf with crates of goods below a striped awning."""
    width, top, counter = 170, 58, 196
    pen.rectangle((left + 6, top + 30, left + width - 6, _FLOOR + 6), fill=(88, 78, 68, 190))
    pen.rectangle((left, counter, left + width, _FLOOR + 8), fill=(116, 88, 62, 255))
    for crate in range(6):
        colour = _GOODS[int(source.integers(len(_GOODS)))]
        x = left + 6 + crate * 27
        pen.rectangle((x, counter - 14, x + 23, counter + 6), fill=(140, 112, 80, 255))
        for fruit in range(5):
            pen.ellipse((x + fruit * 4, counter - 20 + fruit % 2 * 3, x + 8 + fruit * 4, counter - 12), fill=colour)
    for stripe, x in enumerate(range(left - 8, left + width + 8, 17)):
        colour = _AWNINGS[index % len(_AWNINGS)][stripe % 2]
        pen.polygon(((x + 5, top), (x + 17, top), (x + 17, top + 34), (x, top + 34)), fill=colour)
        pen.pieslice((x, top + 27, x + 17, top + 42), 0, 180, fill=colour)


def _pillar(pen: ImageDraw.ImageDraw, left: int) -> None:
    for column in range(26):
        light = round(150 + 46 * (1 - abs(column - 9) / 17))
        pen.line((left + column, 0, left + column, _FLOOR + 10), fill=(light, light - 3, light - 9, 255))
    pen.rectangle((left - 5, _FLOOR + 2, left + 31, _FLOOR + 14), fill=(120, 116, 110, 255))
