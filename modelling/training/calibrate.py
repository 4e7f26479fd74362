"""Chooses the operating point and makes confidence honest, on photos set aside for that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelling.evaluation.scoring import Corners, Prediction, Terms, Truth, match, score
from modelling.training.blend import Blend, fitted
from modelling.training.photos import CLASSES

CANDIDATES = tuple(round(0.16 + 0.02 * step, 2) for step in range(37))
_LEAST_LIKELY = 1e-7
_FEW = 10
"""Each of fewer faces of a class in a dataset counts as one of so many: one wrong label among three must not decide."""


@dataclass(frozen=True)
class Measured:
    """One photo: its dataset, its faces, what was found (pixels of the photo), probabilities [N, 3].

    `shrunk` is the analysed picture's side in sides of the photo.
    """

    dataset: str
    truth: Truth
    boxes: Sequence[Corners]
    scores: Sequence[float]
    probabilities: NDArray[np.float32]
    shrunk: float = 1.0

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
    """The candidate with the best `_quality` over all faces together.

    A mean over the datasets is swayed by portraits, in which every threshold finds the face and the highest raises the
    fewest false alarms: three groups' photos once chose 0.82 by it, and 0.62 to 0.66 so (docs/model/trials.md).
    """
    return max(CANDIDATES, key=lambda threshold: _quality(measured, Terms(threshold, min_px=min_px)))


def fitted_blend(head: Sequence[Measured], crop: Sequence[Measured], terms: Terms, use: Blend) -> Blend:
    """The blend that fits the faces that the detector finds; `head` and `crop` are the same photos, judged by the
    detector's head alone and by the classifier alone. `use` says which of the two may have weight.

    Each class of each dataset counts alike, but less where it has fewer than `_FEW` faces: most photos of 2020 show
    masks, and a verdict that knew that would tell a bare crowd a rate that is too high, and take a badly worn mask for
    a good one (docs/adr/0044-finer-level.md).
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
    kinds = list(zip(datasets, classes, strict=True))
    often = Counter(kinds)
    share = torch.tensor([1 / max(_FEW, often[kind]) for kind in kinds])
    return fitted(_logits(heads), _logits(crops), torch.tensor(classes), use, share)


def _logits(probabilities: Sequence[NDArray[np.float32]]) -> Tensor:
    # Softmax forgets a constant: the logs of the probabilities serve as logits.
    return torch.from_numpy(np.log(np.maximum(np.stack(probabilities), _LEAST_LIKELY)))
