"""Exponential moving average of a network's weights: what is measured and exported."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Average:
    """Follows `net`; `decay` is reached slowly, so that a short training is not held back by its start."""

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.net = copy.deepcopy(net).eval().requires_grad_(requires_grad=False)
        self.decay = decay
        self.steps = 0

    @torch.no_grad()
    def follow(self, net: nn.Module) -> None:
        """Takes one step towards the present weights."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for kept, value in zip(self.net.state_dict().values(), net.state_dict().values(), strict=True):
            if kept.is_floating_point():
                kept.lerp_(value, 1 - decay)
            else:
                kept.copy_(value)
