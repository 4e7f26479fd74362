"""Labels that are likely wrong, found by a classifier that never learnt from their source.

Confident learning: Northcutt, Jiang, Chuang: "Confident Learning: Estimating Uncertainty in Dataset Labels" (2021). A
label is doubted when another one is at least as likely as that one usually is where it was given, and the label itself
is hardly possible. Only mask against no mask is doubted: between `no_mask` and `incorrect` the sources draw the line
differently.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from modelling.training.photos import CLASSES, DOUBTED, Sample

_HARDLY = 0.05
_MASK = CLASSES.index("mask")


@dataclass(frozen=True)
class Doubt:
    """One doubted label: photo, index of its box, the label, what the classifier says, and how likely the label is."""

    name: str
    index: int
    label: str
    said: str
    likely: float


def doubted(probabilities: Tensor, classes: Tensor) -> Tensor:
    """[N]: is this label likely wrong? `probabilities` [N, 3] come from a network that never saw these faces."""
    usual = torch.stack(
        [
            probabilities[classes == index, index].mean() if (classes == index).any() else torch.tensor(1.0)
            for index in range(len(CLASSES))
        ]
    )
    masked = torch.stack([probabilities[:, _MASK], 1 - probabilities[:, _MASK]], 1)
    own = torch.where(classes == _MASK, masked[:, 0], masked[:, 1])
    other = probabilities >= usual
    # Not masked covers two classes: either of them, or both together, may be the other label.
    contradicted = torch.where(
        classes == _MASK, other[:, [i for i in range(len(CLASSES)) if i != _MASK]].any(1), other[:, _MASK]
    )
    return contradicted & (own < _HARDLY)


def doubts(faces: list[tuple[str, int]], classes: Tensor, probabilities: Tensor) -> list[Doubt]:
    """The doubted ones of these faces, least likely first."""
    found = []
    for row in doubted(probabilities, classes).nonzero().flatten().tolist():
        label, said = int(classes[row]), int(probabilities[row].argmax())
        likely = float(probabilities[row, label])
        found.append(Doubt(*faces[row], CLASSES[label], CLASSES[said], likely))
    return sorted(found, key=lambda one: one.likely)


def without(samples: list[Sample], found: list[Doubt]) -> list[Sample]:
    """The samples with those labels taken back: still faces, but nothing is learnt of what they wear."""
    wrong: dict[str, list[int]] = {}
    for one in found:
        wrong.setdefault(one.name, []).append(one.index)
    result = []
    for sample in samples:
        classes = sample.classes.clone()
        classes[wrong.get(sample.name, [])] = DOUBTED
        result.append(replace(sample, classes=classes))
    return result
