"""Things drawn on faces by their landmarks: masks worn well and badly, scarves, hands, beards, glasses and hats.

Annotated photos hold few bare faces next to masked ones and few badly worn masks; drawn ones fill the gap. Polygons
are drawn at twice the size and averaged down (Pillow, MIT-CMU licence, comes with scikit-image).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from torch import Tensor

from modelling.training.photos import CLASSES

Array = NDArray[np.float32]
Polygon = list[tuple[float, float]]
_MASK, _INCORRECT = CLASSES.index("mask"), CLASSES.index("incorrect")
_OVERSAMPLED = 2
_CLOTHS = ((150, 190, 215), (205, 225, 235), (235, 235, 235), (30, 30, 34), (70, 110, 150), (120, 120, 125))
_SKIN = ((224, 172, 140), (198, 134, 100), (141, 85, 60), (90, 56, 40), (240, 200, 175))
_DARK = ((20, 18, 18), (60, 40, 28), (110, 80, 50), (120, 118, 115))


@dataclass(frozen=True)
class Frame:
    """A face's own axes in pixels: `right` spans the eyes, `down` leads from between them to the mouth."""

    eyes: Array
    right: Array
    down: Array

    def at(self, x: float, y: float) -> tuple[float, float]:
        """The pixel that is x eye distances to the right of and y eye-to-mouth distances below the eyes' middle."""
        point = self.eyes + x * self.right + y * self.down
        return float(point[0]), float(point[1])


def face_frame(landmarks: Tensor) -> Frame:
    """The axes of a face from its landmarks [5, 2]: right eye, left eye, nose, mouth's right and left corner."""
    points = landmarks.numpy().astype(np.float32)
    eyes, mouth = points[:2].mean(0), points[3:].mean(0)
    return Frame(eyes, points[1] - points[0], mouth - eyes)


def _outline(top: float, chin: float, wide: float, dice: random.Random) -> Polygon:
    """The outline of a cloth before the lower face, in the face's own axes."""
    bridge, side = top - dice.uniform(0.0, 0.2), top + dice.uniform(0.0, 0.25)
    low = chin - dice.uniform(0.1, 0.3)
    right = [(wide * 0.45, bridge + 0.05), (wide, side), (wide * 0.97, 1.05), (wide * 0.6, low), (wide * 0.25, chin)]
    return [*right, *((-x, y) for x, y in reversed(right))]


def _cloth(dice: random.Random, shape: tuple[int, int]) -> Array:
    """A colour [H, W, 3] with folds, stripes or dots."""
    colour = dice.choice(_CLOTHS) if dice.random() < 0.7 else [dice.uniform(10, 245) for _ in range(3)]
    cloth = np.ones((*shape, 1), np.float32) * np.asarray(colour, np.float32)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    period = max(2.0, shape[0] / dice.uniform(3, 14))
    pattern = dice.random()
    if pattern < 0.4:
        cloth += dice.uniform(4, 18) * np.sin(2 * np.pi * y / period)[..., None]
    elif pattern < 0.55:
        other = np.asarray([dice.uniform(0, 255) for _ in range(3)], np.float32)
        spots = (np.sin(2 * np.pi * x / period) * np.sin(2 * np.pi * y / period) > dice.uniform(0.2, 0.8))[..., None]
        cloth = np.where(spots, other, cloth)
    return cloth


def _painted(
    pixels: Tensor, polygons: list[Polygon], paint: Callable[[Array], Array], holes: list[Polygon] | None = None
) -> Tensor:
    """The picture [3, H, W] with the polygons (pixels) filled by what `paint` makes of the pixels below [h, w, 3]."""
    height, width = pixels.shape[1:]
    points = np.array([point for polygon in polygons for point in polygon])
    low = np.maximum(np.floor(points.min(0)) - 2, 0).astype(int)
    high = np.minimum(np.ceil(points.max(0)) + 3, (width, height)).astype(int)
    wide, tall = (high - low).tolist()
    if wide < 2 or tall < 2:
        return pixels
    cover = Image.new("L", (wide * _OVERSAMPLED, tall * _OVERSAMPLED))
    for polygon, fill in [*((one, 255) for one in polygons), *((one, 0) for one in holes or [])]:
        ImageDraw.Draw(cover).polygon([tuple((np.array(p) - low) * _OVERSAMPLED) for p in polygon], fill=fill)
    cover = cover.filter(ImageFilter.GaussianBlur(_OVERSAMPLED * 0.5 + wide / 80)).resize((wide, tall))
    share = np.asarray(cover, np.float32)[..., None] / 255
    below = pixels[:, low[1] : high[1], low[0] : high[0]].permute(1, 2, 0).numpy().astype(np.float32)
    mixed = below * (1 - share) + paint(below) * share
    result = pixels.clone()
    result[:, low[1] : high[1], low[0] : high[0]] = torch.from_numpy(mixed.clip(0, 255).astype(np.uint8)).permute(
        2, 0, 1
    )
    return result


def _shaded(below: Array, cloth: Array, dice: random.Random) -> Array:
    """The cloth in the light of what it covers."""
    small = Image.fromarray(below.mean(2).clip(0, 255).astype(np.uint8)).filter(
        ImageFilter.GaussianBlur(len(below) / 6)
    )
    light = np.asarray(small, np.float32)[..., None]
    strength = dice.uniform(0.4, 0.9)
    return cloth * (1 - strength + strength * (light / max(20.0, float(light.max()))))


def _covering(top: tuple[float, float], chin: tuple[float, float], wide: tuple[float, float]) -> _Drawing:
    def draw(pixels: Tensor, frame: Frame, dice: random.Random) -> Tensor:
        outline = _outline(dice.uniform(*top), dice.uniform(*chin), dice.uniform(*wide), dice)
        polygon = [frame.at(x, y) for x, y in outline]
        return _painted(pixels, [polygon], lambda below: _shaded(below, _cloth(dice, below.shape[:2]), dice))

    return draw


def _ellipse(frame: Frame, centre: tuple[float, float], radii: tuple[float, float]) -> Polygon:
    turns = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    return [frame.at(centre[0] + radii[0] * np.cos(t), centre[1] + radii[1] * np.sin(t)) for t in turns]


def _plain(colours: tuple[tuple[int, int, int], ...], dice: random.Random) -> Callable[[Array], Array]:
    colour = np.asarray(dice.choice(colours), np.float32) * dice.uniform(0.7, 1.15)
    noise = np.random.default_rng(dice.getrandbits(32))
    return lambda below: _shaded(below, colour + noise.normal(0, 6, below.shape).astype(np.float32), dice)


def _glasses(pixels: Tensor, frame: Frame, dice: random.Random) -> Tensor:
    radii = (dice.uniform(0.3, 0.45), dice.uniform(0.2, 0.35))
    return _painted(pixels, [_ellipse(frame, (side, 0.02), radii) for side in (-0.5, 0.5)], _plain(_DARK, dice))


def _hat(pixels: Tensor, frame: Frame, dice: random.Random) -> Tensor:
    brim, wide = -dice.uniform(0.3, 0.6), dice.uniform(0.9, 1.3)
    corners = [
        (-wide, brim),
        (wide, brim),
        (wide * 0.9, brim - 0.6),
        (wide * 0.5, brim - 1.1),
        (-wide * 0.5, brim - 1.1),
    ]
    polygon = [frame.at(x, y) for x, y in [*corners, (-wide * 0.9, brim - 0.6)]]
    return _painted(pixels, [polygon], lambda below: _shaded(below, _cloth(dice, below.shape[:2]), dice))


def _beard(pixels: Tensor, frame: Frame, dice: random.Random) -> Tensor:
    low, high = dice.uniform(1.55, 1.9), dice.uniform(0.7, 0.85)
    polygon = _ellipse(frame, (0.0, (low + high) / 2), (dice.uniform(0.6, 0.9), (low - high) / 2))
    mouth = _ellipse(frame, (0.0, 1.03), (dice.uniform(0.3, 0.5), dice.uniform(0.08, 0.16)))
    return _painted(pixels, [polygon], _plain(_DARK, dice), [mouth])


def _hand(pixels: Tensor, frame: Frame, dice: random.Random) -> Tensor:
    centre = (dice.uniform(-0.3, 0.3), dice.uniform(0.9, 1.3))
    fingers = [
        _ellipse(
            frame, (centre[0] + 0.22 * step, centre[1] + dice.uniform(-0.15, 0.1)), (0.13, dice.uniform(0.35, 0.6))
        )
        for step in (-1.5, -0.5, 0.5, 1.5)
    ]
    return _painted(pixels, fingers, _plain(_SKIN, dice))


_Drawing = Callable[[Tensor, Frame, random.Random], Tensor]
_MASKS = (_covering((0.2, 0.5), (1.5, 1.85), (0.8, 1.05)), _covering((0.15, 0.5), (1.7, 2.5), (1.0, 1.3)))
_BADLY = (_covering((0.85, 1.0), (1.55, 1.9), (0.75, 1.0)), _covering((1.3, 1.5), (1.8, 2.2), (0.7, 1.0)))
_BESIDES = (_glasses, _hat, _beard, _hand)
_HARMLESS = (_glasses, _hat)


def dressed(
    pixels: Tensor, landmarks: Tensor, worn: int, dice: random.Random, shares: tuple[float, float, float]
) -> tuple[Tensor, int]:
    """The RGB picture [3, H, W] with something drawn on one face, and what that face wears then.

    `worn` is the class before; `shares` are how often a bare face gets a mask, a badly worn mask, or something that is
    no mask. A face that wears something already only gets glasses or a hat.
    """
    if not bool(torch.isfinite(landmarks).all()):
        return pixels, worn
    frame, chance = face_frame(landmarks), dice.random()
    if worn != CLASSES.index("no_mask"):
        return (dice.choice(_HARMLESS)(pixels, frame, dice) if chance < shares[2] / 2 else pixels), worn
    if chance < shares[0]:
        return _MASKS[dice.random() < 0.2](pixels, frame, dice), _MASK
    if chance < shares[0] + shares[1]:
        return dice.choice(_BADLY)(pixels, frame, dice), _INCORRECT
    if chance < sum(shares):
        return dice.choice(_BESIDES)(pixels, frame, dice), worn
    return pixels, worn
