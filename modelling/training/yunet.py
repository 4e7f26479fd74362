"""YuNet-n, the face detector that is fine-tuned here.

Wu, Peng, Yu: "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 20 (2023).
The module names follow the published weights (libfacedetection.train, `yunet_n.pth`) so that they load by name.
Two shapes of it are used: PUBLISHED as it came, with its landmark branch; FINE, which goes on from it, with a fourth
level at stride 4 for faces of 8 to 20 px.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from modelling.training.photos import CLASSES

STRIDES = (8, 16, 32)
FINEST = 4
"""The stride of the level that a shape may have besides; its rows come last."""
LANDMARKS = 5
POOLED_AFTER = (0, 2, 3, 4)
_FINE_AFTER = 2
_TAPPED_AFTER = (3, 4, 5)
WIDER_AFTER = (4, 5)
# exp(6) strides is far beyond any picture; without the limit one wild step makes the loss infinite.
_LARGEST_LOG_SIDE = 6.0


@dataclass(frozen=True)
class Shape:
    """Channels before and after each stage, how many `Wider` end each of the last two stages, and the heads beside
    class, objectness and box: `classes` for what is worn, `landmarks` for five points. `fine` is how many channels the
    level at stride 4 has; 0: there is none.
    """

    stages: tuple[tuple[int, int], ...]
    wider: int = 0
    classes: bool = False
    landmarks: bool = False
    fine: int = 0

    @property
    def strides(self) -> tuple[int, ...]:
        """The levels' strides in pixels, in the order of the rows."""
        return (*STRIDES, FINEST) if self.fine else STRIDES


PUBLISHED = Shape(((16, 64), (64, 64), (64, 64), (64, 64), (64, 64)), landmarks=True)
FINE = Shape(PUBLISHED.stages, wider=2, classes=True, fine=32)


class PointDepth(nn.Module):
    """A 1x1 convolution, a depthwise 3x3 one and, unless it ends a head, batch norm and ReLU."""

    def __init__(self, before: int, after: int, *, ends: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 1)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, groups=after)
        self.bn = None if ends else nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv2(self.conv1(x))
        return x if self.bn is None else functional.relu(self.bn(x))


class Stem(nn.Module):
    """The first convolution (stride 2) and one `PointDepth`."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = PointDepth(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(functional.relu(self.bn1(self.conv1(x))))


class Stage(nn.Module):
    """Two `PointDepth`."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv1 = PointDepth(before, before)
        self.conv2 = PointDepth(before, after)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(x))


class Wider(nn.Module):
    """Twice the channels, a depthwise 5x5 convolution, back again, added to what came in, and ReLU.

    The inverted residual of Sandler et al.: "MobileNetV2" (2018). It starts as the identity, so that the weights around
    it mean what they meant. At strides 16 and 32 it costs little and shows the network more of a face's surroundings.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = 2 * channels
        self.widen = _normed(nn.Conv2d(channels, inner, 1, bias=False))
        self.depth = _normed(nn.Conv2d(inner, inner, 5, padding=2, groups=inner, bias=False))
        self.narrow = _normed(nn.Conv2d(inner, channels, 1, bias=False))
        nn.init.zeros_(self.narrow[1].weight)

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu(self.depth(functional.relu(self.widen(x))))
        return functional.relu(x + self.narrow(inner))


def _normed(conv: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels))


class Backbone(nn.Module):
    """Six stages; the last three are tapped, at strides 8, 16 and 32. `wider4` and `wider5`, if any, end two.

    With a fine level the third stage is tapped as well, at stride 4; it comes last.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.model0 = Stem()
        self.tapped_after = (*_TAPPED_AFTER, _FINE_AFTER) if shape.fine else _TAPPED_AFTER
        for index, (before, after) in enumerate(shape.stages, start=1):
            self.add_module(f"model{index}", Stage(before, after))
        for index in WIDER_AFTER:
            channels = shape.stages[index - 1][1]
            blocks = nn.Sequential(*(Wider(channels) for _ in range(shape.wider)))
            self.add_module(f"wider{index}", blocks)

    def forward(self, x: Tensor) -> list[Tensor]:
        tapped = {}
        for index in range(len(POOLED_AFTER) + 2):
            x = self.get_submodule(f"model{index}")(x)
            if index in WIDER_AFTER:
                x = self.get_submodule(f"wider{index}")(x)
            if index in self.tapped_after:
                tapped[index] = x
            if index in POOLED_AFTER:
                x = functional.max_pool2d(x, 2)
        return [tapped[index] for index in self.tapped_after]


class Neck(nn.Module):
    """The tiny feature pyramid: from coarse to fine, doubled by nearest neighbour and added.

    `fine_down` narrows stride 8 for the fine level, `fine` narrows stride 4.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.lateral_convs = nn.ModuleList(PointDepth(64, 64) for _ in STRIDES)
        if shape.fine:
            self.fine_down = _normed(nn.Conv2d(64, shape.fine, 1, bias=False))
            self.fine = PointDepth(shape.stages[_FINE_AFTER - 1][1], shape.fine)

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        levels = list(levels)
        for index in (2, 1):
            levels[index] = self.lateral_convs[index](levels[index])
            levels[index - 1] = levels[index - 1] + functional.interpolate(levels[index], scale_factor=2.0)
        levels[0] = self.lateral_convs[0](levels[0])
        if len(levels) > len(STRIDES):
            levels[3] = self.fine(levels[3]) + functional.interpolate(self.fine_down(levels[0]), scale_factor=2.0)
        return levels


# A level that starts from nothing sees no faces at first: else its many cells would drown the others.
_NO_FACE = -4.0


class Head(nn.Module):
    """Per level one shared `PointDepth`, then class, objectness, box and what else the shape asks for.

    Of the three levels of the published weights the parts are lists, by level; those of the fine level begin with
    `fine_`.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.multi_level_share_convs = nn.ModuleList(nn.Sequential(PointDepth(64, 64)) for _ in STRIDES)
        self.names = ["multi_level_cls", "multi_level_obj", "multi_level_bbox"]
        sides = [1, 1, 4]
        if shape.classes:
            self.names, sides = [*self.names, "multi_level_worn"], [*sides, len(CLASSES)]
        if shape.landmarks:
            self.names, sides = [*self.names, "multi_level_kps"], [*sides, 2 * LANDMARKS]
        for name, side in zip(self.names, sides, strict=True):
            self.add_module(name, nn.ModuleList(PointDepth(64, side, ends=True) for _ in STRIDES))
        if shape.fine:
            self._add_fine(shape.fine, sides)

    def _add_fine(self, channels: int, sides: list[int]) -> None:
        self.fine_share = PointDepth(channels, channels)
        for name, side in zip(self.names, sides, strict=True):
            self.add_module(f"fine_{name}", PointDepth(channels, side, ends=True))
        for name in self.names[:2]:
            nn.init.constant_(self.get_submodule(f"fine_{name}").conv2.bias, _NO_FACE)

    def shared(self, index: int) -> PointDepth:
        """The part of a level that all its branches have in common."""
        return self.fine_share if index == len(STRIDES) else self.multi_level_share_convs[index][0]

    def branches(self, index: int) -> list[PointDepth]:
        """The last layers of one level, in the order of the columns."""
        if index == len(STRIDES):
            return [self.get_submodule(f"fine_{name}") for name in self.names]
        return [self.get_submodule(name)[index] for name in self.names]

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        rows = []
        for index, level in enumerate(levels):
            shared = self.shared(index)(level)
            rows.append(torch.cat([branch(shared) for branch in self.branches(index)], 1))
        return rows


class YuNet(nn.Module):
    """`forward` takes BGR 0..255 [B, 3, H, W], sides multiples of 32, and returns raw rows [B, P, C]: class logit,
    objectness logit, centre offset x and y and log width and height, in strides; then, if the shape has them, logits
    of what is worn (in the order of CLASSES) and the offsets x, y of five landmarks, in strides.
    """

    def __init__(self, shape: Shape = FINE) -> None:
        super().__init__()
        self.shape = shape
        self.backbone = Backbone(shape)
        self.neck = Neck(shape)
        self.bbox_head = Head(shape)

    def forward(self, pictures: Tensor) -> Tensor:
        levels = self.bbox_head(self.neck(self.backbone(pictures)))
        return torch.cat([level.flatten(2).transpose(1, 2) for level in levels], 1)


def prior_points(height: int, width: int, strides: tuple[int, ...] = STRIDES) -> Tensor:
    """[P, 3]: x, y (the cell's upper left corner, as in the published weights) and stride, in pixels."""
    levels = []
    for stride in strides:
        y, x = torch.meshgrid(torch.arange(height // stride), torch.arange(width // stride), indexing="ij")
        points = torch.stack([x.flatten(), y.flatten()], 1).float() * stride
        levels.append(torch.cat([points, torch.full((len(points), 1), float(stride))], 1))
    return torch.cat(levels)


def decode_boxes(raw: Tensor, priors: Tensor) -> Tensor:
    """Raw box parts [..., P, 4] to corners x1, y1, x2, y2 in pixels."""
    centre = raw[..., :2] * priors[:, 2:] + priors[:, :2]
    half = raw[..., 2:].clamp(max=_LARGEST_LOG_SIDE).exp() * priors[:, 2:] / 2
    return torch.cat([centre - half, centre + half], -1)


def load_published(path: Path) -> YuNet:
    """The published network with its weights, in evaluation mode; raises RuntimeError when a weight is missing."""
    stored = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    net = YuNet(PUBLISHED)
    net.load_state_dict(stored)
    return net.eval()
