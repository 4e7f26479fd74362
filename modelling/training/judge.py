"""The classifier: a small residual network that sees one face and says what is worn.

Residual connections: He et al., "Deep Residual Learning for Image Recognition" (2016).
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from modelling.training.photos import CLASSES

WIDTHS = (16, 32, 64, 96)


class Conv(nn.Module):
    """A 3x3 convolution and batch norm."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


class Block(nn.Module):
    """Halves the sides, then one residual convolution."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.down = Conv(before, after, 2)
        self.same = Conv(after, after)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.down(x))
        return functional.relu(x + self.same(x))


class Judge(nn.Module):
    """`forward` takes RGB 0..255 [N, 3, S, S] and returns logits [N, 3] in the order of CLASSES."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Conv(3, WIDTHS[0], 2)
        self.blocks = nn.ModuleList(Block(before, after) for before, after in pairwise(WIDTHS))
        self.drop = nn.Dropout(0.2)
        self.last = nn.Linear(WIDTHS[-1], len(CLASSES))

    def forward(self, views: Tensor) -> Tensor:
        x = functional.relu(self.stem((views - 127.5) / 64))
        for block in self.blocks:
            x = block(x)
        return self.last(self.drop(x.mean((2, 3))))
