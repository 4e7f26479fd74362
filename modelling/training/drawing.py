"""Things drawn on faces by their landmarks: masks worn well and badly, scarves, hands, beards, glasses and headgear.

Annotated photos hold few bare faces next to masked ones, few badly worn masks and few helmets; drawn ones fill the gap.
"""

from __future__ import annotations

import random
from typing import NamedTuple

import torch
from torch import Tensor

from modelling.training.headgear import HEADGEAR
from modelling.training.paint import DARK, Drawing, Frame, Polygon, ellipse, face_frame, painted, plain, woven
from modelling.training.photos import CLASSES

_MASK, _INCORRECT = CLASSES.index("mask"), CLASSES.index("incorrect")
_SKIN = ((224, 172, 140), (198, 134, 100), (141, 85, 60), (90, 56, 40), (240, 200, 175))


class Shares(NamedTuple):
    """How often a bare face gets a mask, a badly worn one, or something else on it, and how often any gets headgear."""

    mask: float
    badly: float
    besides: float
    headgear: float


def _outline(top: float, chin: float, wide: float, dice: random.Random) -> Polygon:
    """The outline of a cloth before the lower face, in the face's own axes."""
    bridge, side = top - dice.uniform(0.0, 0.2), top + dice.uniform(0.0, 0.25)
    low = chin - dice.uniform(0.1, 0.3)
    right = [(wide * 0.45, bridge + 0.05), (wide, side), (wide * 0.97, 1.05), (wide * 0.6, low), (wide * 0.25, chin)]
    return [*right, *((-x, y) for x, y in reversed(right))]


def _covering(top: tuple[float, float], chin: tuple[float, float], wide: tuple[float, float]) -> Drawing:
    def draw(pixels: Tensor, frame: Frame, dice: random.Random) -> Tensor:
        outline = _outline(dice.uniform(*top), dice.uniform(*chin), dice.uniform(*wide), dice)
        polygon = [frame.at(x, y) for x, y in outline]
        return painted(pixels, [polygon], woven(dice))

    return draw


def _glasses(pixels: Tensor, frame: Frame, dice: random.Random) -> Tensor:
    radii = (dice.uniform(0.3, 0.45), dice.uniform(0.2, 0.35))
    return painted(pixels, [ellipse(frame, (side, 0.02), radii) for side in (-0.5, 0.5)], plain(DARK, dice))


def _beard(pixels: Tensor, frame: Frame, dice: random.Random) -> Tensor:
    low, high = dice.uniform(1.55, 1.9), dice.uniform(0.7, 0.85)
    polygon = ellipse(frame, (0.0, (low + high) / 2), (dice.uniform(0.6, 0.9), (low - high) / 2))
    mouth = ellipse(frame, (0.0, 1.03), (dice.uniform(0.3, 0.5), dice.uniform(0.08, 0.16)))
    return painted(pixels, [polygon], plain(DARK, dice), [mouth])


def _hand(pixels: Tensor, frame: Frame, dice: random.Random) -> Tensor:
    centre = (dice.uniform(-0.3, 0.3), dice.uniform(0.9, 1.3))
    fingers = [
        ellipse(frame, (centre[0] + 0.22 * step, centre[1] + dice.uniform(-0.15, 0.1)), (0.13, dice.uniform(0.35, 0.6)))
        for step in (-1.5, -0.5, 0.5, 1.5)
    ]
    return painted(pixels, fingers, plain(_SKIN, dice))


_MASKS = (_covering((0.2, 0.5), (1.5, 1.85), (0.8, 1.05)), _covering((0.15, 0.5), (1.7, 2.5), (1.0, 1.3)))
_BADLY = (_covering((0.85, 1.0), (1.55, 1.9), (0.75, 1.0)), _covering((1.3, 1.5), (1.8, 2.2), (0.7, 1.0)))
_BESIDES = (_glasses, _beard, _hand)


def dressed(pixels: Tensor, landmarks: Tensor, worn: int, dice: random.Random, shares: Shares) -> tuple[Tensor, int]:
    """The RGB picture [3, H, W] with something drawn on one face, and what that face wears then.

    `worn` is the class before. A face that wears something already only gets glasses or headgear.
    """
    if not bool(torch.isfinite(landmarks).all()):
        return pixels, worn
    frame, chance = face_frame(landmarks), dice.random()
    if dice.random() < shares.headgear:
        pixels = dice.choice(HEADGEAR)(pixels, frame.widened(), dice)
    if worn != CLASSES.index("no_mask"):
        return (_glasses(pixels, frame, dice) if chance < shares.besides / 2 else pixels), worn
    if chance < shares.mask:
        return _MASKS[dice.random() < 0.2](pixels, frame, dice), _MASK
    if chance < shares.mask + shares.badly:
        return dice.choice(_BADLY)(pixels, frame, dice), _INCORRECT
    if chance < shares.mask + shares.badly + shares.besides:
        return dice.choice(_BESIDES)(pixels, frame, dice), worn
    return pixels, worn
