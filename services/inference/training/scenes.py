"""Training scenes for the detector: a random piece of a photo at a random scale, in changed light."""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.io import decode_jpeg, encode_jpeg
from torchvision.transforms.v2 import functional as transforms

from services.inference.training.photos import IGNORED, Sample

_LEAST_VISIBLE = 0.4  # of a face's area; a face cut more than this by the edge is ignored


@dataclass(frozen=True)
class Scene:
    """RGB uint8 [3, S, S], boxes [G, 4] in its pixels, judged [G]: false where a face is to be ignored."""

    pixels: Tensor
    boxes: Tensor
    judged: Tensor


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


def _cut(sample: Sample, scale: float, side: int, smallest_px: float, dice: random.Random) -> Scene:
    left, top, wide, high = _window(sample, scale, side, dice)
    pixels = sample.pixels[:, top : top + high, left : left + wide]
    size = [max(1, min(side, round(high * scale))), max(1, min(side, round(wide * scale)))]
    pixels = transforms.resize(pixels, size, antialias=True)
    boxes = (sample.boxes - torch.tensor([left, top, left, top])) * scale
    limit = torch.tensor([size[1], size[0], size[1], size[0]])
    clipped = boxes.clamp(min=0).minimum(limit)
    area, whole = (clipped[:, 2:] - clipped[:, :2]).prod(1), (boxes[:, 2:] - boxes[:, :2]).prod(1)
    judged = (sample.classes != IGNORED) & (area >= _LEAST_VISIBLE * whole) & (area >= smallest_px**2)
    seen = ((clipped[:, 2:] - clipped[:, :2]) > 1).all(1)
    pixels = functional.pad(pixels, (0, side - size[1], 0, side - size[0]))
    return Scene(pixels, clipped[seen], judged[seen])


def _mirrored(scene: Scene) -> Scene:
    boxes = scene.boxes.clone()
    boxes[:, [0, 2]] = scene.pixels.shape[2] - scene.boxes[:, [2, 0]]
    return Scene(scene.pixels.flip(2), boxes, scene.judged)


def relit(pixels: Tensor, dice: random.Random) -> Tensor:
    """The RGB picture in other light: brightness, contrast, saturation, hue; at times dark and noisy, or grey."""
    values = pixels.float()
    if dice.random() < 0.8:
        values = values * dice.uniform(0.6, 1.4)
        values = (values - values.mean()) * dice.uniform(0.6, 1.4) + values.mean()
        grey = values.mean(0, keepdim=True)
        values = grey + (values - grey) * dice.uniform(0.4, 1.5)
        values = values * torch.tensor([dice.uniform(0.88, 1.12) for _ in range(3)]).reshape(3, 1, 1)
    if dice.random() < 0.12:
        values = 255 * (values.clamp(0, 255) / 255) ** dice.uniform(1.5, 3.0) * dice.uniform(0.3, 0.8)
        values = values + torch.randn_like(values) * dice.uniform(2, 10)
    if dice.random() < 0.08:
        values = values.mean(0, keepdim=True).expand(3, -1, -1)
    return values.clamp(0, 255).to(torch.uint8)


def worn(pixels: Tensor, dice: random.Random) -> Tensor:
    """The RGB picture after a poor camera: at times blurred, at times compressed."""
    if dice.random() < 0.15:
        pixels = transforms.gaussian_blur(pixels, [5, 5], [dice.uniform(0.5, 1.6)])
    if dice.random() < 0.3:
        pixels = decode_jpeg(encode_jpeg(pixels.contiguous(), quality=dice.randint(25, 85)))
    return pixels


def make_scene(sample: Sample, *, long_side: int, side: int, smallest_px: float, dice: random.Random) -> Scene:
    """A square scene of `side` pixels. The photo's long side is first taken to 0.4 to 1.8 times `long_side`."""
    scale = long_side * 2 ** dice.uniform(-1.3, 0.85) / max(sample.pixels.shape[1:])
    scene = _cut(sample, scale, side, smallest_px, dice)
    if dice.random() < 0.5:
        scene = _mirrored(scene)
    return Scene(worn(relit(scene.pixels, dice), dice), scene.boxes, scene.judged)
