"""Chooses the operating point and makes confidence honest, on photos set aside for that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelling.training.blend import Blend, fitted
from modelling.training.photos import CLASSES
from services.inference.core.scoring import Corners, Prediction, Terms, Truth, match, score

CANDIDATES = tuple(round(0.20 + 0.02 * step, 2) for step in range(31))
_LEAST_LIKELY = 1e-7


@dataclass(frozen=True)
class Measured:
    """One photo: its dataset, its faces, what was found (pixels of the photo), probabilities [N, 3]."""

    dataset: str
    truth: Truth
    boxes: Sequence[Corners]
    scores: Sequence[float]
    probabilities: NDArray[np.float32]

    @property
    def found(self) -> Prediction:
        """The boxes and scores alone."""
        return Prediction(self.boxes, self.scores)


def _quality(measured: Sequence[Measured], terms: Terms) -> float:
    """F1 with a recall in which masked and bare faces weigh alike: finding one kind better biases the mask rate."""
    result = score([(one.truth, one.found) for one in measured], terms)
    shares = [share for name in ("mask", "no_mask") if (share := result["recall_by"].get(f"class {name}", (None,))[0])]
    recall = sum(shares) / max(1, len(shares))
    return float(2 * result["precision"] * recall / max(1e-9, result["precision"] + recall))


def best_threshold(measured: Sequence[Measured], min_px: float) -> float:
    """The candidate with the best `_quality`, averaged over the datasets so that the larger does not decide alone."""
    datasets = sorted({one.dataset for one in measured})
    parts = [[one for one in measured if one.dataset == name] for name in datasets]

    def quality(threshold: float) -> float:
        return sum(_quality(part, Terms(threshold, min_px=min_px)) for part in parts) / len(parts)

    return max(CANDIDATES, key=quality)


def fitted_blend(head: Sequence[Measured], crop: Sequence[Measured], terms: Terms, use: Blend) -> Blend:
    """The blend that fits the faces that the detector finds; `head` and `crop` are the same photos, judged by the
    detector's head alone and by the classifier alone. `use` says which of the two may have weight. Every dataset counts
    alike, so that the larger does not decide alone.
    """
    rows: list[tuple[str, NDArray[np.float32], NDArray[np.float32], int]] = []
    for one, other in zip(head, crop, strict=True):
        rows += [
            (one.dataset, one.probabilities[index], other.probabilities[index], CLASSES.index(one.truth.labels[face]))
            for face, index in match(one.truth, one.found, terms).hits.items()
        ]
    if not rows:
        return use
    datasets, heads, crops, classes = zip(*rows, strict=True)
    faces = Counter(datasets)
    share = torch.tensor([1 / faces[name] for name in datasets])
    return fitted(_logits(heads), _logits(crops), torch.tensor(classes), use, share)


def _logits(probabilities: Sequence[NDArray[np.float32]]) -> Tensor:
    # Softmax forgets a constant: the logs of the probabilities serve as logits.
    return torch.from_numpy(np.log(np.maximum(np.stack(probabilities), _LEAST_LIKELY)))
