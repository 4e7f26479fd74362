"""Paint on faces: colours, polygons in a face's own axes, and the light of what is painted over.

Polygons are drawn at twice the size and averaged down (Pillow, MIT-CMU licence, comes with scikit-image).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from torch import Tensor

Array = NDArray[np.float32]
Polygon = list[tuple[float, float]]
Colours = Sequence[tuple[int, int, int]]
_OVERSAMPLED = 2
_TURNED = 0.8
"""Eye distances by eye-to-mouth distances: fewer are of a turned head."""
_CLOTHS = ((150, 190, 215), (205, 225, 235), (235, 235, 235), (30, 30, 34), (70, 110, 150), (120, 120, 125))
DARK: Colours = ((20, 18, 18), (60, 40, 28), (110, 80, 50), (120, 118, 115))


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

    def widened(self) -> Frame:
        """The frame of the head: a turned one shows its eyes close together, and is as wide as any other."""
        narrow = float(np.linalg.norm(self.right) / max(1e-6, np.linalg.norm(self.down)))
        return replace(self, right=self.right * max(1.0, min(_TURNED / max(narrow, 1e-6), 4.0)))


def face_frame(landmarks: Tensor) -> Frame:
    """The axes of a face from its landmarks [5, 2]: right eye, left eye, nose, mouth's right and left corner."""
    points = landmarks.numpy().astype(np.float32)
    eyes, mouth = points[:2].mean(0), points[3:].mean(0)
    return Frame(eyes, points[1] - points[0], mouth - eyes)


def cloth_of(dice: random.Random, shape: tuple[int, int]) -> Array:
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


def painted(
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


def woven(dice: random.Random) -> Callable[[Array], Array]:
    """A paint of cloth in the light of what is below."""
    return lambda below: shaded(below, cloth_of(dice, below.shape[:2]), dice)


def shaded(below: Array, cloth: Array, dice: random.Random) -> Array:
    """The cloth in the light of what it covers."""
    small = Image.fromarray(below.mean(2).clip(0, 255).astype(np.uint8)).filter(
        ImageFilter.GaussianBlur(len(below) / 6)
    )
    light = np.asarray(small, np.float32)[..., None]
    strength = dice.uniform(0.4, 0.9)
    return cloth * (1 - strength + strength * (light / max(20.0, float(light.max()))))


def ellipse(frame: Frame, centre: tuple[float, float], radii: tuple[float, float]) -> Polygon:
    """The outline in pixels of an ellipse whose centre and radii are in the face's own axes."""
    turns = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    return [frame.at(centre[0] + radii[0] * np.cos(t), centre[1] + radii[1] * np.sin(t)) for t in turns]


def plain(colours: Colours, dice: random.Random) -> Callable[[Array], Array]:
    """A paint of one of these colours, a little noisy, in the light of what is below."""
    colour = np.asarray(dice.choice(colours), np.float32) * dice.uniform(0.7, 1.15)
    noise = np.random.default_rng(dice.getrandbits(32))
    return lambda below: shaded(below, colour + noise.normal(0, 6, below.shape).astype(np.float32), dice)


Drawing = Callable[[Tensor, Frame, random.Random], Tensor]
"""Draws one thing on a face in a picture [3, H, W]."""
