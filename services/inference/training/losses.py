"""The detector's loss: objectness everywhere, class and box where a face is.

The box term is EIoU: Zhang et al., "Focal and Efficient IOU Loss for Accurate Bounding Box Regression" (2021).
Weights as in YuNet (Wu et al. 2023): 1, 1 and 5.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from services.inference.training.assignment import LEFT_OUT, assign
from services.inference.training.yunet import decode_boxes

_BOX_WEIGHT = 5.0
_TINY = 1e-7


def eiou_loss(boxes: Tensor, targets: Tensor) -> Tensor:
    """1 - EIoU per pair of [N, 4] corners: 0 for equal boxes, growing with distance and difference of sides."""
    size, wanted = boxes[:, 2:] - boxes[:, :2], targets[:, 2:] - targets[:, :2]
    common = (torch.minimum(boxes[:, 2:], targets[:, 2:]) - torch.maximum(boxes[:, :2], targets[:, :2])).clamp(min=0)
    shared = common.prod(1)
    iou = shared / (size.prod(1) + wanted.prod(1) - shared + _TINY)
    hull = torch.maximum(boxes[:, 2:], targets[:, 2:]) - torch.minimum(boxes[:, :2], targets[:, :2])
    shift = (boxes[:, :2] + boxes[:, 2:] - targets[:, :2] - targets[:, 2:]) / 2
    distance = shift.square().sum(1) / (hull.square().sum(1) + _TINY)
    sides = ((size - wanted).square() / (hull.square() + _TINY)).sum(1)
    return 1 - iou + distance + sides


def detector_loss(raw: Tensor, priors: Tensor, boxes: list[Tensor], judged: list[Tensor]) -> Tensor:
    """One number for a batch: raw rows [B, P, 6], priors [P, 3], per picture boxes [G, 4] and judged [G]."""
    decoded = decode_boxes(raw[..., 2:], priors)
    total = raw.new_zeros(())
    found = 0
    for index in range(len(raw)):
        target, overlap = assign(raw[index].detach(), decoded[index].detach(), priors, boxes[index], judged[index])
        positive = target >= 0
        counted = target != LEFT_OUT
        found += int(positive.sum())
        total = total + functional.binary_cross_entropy_with_logits(
            raw[index, counted, 1], positive[counted].float(), reduction="sum"
        )
        total = total + functional.binary_cross_entropy_with_logits(
            raw[index, positive, 0], overlap[positive], reduction="sum"
        )
        total = total + _BOX_WEIGHT * eiou_loss(decoded[index, positive], boxes[index][target[positive]]).sum()
    return total / max(1, found)
