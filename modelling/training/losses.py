"""The detector's loss: objectness everywhere, class and box where a face is.

The box term is EIoU: Zhang et al., "Focal and Efficient IOU Loss for Accurate Bounding Box Regression" (2021).
Weights as in YuNet (Wu et al. 2023): 1, 1 and 5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from modelling.training.assignment import LEFT_OUT, assign
from modelling.training.photos import CLASSES
from modelling.training.scenes import Scene
from modelling.training.yunet import decode_boxes

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


def detector_loss(
    raw: Tensor,
    priors: Tensor,
    scenes: Sequence[Scene],
    more: Callable[[Tensor, Tensor], Tensor] | None = None,
    bare_weight: float = 1.0,
) -> Tensor:
    """One number for a batch: raw rows [B, P, C], priors [P, 3] and the scenes that they are of.

    `more` is given the rows [N, C] that learn a face and the classes [N] of those faces, and returns a sum to add.
    Being sure of a face that is bare or badly masked counts `bare_weight` times.
    """
    decoded = decode_boxes(raw[..., 2:6], priors)
    total = raw.new_zeros(())
    found = 0
    for rows, boxes, scene in zip(raw, decoded, scenes, strict=True):
        target, overlap = assign(rows.detach(), boxes.detach(), priors, scene.boxes, scene.judged)
        positive, counted = target >= 0, target != LEFT_OUT
        classes = scene.classes[target[positive]]
        weights = torch.ones(len(rows))
        weights[positive] = torch.where(classes > CLASSES.index("mask"), bare_weight, 1.0)
        found += int(positive.sum())
        total = total + _sure(rows[counted, 1], positive[counted].float(), weights[counted])
        total = total + _sure(rows[positive, 0], overlap[positive], weights[positive])
        total = total + _BOX_WEIGHT * eiou_loss(boxes[positive], scene.boxes[target[positive]]).sum()
        if more is not None:
            total = total + more(rows[positive], classes)
    return total / max(1, found)


def _sure(logits: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, wanted, weights, reduction="sum")
