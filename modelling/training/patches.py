"""Faces cut out of the photos, and what befalls them while the classifier learns."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import roi_align
from torchvision.transforms.v2 import functional as transforms

from modelling.training.config import Classifier
from modelling.training.degradation import filmed, relit
from modelling.training.drawing import Shares, dressed
from modelling.training.photos import Sample

# Badly worn masks are rare in photos, and the weakest class.
_DRAWN = Shares(0.12, 0.35, 0.12, 0.15)


@dataclass(frozen=True)
class Patches:
    """RGB uint8 [N, 3, S, S] around faces, classes [N], landmarks [N, 5, 2] in the patch's pixels (NaN: unknown), and
    which face of which photo they are: (name, index of its box).
    """

    pixels: Tensor
    classes: Tensor
    landmarks: Tensor
    faces: list[tuple[str, int]]


def squares(boxes: Tensor, margin: float) -> Tensor:
    """Squares [N, 4] around boxes [N, 4]: `margin` times the longer side, same centre."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).amax(1, keepdim=True) * margin / 2
    return torch.cat([centre - half, centre + half], 1)


def crops(pixels: Tensor, boxes: Tensor, margin: float, side: int) -> Tensor:
    """Float 0..255 [N, 3, side, side]: the squares around boxes, averaged down as the exported graph does."""
    rows = torch.cat([torch.zeros(len(boxes), 1), squares(boxes, margin)], 1)
    return roi_align(pixels[None].float(), rows, side, sampling_ratio=-1, aligned=True)


def _patches_of(sample: Sample, chosen: Tensor, config: Classifier) -> Patches:
    boxes = sample.boxes[chosen]
    cut = crops(sample.pixels, boxes, config.patch_margin, config.patch_side).round().clamp(0, 255).to(torch.uint8)
    places = squares(boxes, config.patch_margin)
    scale = config.patch_side / (places[:, 2:] - places[:, :2])
    landmarks = (sample.landmarks[chosen] - places[:, None, :2]) * scale[:, None]
    faces = [(sample.name, index) for index in chosen.nonzero().flatten().tolist()]
    return Patches(cut, sample.classes[chosen], landmarks, faces)


def joined(parts: Sequence[Patches]) -> Patches:
    """All patches as one."""
    return Patches(
        torch.cat([part.pixels for part in parts]),
        torch.cat([part.classes for part in parts]),
        torch.cat([part.landmarks for part in parts]),
        [face for part in parts for face in part.faces],
    )


def cut_patches(samples: list[Sample], config: Classifier, long_side: int) -> Patches:
    """A patch for every face with a class that is large enough once its photo's long side is `long_side`."""
    parts = []
    for sample in samples:
        side = (sample.boxes[:, 2:] - sample.boxes[:, :2]).prod(1).sqrt()
        scale = long_side / max(sample.pixels.shape[1:]) if sample.pixels.shape[2] > config.patch_side else 1.0
        chosen = (sample.classes >= 0) & (side * scale >= config.smallest_px)
        if chosen.any():
            parts.append(_patches_of(sample, chosen, config))
    return joined(parts)


def _moves(count: int, config: Classifier) -> Tensor:
    """Affine maps [N, 2, 3]: shift, scale, rotation and mirroring of what the classifier sees in a patch."""
    zoom = config.margin / config.patch_margin * (1 + 0.16 * (2 * torch.rand(count) - 1))
    stretch = 1 + 0.08 * (2 * torch.rand(count) - 1)
    angle = torch.randn(count) * 0.14
    mirror = torch.where(torch.rand(count) < 0.5, -1.0, 1.0)
    shift = (2 * torch.rand(count, 2) - 1) * 0.11 * config.margin / config.patch_margin
    x = torch.stack([zoom * stretch * angle.cos() * mirror, -zoom * angle.sin(), shift[:, 0]], 1)
    y = torch.stack([zoom * angle.sin() * mirror, zoom / stretch * angle.cos(), shift[:, 1]], 1)
    return torch.stack([x, y], 1)


def _coarse(views: Tensor, dice: random.Random) -> Tensor:
    """The views as if the face had been only 8 to 40 pixels wide."""
    side = max(8, round(views.shape[-1] * dice.uniform(0.15, 0.7)))
    small = functional.interpolate(views, size=(side, side), mode="area")
    return functional.interpolate(small, size=views.shape[-2:], mode="bilinear")


def _covered(views: Tensor, dice: random.Random) -> Tensor:
    """The views with a grey block somewhere, as a hand or a shoulder in front."""
    side = views.shape[-1]
    wide, high = dice.randint(side // 8, side // 3), dice.randint(side // 8, side // 3)
    left, top = dice.randint(0, side - wide), dice.randint(0, side - high)
    views = views.clone()
    views[:, :, top : top + high, left : left + wide] = dice.uniform(0, 255)
    return views


def _dressed(patches: Patches, rows: Tensor, dice: random.Random) -> tuple[Tensor, Tensor]:
    pixels, classes = [], []
    for row in rows.tolist():
        landmarks, worn = patches.landmarks[row], int(patches.classes[row])
        picture, worn = dressed(patches.pixels[row], landmarks, worn, dice, _DRAWN)
        pixels.append(picture)
        classes.append(worn)
    return torch.stack(pixels), torch.tensor(classes)


def varied(patches: Patches, rows: Tensor, config: Classifier, dice: random.Random) -> tuple[Tensor, Tensor]:
    """Views float 0..255 [N, 3, side, side] of these patches, each changed in its own way, and what is worn [N]."""
    pixels, classes = _dressed(patches, rows, dice)
    size = [len(pixels), 3, config.side, config.side]
    grid = functional.affine_grid(_moves(len(pixels), config), size, align_corners=False)
    views = functional.grid_sample(pixels.float(), grid, align_corners=False)
    views = torch.stack([filmed(relit(view.clamp(0, 255), dice), dice).float() for view in views])
    for start in range(0, len(views), 8):
        if dice.random() < 0.35:
            views[start : start + 8] = _coarse(views[start : start + 8], dice)
        if dice.random() < 0.15:
            views[start : start + 8] = _covered(views[start : start + 8], dice)
    return views, classes


def plain(pixels: Tensor, config: Classifier) -> Tensor:
    """The unchanged views of patches: their middle."""
    side = round(config.patch_side * config.margin / config.patch_margin)
    middle = transforms.center_crop(pixels, [side, side]).float()
    return functional.interpolate(middle, size=(config.side, config.side), mode="bilinear", antialias=True)
