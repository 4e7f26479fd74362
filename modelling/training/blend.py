"""What is worn, as both networks see it: a weighted sum of their logits, with calibrated probabilities.

The detector's head sees a face in its surroundings, the classifier sees it closer. Weights and a bias for each class
are fitted on photos set aside: Guo et al.: "On Calibration of Modern Neural Networks" (2017), section 4.2, vector
scaling, with one weight for each network instead of one for each class.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from modelling.training.photos import CLASSES

# Few faces are badly worn ones: without a pull towards nothing, their bias would follow chance.
_PULL = 1e-3
_ROUNDS = 100


@dataclass(frozen=True)
class Blend:
    """Logits are `head` times the detector's, plus `crop` times the classifier's, plus `bias` (one per class)."""

    head: float
    crop: float
    bias: tuple[float, ...] = (0.0,) * len(CLASSES)


HEAD_ALONE, CROP_ALONE = Blend(1.0, 0.0), Blend(0.0, 1.0)


def fitted(head: Tensor, crop: Tensor, classes: Tensor, use: Blend, share: Tensor | None = None) -> Blend:
    """The blend that makes the classes [N] likeliest; `head` and `crop` are logits [N, 3].

    `share` [N] says how much each face counts (default: all alike). A network whose weight in `use` is 0 stays without
    weight, and no weight is below 0: where both err alike, one would else vote against itself. Without faces `use`
    comes back as it is.
    """
    if not len(classes):
        return use
    share = torch.ones(len(classes)) if share is None else share
    weights = torch.tensor([use.head, use.crop]) / (use.head + use.crop)
    roots = weights.sqrt().requires_grad_()
    bias = torch.zeros(len(CLASSES), requires_grad=True)
    search = torch.optim.LBFGS([roots, bias], max_iter=_ROUNDS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        # A square is never below 0, and of a weight that is 0 the gradient is 0.
        logits = roots[0] ** 2 * head + roots[1] ** 2 * crop + bias
        wrong = functional.cross_entropy(logits, classes, reduction="none")
        total = (wrong * share).sum() / share.sum() + _PULL * (bias.square().sum() + roots.square().sum())
        total.backward()
        return total

    search.step(loss)
    found = roots.detach().square().tolist()
    return Blend(found[0], found[1], tuple(bias.tolist()))
