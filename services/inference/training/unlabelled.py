"""Faces that nobody labelled, as the published detector sees them: they are ignored, not taught as background.

Annotators of mask photos tend to leave out bare faces in the background. Taught as background, such faces make the
detector miss bare faces more often than masked ones, which would bias every mask rate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import box_iou, nms
from torchvision.transforms.v2 import functional as transforms

from services.inference.training.photos import IGNORED, Sample
from services.inference.training.yunet import YuNet, decode_boxes, prior_points

_SAME = 0.3  # IoU from which a box is a labelled face
_DOUBLE = 0.45
_MULTIPLE = 32


@torch.no_grad()
def seen_boxes(net: YuNet, pixels: Tensor, long_side: int, least_score: float) -> Tensor:
    """Boxes [N, 4], in pixels of the RGB picture, that the network scores higher than `least_score` at `long_side`."""
    scale = long_side / max(pixels.shape[1:])
    size = [max(1, round(side * scale)) for side in pixels.shape[1:]]
    picture = transforms.resize(pixels, size, antialias=True).flip(0).float()[None]
    # One shape for all photos: torch prepares its kernels anew for every shape, which takes longer than the run.
    side = long_side + -long_side % _MULTIPLE
    picture = functional.pad(picture, (0, side - size[1], 0, side - size[0]))
    raw = net(picture)[0]
    scores = (raw[:, 0].sigmoid() * raw[:, 1].sigmoid()).sqrt()
    sure = scores > least_score
    boxes = decode_boxes(raw[sure, 2:], prior_points(*picture.shape[2:])[sure])
    return boxes[nms(boxes, scores[sure], _DOUBLE)] / scale


def _with_unlabelled(sample: Sample, seen: Tensor) -> Sample:
    if len(seen) and len(sample.boxes):
        seen = seen[box_iou(seen, sample.boxes).amax(1) < _SAME]
    classes = torch.full((len(seen),), IGNORED)
    return replace(sample, boxes=torch.cat([sample.boxes, seen]), classes=torch.cat([sample.classes, classes]))


def with_unlabelled(
    samples: list[Sample], net: YuNet, *, long_side: int, least_score: float, tick: Callable[[], None]
) -> list[Sample]:
    """The samples with an ignored box wherever `net` is sure of a face and nobody labelled one."""
    net.eval()
    result = []
    for sample in samples:
        result.append(_with_unlabelled(sample, seen_boxes(net, sample.pixels, long_side, least_score)))
        tick()
    return result
