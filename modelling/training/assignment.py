"""Which prior learns which face: SimOTA.

Ge et al.: "YOLOX: Exceeding YOLO Series in 2021" (2021), section 2.5, as YuNet uses it: every face takes its k
cheapest priors, k being the sum of its ten best IoUs; a prior wanted by two faces goes to the cheaper one.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import box_iou

BACKGROUND = -1
LEFT_OUT = -2
_RADIUS = 2.5  # strides around a face's centre where a prior may take it
_IOU_WEIGHT = 3.0
_FAR = 1e5
_BEST = 10


def _inside(priors: Tensor, boxes: Tensor) -> Tensor:
    """[P, G]: is the prior's point inside the box?"""
    x, y = priors[:, 0:1], priors[:, 1:2]
    return (x > boxes[:, 0]) & (x < boxes[:, 2]) & (y > boxes[:, 1]) & (y < boxes[:, 3])


def _near_centre(priors: Tensor, boxes: Tensor) -> Tensor:
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    distance = (priors[:, None, :2] - centre[None]).abs().amax(-1)
    return distance < _RADIUS * priors[:, 2:]


def _costs(scores: Tensor, overlaps: Tensor, both: Tensor) -> Tensor:
    class_cost = functional.binary_cross_entropy(scores, torch.ones_like(scores), reduction="none")
    return class_cost[:, None] - _IOU_WEIGHT * (overlaps + 1e-8).log() + _FAR * ~both


def _cheapest(costs: Tensor, overlaps: Tensor) -> Tensor:
    """[P, G]: chosen pairs, at most one face a prior."""
    wanted = overlaps.topk(min(_BEST, len(overlaps)), dim=0).values.sum(0).int().clamp(min=1)
    chosen = torch.zeros_like(costs, dtype=torch.bool)
    for face, count in enumerate(wanted.tolist()):
        chosen[costs[:, face].topk(min(count, len(costs)), largest=False).indices, face] = True
    contested = chosen.sum(1) > 1
    if contested.any():
        best = costs[contested].argmin(1)
        chosen[contested] = functional.one_hot(best, costs.shape[1]).bool()
    return chosen


@torch.no_grad()
def assign(raw: Tensor, decoded: Tensor, priors: Tensor, boxes: Tensor, judged: Tensor) -> tuple[Tensor, Tensor]:
    """For one picture: the face index of each prior [P] (or BACKGROUND, LEFT_OUT) and its IoU with it [P].

    `raw` [P, 6] and `decoded` [P, 4] are the network's, `boxes` [G, 4] the faces, `judged` [G] false where a face is
    to be ignored: priors that such a face covers and no other face takes are LEFT_OUT.
    """
    target = torch.full((len(priors),), BACKGROUND)
    overlap = torch.zeros(len(priors))
    target[_inside(priors, boxes[~judged]).any(1)] = LEFT_OUT
    index = judged.nonzero().flatten()
    if not len(index):
        return target, overlap
    inside, near = _inside(priors, boxes[index]), _near_centre(priors, boxes[index])
    rows = (inside | near).any(1).nonzero().flatten()
    if not len(rows):
        return target, overlap
    scores = (raw[rows, 0].sigmoid() * raw[rows, 1].sigmoid()).sqrt().clamp(1e-6, 1 - 1e-6)
    overlaps = box_iou(decoded[rows], boxes[index])
    chosen = _cheapest(_costs(scores, overlaps, (inside & near)[rows]), overlaps)
    taken = chosen.any(1)
    face = chosen[taken].int().argmax(1)
    target[rows[taken]] = index[face]
    overlap[rows[taken]] = overlaps[taken, face]
    return target, overlap
