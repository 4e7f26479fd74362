"""Trains the classifier from nothing."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from modelling.training.config import Config, identity
from modelling.training.judge import Judge
from modelling.training.leg import Leg, Terms, device, mixed_precision
from modelling.training.patches import Patches, plain, varied
from modelling.training.photos import CLASSES

# Some labels are wrong (PROVENANCE.md names about 1 %): full confidence is never asked for.
_SMOOTHING = 0.03
# Rare classes are drawn more often, by this power of their rarity; fully evened out, their few photos would be
# learnt by heart.
_BALANCE = 0.75
_MEASURED_AT_ONCE = 256


def _draws(patches: Patches, generator: torch.Generator) -> Tensor:
    """The order of one epoch: as many draws as patches, rare classes evened out."""
    counts = torch.bincount(patches.classes, minlength=len(CLASSES)).clamp(min=1).float()
    weights = counts[patches.classes] ** -_BALANCE
    return torch.multinomial(weights, len(weights), replacement=True, generator=generator)


def _batches(patches: Patches, config: Config, epoch: int) -> list[tuple[Tensor, random.Random]]:
    dice = random.Random(f"{config.seed}/{epoch}")
    torch.manual_seed(dice.getrandbits(32))
    order = _draws(patches, torch.Generator().manual_seed(dice.getrandbits(32)))
    return [(rows, dice) for rows in order.split(config.classifier.batch)]


def _loss(net: Judge, views: Tensor, classes: Tensor) -> Tensor:
    with mixed_precision():
        logits = net(views.contiguous(memory_format=torch.channels_last).to(device()))
    return functional.cross_entropy(logits.float(), classes.to(device()), label_smoothing=_SMOOTHING)


def train_classifier(config: Config, patches: Patches, checkpoint: Path, epochs: int) -> Leg[Judge]:
    """The finished leg on the faces in `patches`."""
    wanted = config.classifier
    torch.manual_seed(config.seed)
    terms = Terms(epochs, wanted.learning_rate, wanted.weight_decay, wanted.averaging)
    faces = zip(patches.faces, patches.classes.tolist(), strict=True)
    learnt = identity(config, wanted, [f"{name} {index} {worn}" for (name, index), worn in faces])
    leg = Leg(checkpoint.stem, Judge(), checkpoint, terms, learnt)

    def loss(net: Judge, batch: tuple[Tensor, random.Random]) -> Tensor:
        rows, dice = batch
        return _loss(net, *varied(patches, rows, wanted, dice))

    leg.run(lambda epoch: _batches(patches, config, epoch), loss)
    return leg


@torch.no_grad()
def probabilities(net: Judge, patches: Patches, config: Config) -> Tensor:
    """What the network says of each unchanged patch: [N, 3], in the order of CLASSES."""
    return torch.cat(
        [net(plain(piece, config.classifier)).softmax(1) for piece in patches.pixels.split(_MEASURED_AT_ONCE)]
    )
