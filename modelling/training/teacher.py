"""What the published detector sees in the training photos: faces that nobody labelled, and landmarks.

Annotators of mask photos tend to leave out bare faces in the background. Taught as background, such faces make the
detector miss bare faces more often than masked ones, which would bias every mask rate: they are ignored instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import box_iou, nms
from torchvision.transforms.v2 import functional as transforms

from modelling.training.leg import mixed_precision
from modelling.training.photos import IGNORED, Sample
from modelling.training.yunet import LANDMARKS, YuNet, decode_boxes, prior_points

_SAME = 0.3  # IoU from which a box is a labelled face
_LANDMARK_SCORE = 0.3
_DOUBLE = 0.45
_MULTIPLE = 32


@dataclass(frozen=True)
class Seen:
    """Boxes [N, 4] and landmarks [N, 5, 2] in pixels of the photo, scores [N]."""

    boxes: Tensor
    scores: Tensor
    landmarks: Tensor


@torch.no_grad()
def seen_faces(net: YuNet, pixels: Tensor, long_side: int) -> Seen:
    """What the published network scores above 0.3 in the RGB picture at `long_side`."""
    scale = long_side / max(pixels.shape[1:])
    size = [max(1, round(side * scale)) for side in pixels.shape[1:]]
    picture = transforms.resize(pixels, size, antialias=True).flip(0).float()[None]
    # One shape for all photos: torch prepares its kernels anew for every shape, which takes longer than the run.
    side = long_side + -long_side % _MULTIPLE
    picture = functional.pad(picture, (0, side - size[1], 0, side - size[0]))
    with mixed_precision():
        raw = net(picture.contiguous(memory_format=torch.channels_last))[0].float()
    scores = (raw[:, 0].sigmoid() * raw[:, 1].sigmoid()).sqrt()
    sure = scores > _LANDMARK_SCORE
    raw, scores, priors = raw[sure], scores[sure], prior_points(*picture.shape[2:])[sure]
    boxes = decode_boxes(raw[:, 2:6], priors)
    points = raw[:, -2 * LANDMARKS :].unflatten(1, (LANDMARKS, 2)) * priors[:, None, 2:] + priors[:, None, :2]
    kept = nms(boxes, scores, _DOUBLE)
    return Seen(boxes[kept] / scale, scores[kept], points[kept] / scale)


def _with_seen(sample: Sample, seen: Seen, least_score: float) -> Sample:
    landmarks = sample.landmarks.clone()
    free = torch.ones(len(seen.boxes), dtype=torch.bool)
    if len(seen.boxes) and len(sample.boxes):
        overlaps = box_iou(sample.boxes, seen.boxes)
        best, index = overlaps.max(1)
        landmarks[best > _SAME] = seen.landmarks[index[best > _SAME]]
        free = overlaps.amax(0) < _SAME
    more = free & (seen.scores > least_score)
    return replace(
        sample,
        boxes=torch.cat([sample.boxes, seen.boxes[more]]),
        classes=torch.cat([sample.classes, torch.full((int(more.sum()),), IGNORED)]),
        landmarks=torch.cat([landmarks, torch.full((int(more.sum()), LANDMARKS, 2), torch.nan)]),
    )


def with_teacher(
    samples: list[Sample],
    net: YuNet,
    *,
    long_side: int,
    least_score: float,
    tick: Callable[[], None],
    known: dict[str, Seen] | None = None,
) -> list[Sample]:
    """The samples with landmarks on the labelled faces that `net` sees, and an ignored box wherever it scores a face
    higher than `least_score` that nobody labelled.

    What it sees in photos that are not `known` yet, by name, is added there.
    """
    result, known = [], {} if known is None else known
    for sample in samples:
        if sample.name not in known:
            # Single faces cut out of photos are small: at most doubled, so that the network knows the size.
            side = min(long_side, 2 * max(sample.pixels.shape[1:]))
            known[sample.name] = seen_faces(net, sample.pixels, side)
        result.append(_with_seen(sample, known[sample.name], least_score))
        tick()
    return result
