"""Passers-by drawn at run time: head and shoulders of one public-domain portrait, a coat, legs, and a mask or none.

The portrait is NASA's of astronaut Eileen Collins (S93-35001); scikit-image ships it as `data.astronaut()`. The model
was never trained or validated on it. All coordinates here are pixels of that portrait.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import skimage
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter
from PIL.Image import Resampling

from testbed.simulation.walkers import FIGURE

Colour = tuple[int, int, int]
Point = tuple[float, float]

LEFT = 12
"""The figure begins at this column of the portrait."""
WIDTH, HEIGHT = FIGURE
COATS: tuple[Colour, ...] = (
    (196, 84, 52),
    (44, 58, 84),
    (98, 104, 74),
    (120, 62, 78),
    (150, 138, 116),
    (62, 62, 66),
    (52, 104, 112),
    (168, 142, 66),
)
TROUSERS: tuple[Colour, ...] = ((38, 42, 56), (58, 50, 44), (30, 30, 32), (84, 88, 98))
MASKS: tuple[Colour, ...] = ((156, 196, 218), (226, 230, 232), (46, 48, 54), (150, 204, 184), (214, 224, 236))
HAIR: tuple[tuple[float, float, float], ...] = (
    (1.0, 1.0, 1.0),
    (0.55, 0.5, 0.5),
    (0.3, 0.29, 0.3),
    (0.95, 1.02, 1.15),
    (0.85, 0.66, 0.52),
    (1.15, 1.1, 0.9),
)
SKIN: tuple[tuple[float, float, float], ...] = (
    (1.0, 1.0, 1.0),
    (0.94, 0.9, 0.86),
    (0.86, 0.8, 0.74),
    (1.02, 1.0, 0.98),
)

_HEAD: tuple[Point, ...] = (
    (157, 62), (163, 47), (186, 36), (200, 24), (216, 17), (233, 16), (252, 19), (272, 27), (286, 42), (295, 56),
    (301, 78), (300, 100), (294, 116), (285, 125), (276, 136), (266, 137), (261, 160), (254, 178), (254, 205),
    (186, 205), (186, 166), (183, 135), (174, 127), (165, 114), (155, 97), (154, 78),
)  # fmt: skip
_HAIR: tuple[Point, ...] = (
    (157, 62), (163, 47), (186, 36), (200, 24), (216, 17), (233, 16), (252, 19), (272, 27), (286, 42), (295, 56),
    (301, 78), (300, 100), (294, 116), (285, 125), (274, 127), (271, 108), (268, 90), (250, 86), (236, 80), (215, 78),
    (190, 72), (188, 90), (182, 108), (179, 122), (170, 118), (155, 97), (154, 78),
)  # fmt: skip
_SHOULDERS: tuple[Point, ...] = (
    (118, 203), (128, 176), (142, 158), (162, 150), (183, 149), (190, 190), (252, 190), (270, 178), (288, 198),
    (300, 220), (306, 240), (328, 258), (346, 282), (355, 312), (358, 352), (22, 352), (30, 314), (48, 280), (68, 252),
    (94, 228), (113, 212),
)  # fmt: skip
_COAT: tuple[Point, ...] = (
    (60, 276), (326, 276), (352, 318), (366, 420), (368, 560), (352, 604), (334, 606), (338, 720), (50, 720), (52, 606),
    (32, 604), (16, 560), (20, 420), (34, 318),
)  # fmt: skip
_MASK: tuple[Point, ...] = (
    (182, 124), (196, 117), (212, 112), (225, 110), (238, 112), (252, 118), (267, 127), (264, 146), (259, 162),
    (250, 178), (238, 187), (225, 190), (208, 186), (196, 176), (188, 160), (184, 143),
)  # fmt: skip
_STRAPS: tuple[tuple[Point, Point], ...] = (
    ((183, 125), (176, 112)), ((188, 160), (177, 130)), ((266, 128), (273, 116)), ((259, 162), (271, 135)),
)  # fmt: skip
_JOIN, _HEM, _FEET = 336, 724, 1150
"""The rows at which photograph and drawing meet, the coat ends, and the feet stand."""
_CHIN = 190


@dataclass(frozen=True, slots=True)
class Appearance:
    """The look of one passer-by, as indices into the palettes above."""

    hair: int
    skin: int
    coat: int
    trousers: int
    mask: int | None
    flipped: bool
    low: bool = False
    """Whether the mask is worn below the nose."""
    turned: bool = False
    """Whether the camera sees the back of the head, and no face."""

    @classmethod
    def drawn(cls, seed: int, *, masked: bool, flipped: bool = False) -> "Appearance":
        """Return the look of this seed. `masked` changes only the mask."""
        palettes = (HAIR, SKIN, COATS, TROUSERS, MASKS)
        picks = np.random.default_rng(seed).integers([len(palette) for palette in palettes]).tolist()
        hair, skin, coat, trousers, mask = picks
        return cls(hair, skin, coat, trousers, mask if masked else None, flipped)


class PersonDrawing:
    """One person down to `shown` pixels below the figure's top, at `scale` times the portrait.

    `head` takes the place of the portrait's head.
    """

    def __init__(self, look: Appearance, scale: float, shown: int, head: Image.Image | None = None) -> None:
        upper = _coat(look.coat).copy()
        upper.alpha_composite(head or _head(look))
        self._look, self._scale, self._shown = look, scale, min(shown, round(HEIGHT * scale))
        self._width = round(WIDTH * scale)
        cut = min(_HEM, ceil(shown / scale))
        self._upper = upper.crop((0, 0, WIDTH, cut)).resize((self._width, round(cut * scale)), Resampling.LANCZOS)

    @property
    def shows_legs(self) -> bool:
        """Whether the picture reaches below the coat's hem."""
        return self._shown > self._upper.height

    def picture(self, stride: float = 0.0) -> Image.Image:
        """Return the person as RGBA; `stride` -1 to 1 says how the legs stand."""
        person = Image.new("RGBA", (self._width, self._shown))
        if self.shows_legs:
            _stand(person, TROUSERS[self._look.trousers], stride, self._scale)
        person.alpha_composite(self._upper.crop((0, 0, self._width, min(self._shown, self._upper.height))))
        return person.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if self._look.flipped else person


@lru_cache(maxsize=1)
def _portrait() -> Image.Image:
    path = Path(skimage.__file__).parent / "data" / "astronaut.png"
    with Image.open(path) as picture:
        return picture.convert("RGB").crop((LEFT, 0, LEFT + WIDTH, 512))


@lru_cache(maxsize=64)
def _head(look: Appearance) -> Image.Image:
    tinted = _tinted(_portrait(), SKIN[look.skin], _soft(_HEAD, 512))
    head = _tinted(tinted, _ratio(HAIR[look.hair], SKIN[look.skin]), _soft(_HAIR, 512))
    if look.turned:
        _turn(head, HAIR[look.hair])
    elif look.mask is not None:
        _wear(head, MASKS[look.mask], low=look.low)
    canvas = Image.new("RGBA", (WIDTH, _HEM))
    canvas.paste(head, (0, 0), _soft(_HEAD, 512))
    return canvas


def _ratio(wanted: tuple[float, ...], had: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(w / h for w, h in zip(wanted, had, strict=True))


def _tinted(picture: Image.Image, gains: tuple[float, ...], where: Image.Image) -> Image.Image:
    pixels = np.asarray(picture, np.float32) * np.array(gains, np.float32)
    return Image.composite(Image.fromarray(_bytes(pixels)), picture, where)


@lru_cache(maxsize=16)
def _soft(outline: tuple[Point, ...], height: int, blur: float = 1.6) -> Image.Image:
    """Return the outline as an alpha mask whose edge is blurred, as a lens would."""
    mask = Image.new("L", (WIDTH, height))
    ImageDraw.Draw(mask).polygon(_placed(outline), fill=255)
    return mask.filter(ImageFilter.GaussianBlur(blur))


def _placed(points: tuple[Point, ...]) -> list[Point]:
    return [(x - LEFT, y) for x, y in points]


def _wear(head: Image.Image, colour: Colour, *, low: bool) -> None:
    """Draw a surgical mask over nose, mouth and chin: straps, cloth rounded by shading, pleats, a seam at the nose."""
    mask = _worn(_MASK, low=low)
    pen = ImageDraw.Draw(head)
    for cloth_end, ear in _STRAPS:
        pen.line(_placed((*_worn((cloth_end,), low=low), ear)), fill=_shade(colour, 0.88), width=3)
    cloth = Image.fromarray(_cloth(colour, head.height))
    ink = ImageDraw.Draw(cloth)
    for y in (136, 150, 164):
        pleat = ((186, y - 4), (206, y + 2), (225, y + 4), (246, y + 2), (264, y - 3))
        ink.line(_placed(_worn(pleat, low=low)), _shade(colour, 0.84), 2)
    ink.line(_placed(mask[:7]), fill=_shade(colour, 0.86), width=3)
    head.paste(cloth, (0, 0), _soft(mask, head.height, 1.0))


def _worn(points: tuple[Point, ...], *, low: bool) -> tuple[Point, ...]:
    """Return a mask's points. A low mask has slipped down: nose free, mouth and chin covered."""
    if not low:
        return points
    return tuple((x, _CHIN - (_CHIN - y) / 2) for x, y in points)


def _turn(head: Image.Image, hair: tuple[float, float, float]) -> None:
    """Draw hair over the face, as it is seen from behind."""
    y, x = np.mgrid[0 : head.height, 0:WIDTH].astype(np.float32)
    across, down = (x + LEFT - 228) / 74, (y - 60) / 110
    light = np.clip(1.1 - 0.45 * across**2 - 0.3 * down + 0.07 * np.sin(1.3 * x), 0.2, 1.2)
    back = Image.fromarray(_bytes(light[..., None] * np.array((82, 62, 50), np.float32) * np.array(hair, np.float32)))
    head.paste(back, (0, 0), _soft(tuple(p for p in _HEAD if p[1] <= 180), head.height))


def _cloth(colour: Colour, height: int) -> NDArray[np.uint8]:
    """Return the cloth as a rounded surface lit from above left: bright in the middle, dark at cheeks and chin."""
    y, x = np.mgrid[0:height, 0:WIDTH].astype(np.float32)
    across, down = (x + LEFT - 220) / 56, (y - 146) / 62
    light = np.clip(1.06 - 0.34 * across**2 - 0.26 * down**2 - 0.08 * across, 0.3, 1.1)
    return _bytes(light[..., None] * np.array(colour, np.float32))


def _bytes(light: NDArray[Any]) -> NDArray[np.uint8]:
    return np.asarray(np.clip(light, 0, 255), dtype=np.uint8)


def _shade(colour: Colour, light: float) -> Colour:
    red, green, blue = (min(255, max(0, round(c * light))) for c in colour)
    return red, green, blue


def _stand(person: Image.Image, colour: Colour, stride: float, scale: float) -> None:
    """Draw legs and shoes from the coat's hem down."""
    top = round((_HEM - 40) * scale)
    fine = 2 * scale  # drawn twice as large and reduced, for smooth edges
    canvas = Image.new("RGBA", (2 * person.width, 2 * (person.height - top)))
    pen = ImageDraw.Draw(canvas)
    for side, light in ((1, 0.8), (-1, 1.0)):
        hip, foot = WIDTH / 2 + side * 52, WIDTH / 2 + side * (40 + 46 * stride)
        leg = ((hip - 62, _HEM - 40), (hip + 62, _HEM - 40), (foot + 34, _FEET - 30), (foot - 34, _FEET - 30))
        pen.polygon([(x * fine, y * fine - 2 * top) for x, y in leg], fill=_shade(colour, light))
        left, right, sole = (foot - 44) * fine, (foot + 44) * fine, _FEET * fine - 2 * top
        pen.rounded_rectangle((left, sole - 36 * fine, right, sole), 16 * fine, fill=(28, 26, 26))
    person.paste(canvas.resize((person.width, person.height - top), Resampling.BOX), (0, top))


@lru_cache(maxsize=32)
def _coat(colour: int) -> Image.Image:
    canvas = Image.new("RGBA", (WIDTH, _HEM))
    canvas.paste(Image.fromarray(_drape(COATS[colour])), (0, 0), _soft(_COAT, _HEM, 3))
    shoulders = _recoloured(_portrait(), COATS[colour])
    fade = np.clip((_JOIN - np.arange(512)) * 6, 0, 255).astype(np.uint8)
    fading = Image.fromarray(np.broadcast_to(fade[:, None], (512, WIDTH)).copy())
    canvas.paste(shoulders, (0, 0), ImageChops.multiply(_soft(_SHOULDERS, 512, 2), fading))
    return canvas


def _drape(colour: Colour) -> NDArray[np.uint8]:
    """Return a long coat's cloth: folds, darker at the sides and down, seams at the sleeves and in the middle."""
    y, x = np.mgrid[0:_HEM, 0:WIDTH].astype(np.float32)
    across = (x - WIDTH / 2) / (WIDTH / 2)
    folds = 0.06 * np.sin(across * 9 + y / 70) + 0.04 * np.sin(across * 23 - y / 45)
    light = 1.0 - 0.3 * across**2 - 0.14 * (y - _JOIN) / 400 + folds
    sleeves = np.exp(-(((np.abs(across) - 0.7) / 0.03) ** 2)) * np.clip((y - 340) / 140, 0, 1)
    light -= 0.3 * (np.abs(x - WIDTH / 2) < 2) + 0.4 * sleeves
    return _bytes(light[..., None] * np.array(colour, np.float32))


def _recoloured(picture: Image.Image, colour: Colour) -> Image.Image:
    """Return the picture with its orange suit in another colour, light and shadow kept."""
    pixels = np.asarray(picture, np.float32)
    orange = np.clip((pixels[..., 0] - pixels[..., 2] - 24) / 70, 0, 1)[..., None]
    light = pixels @ np.array((0.299, 0.587, 0.114), np.float32) / 122
    cloth = light[..., None] * np.array(colour, np.float32)
    return Image.fromarray(_bytes(pixels + orange * (cloth - pixels)))
