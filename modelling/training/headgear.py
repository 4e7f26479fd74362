"""What covers foreheads: caps, helmets, hoods and hair, drawn over bare and masked faces alike.

In photos of masks few faces have any, and a detector that has seen none misses clear faces under it. In a face's own
axes the eyes are at 0, the mouth at 1, the hair begins at -0.9 and the chin ends at 1.8.
"""

from __future__ import annotations

import random

from torch import Tensor

from modelling.training.paint import DARK, Drawing, Frame, ellipse, painted, plain, woven

_HELMETS = ((240, 205, 40), (235, 235, 230), (225, 110, 30), (40, 90, 180), (190, 35, 35), (45, 130, 70), (60, 60, 62))
_HAIR = (*DARK, (200, 170, 110), (150, 90, 50), (200, 200, 205))


def _cap(pixels: Tensor, frame: Frame, dice: random.Random) -> Tensor:
    brim, wide = -dice.uniform(0.3, 0.6), dice.uniform(0.9, 1.3)
    right = [(wide, brim), (wide * 0.9, brim - 0.6), (wide * 0.5, brim - 1.1)]
    outline = [frame.at(x, y) for x, y in [*right, *((-x, y) for x, y in reversed(right))]]
    return painted(pixels, [outline], woven(dice))


def _helmet(pixels: Tensor, frame: Frame, dice: random.Random) -> Tensor:
    """A dome with a brim, and at times its straps."""
    brim, wide, high = -dice.uniform(0.25, 0.6), dice.uniform(1.15, 1.5), dice.uniform(1.1, 1.6)
    shape = plain(_HELMETS, dice)
    below = [frame.at(x, brim) for x in (wide * 2, -wide * 2)] + [
        frame.at(x, brim + 2 * high) for x in (-wide * 2, wide * 2)
    ]
    pixels = painted(pixels, [ellipse(frame, (0.0, brim), (wide, high))], shape, [below])
    over = wide + dice.uniform(0.0, 0.25)
    edge = [(over, brim - 0.12), (over, brim + 0.05), (0.0, brim + dice.uniform(0.05, 0.2))]
    outline = [frame.at(x, y) for x, y in [*edge, *((-x, y) for x, y in reversed(edge[:2]))]]
    pixels = painted(pixels, [outline], shape)
    if dice.random() < 0.5:
        straps = [[(s * 1.0, brim), (s * 0.9, brim), (s * 0.25, 1.8), (s * 0.35, 1.85)] for s in (-1, 1)]
        pixels = painted(pixels, [[frame.at(x, y) for x, y in strap] for strap in straps], plain(DARK, dice))
    return pixels


def _hood(pixels: Tensor, frame: Frame, dice: random.Random) -> Tensor:
    """A ring of cloth or fur around the face, from the forehead to the chin."""
    outer = ellipse(frame, (0.0, 0.3), (dice.uniform(1.4, 1.9), dice.uniform(1.9, 2.4)))
    top, chin = -dice.uniform(0.35, 0.8), dice.uniform(1.7, 2.1)
    face = ellipse(frame, (0.0, (top + chin) / 2), (dice.uniform(0.85, 1.05), (chin - top) / 2))
    return painted(pixels, [outer], woven(dice) if dice.random() < 0.6 else plain(_HAIR, dice), [face])


def _hair(pixels: Tensor, frame: Frame, dice: random.Random) -> Tensor:
    """A fringe down to the brows or the eyes, at times with the sides."""
    lowest, wide = -dice.uniform(0.1, 0.5), dice.uniform(0.95, 1.15)
    sides = dice.uniform(0.3, 1.8) if dice.random() < 0.5 else lowest
    ends = [(x, lowest - dice.uniform(0.0, 0.25)) for x in (0.75, 0.45, 0.15, -0.15, -0.45, -0.75)]
    outline = [
        (wide, -1.4),
        (wide + 0.1, sides),
        (0.85, sides),
        *ends,
        (-0.85, sides),
        (-wide - 0.1, sides),
        (-wide, -1.4),
    ]
    return painted(pixels, [[frame.at(x, y) for x, y in outline]], plain(_HAIR, dice))


HEADGEAR: tuple[Drawing, ...] = (_cap, _helmet, _hood, _hair)
