"""Training scenes for the detector: a random piece of a photo at a random scale, in changed light."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import box_iou
from torchvision.transforms.v2 import functional as transforms

from modelling.training.config import Detector
from modelling.training.degradation import filmed, relit
from modelling.training.drawing import Shares, dressed
from modelling.training.photos import IGNORED, Sample

_DRAWN = Shares(0.12, 0.05, 0.12, 0.2)
_HEADGEAR = 0.5  # how far it reaches beyond a face, in sides of its box
_WHOLE = 0.25  # of the scenes show a whole photo
_LEAST_VISIBLE = 0.55  # of a face's area; a face cut more than this by the edge is ignored


@dataclass(frozen=True)
class Scene:
    """RGB uint8 [3, S, S], boxes [G, 4] in its pixels, judged [G]: false where a face is to be ignored, and what is
    worn [G]: an index into CLASSES, or less than 0 where nobody can say.
    """

    pixels: Tensor
    boxes: Tensor
    judged: Tensor
    classes: Tensor


def _window(sample: Sample, scale: float, side: int, dice: random.Random) -> tuple[int, int, int, int]:
    """Left, top, width, height in the photo's pixels, mostly around a face."""
    height, width = sample.pixels.shape[1:]
    wide, high = min(width, max(1, round(side / scale))), min(height, max(1, round(side / scale)))
    left, top = dice.randint(0, width - wide), dice.randint(0, height - high)
    if len(sample.boxes) and dice.random() < 0.8:
        box = sample.boxes[dice.randrange(len(sample.boxes))].tolist()
        left = round((box[0] + box[2]) / 2 - wide * dice.uniform(0.15, 0.85))
        top = round((box[1] + box[3]) / 2 - high * dice.uniform(0.15, 0.85))
    return max(0, min(left, width - wide)), max(0, min(top, height - high)), wide, high


def _shown(boxes: Tensor, clipped: Tensor) -> tuple[Tensor, Tensor]:
    """[G] each: does anything of the face show, and enough of it to be learnt?"""
    area, whole = (clipped[:, 2:] - clipped[:, :2]).prod(1), (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return ((clipped[:, 2:] - clipped[:, :2]) > 1).all(1), area >= _LEAST_VISIBLE * whole


def _scale(sample: Sample, long_side: int, side: int, dice: random.Random) -> float:
    """Of the photo's pixels: mostly 0.4 to 1.8 times the analysis size, at times so that the whole photo is seen.

    Without whole photos a face that fills one is hardly seen whole: most scenes are smaller than the analysed picture.
    """
    longest = max(sample.pixels.shape[1:])
    if dice.random() < _WHOLE:
        return side / longest * dice.uniform(0.6, 1.0)
    return long_side * 2 ** dice.uniform(-1.3, 0.85) / longest


def _cut(sample: Sample, scale: float, side: int, smallest_px: float, dice: random.Random) -> Scene:
    left, top, wide, high = _window(sample, scale, side, dice)
    pixels = sample.pixels[:, top : top + high, left : left + wide]
    size = [max(1, min(side, round(high * scale))), max(1, min(side, round(wide * scale)))]
    pixels = transforms.resize(pixels, size, antialias=True)
    boxes = (sample.boxes - torch.tensor([left, top, left, top])) * scale
    limit = torch.tensor([size[1], size[0], size[1], size[0]])
    clipped = boxes.clamp(min=0).minimum(limit)
    seen, judged = _shown(boxes, clipped)
    judged &= (sample.classes != IGNORED) & ((clipped[:, 2:] - clipped[:, :2]).prod(1) >= smallest_px**2)
    landmarks = (sample.landmarks - torch.tensor([left, top])) * scale
    pixels, classes = _dressed(pixels, boxes, torch.where(judged, sample.classes, IGNORED), landmarks, dice)
    pixels = functional.pad(pixels, (0, side - size[1], 0, side - size[0]))
    return Scene(pixels, clipped[seen], judged[seen], classes[seen])


def _mirrored(scene: Scene) -> Scene:
    boxes = scene.boxes.clone()
    boxes[:, [0, 2]] = scene.pixels.shape[2] - scene.boxes[:, [2, 0]]
    return replace(scene, pixels=scene.pixels.flip(2), boxes=boxes)


def _turned(scene: Scene, angle: float) -> Scene:
    """The scene turned by `angle` degrees about its middle. A face is taken for an ellipse, whose new box is exact."""
    turn, middle = math.radians(angle), scene.pixels.shape[2] / 2
    cosine, sine = math.cos(turn), math.sin(turn)
    half = (scene.boxes[:, 2:] - scene.boxes[:, :2]) / 2
    centre = scene.boxes[:, :2] + half - middle
    x, y = centre[:, 0] * cosine + centre[:, 1] * sine, centre[:, 1] * cosine - centre[:, 0] * sine
    centre = torch.stack([x, y], 1) + middle
    squares = torch.stack([cosine**2 + half[:, 0] * 0, sine**2 + half[:, 0] * 0], 1)
    wide = (half.square() * squares).sum(1).sqrt()
    high = (half.square() * squares.flip(1)).sum(1).sqrt()
    half = torch.stack([wide, high], 1)
    boxes = torch.cat([centre - half, centre + half], 1)
    clipped = boxes.clamp(0, scene.pixels.shape[2])
    seen, judged = _shown(boxes, clipped)
    pixels = transforms.rotate(scene.pixels, angle, transforms.InterpolationMode.BILINEAR)
    return Scene(pixels, clipped[seen], (scene.judged & judged)[seen], scene.classes[seen])


def _dressed(
    pixels: Tensor, boxes: Tensor, classes: Tensor, landmarks: Tensor, dice: random.Random
) -> tuple[Tensor, Tensor]:
    classes, alone = classes.clone(), _alone(boxes)
    for index in range(len(classes)):
        if classes[index] >= 0:
            drawn = _DRAWN if alone[index] else _DRAWN._replace(headgear=0.0)
            pixels, worn = dressed(pixels, landmarks[index], int(classes[index]), dice, drawn)
            classes[index] = worn
    return pixels, classes


def _alone(boxes: Tensor) -> Tensor:
    """[G]: whether no other face is so near that headgear would be drawn over it."""
    around = (boxes[:, 2:] - boxes[:, :2]) * _HEADGEAR
    grown = torch.cat([boxes[:, :2] - around, boxes[:, 2:] + around], 1)
    return (box_iou(grown, boxes) > 0).sum(1) <= 1


def make_scene(sample: Sample, *, long_side: int, side: int, smallest_px: float, dice: random.Random) -> Scene:
    """A square scene of `side` pixels, a piece of a photo or all of it, at some scale around `long_side`."""
    scene = _cut(sample, _scale(sample, long_side, side, dice), side, smallest_px, dice)
    if dice.random() < 0.5:
        scene = _mirrored(scene)
    if dice.random() < 0.2:
        scene = _turned(scene, dice.uniform(-35, 35))
    return replace(scene, pixels=filmed(relit(scene.pixels, dice), dice))


def _tile(sample: Sample, side: int, smallest_px: float, dice: random.Random) -> Scene:
    """A square of `side` pixels that shows a whole photo, or most of it."""
    scale = side / max(sample.pixels.shape[1:]) * dice.uniform(0.8, 1.5)
    scene = _cut(sample, scale, side, smallest_px, dice)
    scene = _mirrored(scene) if dice.random() < 0.5 else scene
    return replace(scene, pixels=relit(scene.pixels, dice))


def tiled_scene(samples: Sequence[Sample], *, across: int, side: int, smallest_px: float, dice: random.Random) -> Scene:
    """A square scene of `side` pixels, made of `across` by `across` photos: it shows many small faces at once.

    Mosaics: Bochkovskiy, Wang, Liao: "YOLOv4" (2020), section 3.3.
    """
    own = side // across
    tiles = [_tile(sample, own, smallest_px, dice) for sample in samples]
    rows = [torch.cat([tile.pixels for tile in tiles[row * across : (row + 1) * across]], 2) for row in range(across)]
    corners = [torch.tensor([index % across, index // across] * 2) * own for index in range(len(tiles))]
    return Scene(
        filmed(torch.cat(rows, 1), dice),
        torch.cat([tile.boxes + corner for tile, corner in zip(tiles, corners, strict=True)]),
        torch.cat([tile.judged for tile in tiles]),
        torch.cat([tile.classes for tile in tiles]),
    )


def draw_scene(
    draw: Callable[[int], list[Sample]], wanted: Detector, *, long_side: int, side: int, dice: random.Random
) -> Scene:
    """A square scene of `side` pixels of one photo or, as often as `wanted.tiled` says, of several.

    `draw` draws that many photos.
    """
    chance = dice.random()
    for across, share in wanted.tiled.items():
        if chance < share:
            photos = draw(across**2)
            return tiled_scene(photos, across=across, side=side, smallest_px=wanted.smallest_px, dice=dice)
        chance -= share
    (sample,) = draw(1)
    return make_scene(sample, long_side=long_side, side=side, smallest_px=wanted.smallest_px, dice=dice)
