"""From the fine network to the light one: which channels it inherits, and learning to see as its teacher does.

Channels are kept by their weight in what follows: He, Zhang, Sun: "Channel Pruning for Accelerating Very Deep Neural
Networks" (2017). Then the light backbone learns the teacher's features: Romero et al.: "FitNets: Hints for Thin Deep
Nets" (2015).
"""

from __future__ import annotations

import torch
from torch import Tensor

from modelling.training.leg import device, mixed_precision
from modelling.training.scenes import Scene
from modelling.training.yunet import LIGHT, PointDepth, YuNet

_OUT = ("conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias", "bn.weight", "bn.bias")
_OUT_STATISTICS = ("bn.running_mean", "bn.running_var")


def _strongest(part: PointDepth, following: PointDepth, count: int) -> Tensor:
    """The `count` output channels of `part` that weigh most in `following`, in order."""
    weight = part.bn.weight.abs() * following.conv1.weight.flatten(1).norm(dim=0)
    return weight.topk(count).indices.sort().values


def _narrow(state: dict[str, Tensor], name: str, outputs: Tensor | None, inputs: Tensor | None) -> None:
    """Keeps only these output and input channels of the `PointDepth` called `name`."""
    if inputs is not None:
        state[f"{name}.conv1.weight"] = state[f"{name}.conv1.weight"][:, inputs]
    if outputs is not None:
        for part in (*_OUT, *_OUT_STATISTICS):
            state[f"{name}.{part}"] = state[f"{name}.{part}"][outputs]


@torch.no_grad()
def inherit(teacher: YuNet) -> YuNet:
    """The light network with the teacher's strongest channels; what the teacher has no part for stays as it begins.

    The teacher's fine level is left behind.
    """
    net = YuNet(LIGHT)
    width = LIGHT.stages[0][1]
    one, two = teacher.backbone.model1, teacher.backbone.model2
    first = _strongest(one.conv2, two.conv1, width)
    second = _strongest(two.conv1, two.conv2, width)
    state = dict(teacher.state_dict())
    _narrow(state, "backbone.model1.conv2", first, None)
    _narrow(state, "backbone.model2.conv1", second, first)
    _narrow(state, "backbone.model2.conv2", None, second)
    known = net.state_dict()
    net.load_state_dict(known | {name: value for name, value in state.items() if name in known})
    return net


def pictures_of(scenes: list[Scene]) -> Tensor:
    """What the network takes: [B, 3, S, S] float 0..255 on the device; the published weights want blue, green, red."""
    pictures = torch.stack([scene.pixels.flip(0) for scene in scenes]).float()
    return pictures.contiguous(memory_format=torch.channels_last).to(device())


def hint_loss(net: YuNet, teacher: YuNet, scenes: list[Scene]) -> Tensor:
    """How far the light backbone's features are from the teacher's: mean over the levels, 1 if it were blind."""
    pictures = pictures_of(scenes)
    with mixed_precision():
        with torch.no_grad():
            wanted = teacher.backbone(pictures)
        found = net.backbone(pictures)
    # The teacher may have a finer level, which comes last.
    pairs = [(one.float(), other.float()) for one, other in zip(found, wanted, strict=False)]
    losses = [(one - other).square().mean() / other.square().mean().clamp(min=1e-6) for one, other in pairs]
    return torch.stack(losses).mean()
