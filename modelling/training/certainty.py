"""How certain a detection is a face: the network's score, made a probability that knows the face's size.

Platt: "Probabilistic Outputs for Support Vector Machines" (1999), with an offset by size: what a network scores 0.4 is
mostly a face if it is small, and mostly none if it is large. One threshold then suits every size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from modelling.evaluation.scoring import Terms, box_px, match
from modelling.training.calibrate import Measured
from modelling.training.graph import Graph

KNOTS = (6.0, 9.0, 13.0, 19.0, 28.0, 48.0, 96.0)
"""Sizes in pixels of the analysed picture at which an offset is fitted; between them it follows the logarithm."""
_PULL = 3e-4
_ROUNDS = 200
_EDGE = 1e-5


@dataclass(frozen=True)
class Certainty:
    """The logit of a probability is `slope` times the score's logit, plus the offset of the size."""

    slope: float = 1.0
    offsets: tuple[float, ...] = (0.0,) * len(KNOTS)

    def of(self, scores: NDArray[np.float32], sizes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probabilities [N] of scores [N], for faces of these sizes in analysed pixels [N]."""
        logits = self.slope * _logits(torch.from_numpy(scores)) + _steps(sizes) @ torch.tensor(self.offsets)
        return logits.sigmoid().numpy()

    def write(self, graph: Graph, scores: str, boxes: str) -> str:
        """Add the same to a graph; return the name of the probabilities."""
        bounded = graph.add("Clip", scores, graph.constant(_EDGE), graph.constant(1 - _EDGE))
        odds = graph.add("Div", bounded, graph.add("Sub", graph.constant(1.0), bounded))
        low, high = graph.add_many("Split", [boxes, graph.integers(2, 2)], 2, axis=1)
        sides = graph.add("Max", graph.add("Sub", high, low), graph.constant(_EDGE))
        size = graph.add("Mul", graph.add("ReduceSum", graph.add("Log", sides), graph.integers(1)), graph.constant(0.5))
        knots = np.log(KNOTS)
        share = graph.add("Div", graph.add("Sub", size, graph.constant(knots[:-1])), graph.constant(np.diff(knots)))
        share = graph.add("Clip", share, graph.constant(0.0), graph.constant(1.0))
        rises = graph.constant(np.diff(self.offsets)[:, None])
        offset = graph.add("Squeeze", graph.add("MatMul", share, rises), graph.integers(1))
        logit = graph.add("Mul", graph.add("Log", odds), graph.constant(self.slope))
        logit = graph.add("Add", graph.add("Add", logit, offset), graph.constant(self.offsets[0]))
        return graph.add("Sigmoid", logit)


def _logits(scores: Tensor) -> Tensor:
    return torch.logit(scores.float(), eps=_EDGE)


def _steps(sizes: NDArray[np.float32]) -> Tensor:
    """[N, K]: by how much each knot counts for each size."""
    knots = np.log(KNOTS)
    place = np.interp(np.log(np.maximum(sizes, _EDGE)), knots, np.arange(len(KNOTS)))
    weights = np.maximum(0.0, 1 - np.abs(place[:, None] - np.arange(len(KNOTS))))
    return torch.from_numpy(weights.astype(np.float32))


def sizes_of(measured: Measured) -> NDArray[np.float32]:
    """Return the sizes of what was found, in pixels of the analysed picture [N]."""
    return np.array([box_px(box) * measured.shrunk for box in measured.boxes], dtype=np.float32)


def _judged(measured: Measured, min_px: float) -> list[tuple[int, bool]]:
    """Each detection that is right or wrong, and which; not those on faces that nobody judged."""
    found = match(measured.truth, measured.found, Terms(0.0, min_px=min_px))
    return [(index, True) for index in found.hits.values()] + [(index, False) for index in found.false_alarms]


def fitted_certainty(seen: Sequence[Measured], min_px: float) -> Certainty:
    """Return the certainty that fits these photos best. Every dataset counts alike."""
    rows: list[tuple[str, float, float, bool]] = []
    for one in seen:
        sizes = sizes_of(one)
        rows += [(one.dataset, one.scores[i], float(sizes[i]), right) for i, right in _judged(one, min_px)]
    if not rows:
        return Certainty()
    datasets, scores, sizes, right = zip(*rows, strict=True)
    often = Counter(datasets)
    share = torch.tensor([1 / often[name] for name in datasets])
    return _fitted(_logits(torch.tensor(scores)), _steps(np.array(sizes)), torch.tensor(right).float(), share)


def _fitted(logits: Tensor, steps: Tensor, right: Tensor, share: Tensor) -> Certainty:
    root = torch.ones(1, requires_grad=True)
    offsets = torch.zeros(steps.shape[1], requires_grad=True)
    search = torch.optim.LBFGS([root, offsets], max_iter=_ROUNDS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        guess = root**2 * logits + steps @ offsets
        wrong = functional.binary_cross_entropy_with_logits(guess, right, reduction="none")
        total = (wrong * share).sum() / share.sum() + _PULL * (offsets.square().sum() + (root**2 - 1).square().sum())
        total.backward()
        return total

    search.step(loss)
    return Certainty(float(root.detach() ** 2), tuple(offsets.detach().tolist()))
