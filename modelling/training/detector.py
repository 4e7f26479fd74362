"""Trains the detector: from the published weights, with a finer level, it learns faces and what is worn."""

from __future__ import annotations

import copy
import random
from itertools import accumulate
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from modelling.training.config import Config, identity
from modelling.training.leg import Leg, Terms, device, mixed_precision
from modelling.training.losses import detector_loss
from modelling.training.photos import CLASSES, Sample, labelled
from modelling.training.scenes import Scene, draw_scene
from modelling.training.yunet import FINE, YuNet, prior_points

# What is worn comes second (ADR 10): it must not draw the network away from finding faces.
_WORN_WEIGHT = 0.5
# Badly worn masks are few; what this does to the probabilities is undone by the bias of the blend.
_RARITY = (1.0, 1.0, 3.0)


class TrainingScenes(Dataset[list[Scene]]):
    """The batches of one epoch; the epoch is part of each seed, so that a resumed run goes on as it would have.

    All scenes of a batch have one side, drawn from `sides`: small ones show many photos in the same time, large ones
    show faces as large as those of the analysed pictures. Every batch has about as many pixels as `batch` scenes of the
    middle side.
    """

    def __init__(self, samples: list[Sample], config: Config, epoch: int) -> None:
        self.samples, self.config, self.epoch = samples, config, epoch
        self.weights = photo_weights(samples, config.detector.bare_share, config.data.detection)

    def __len__(self) -> int:
        return max(1, len(self.samples) // self.config.detector.batch)

    def __getitem__(self, index: int) -> list[Scene]:
        # A generator's own end: a dataset without it is read for ever.
        if index >= len(self):
            raise IndexError(index)
        dice = random.Random(f"{self.config.seed}/{self.epoch}/{index}")
        torch.manual_seed(dice.getrandbits(32))
        wanted = self.config.detector
        side = dice.choice(wanted.sides)

        def draw(count: int) -> list[Sample]:
            return dice.choices(self.samples, cum_weights=self.weights, k=count)

        return [
            draw_scene(draw, wanted, long_side=self.config.long_side, side=side, dice=dice)
            for _ in range(scenes_a_batch(wanted.sides, wanted.batch, side))
        ]


def scenes_a_batch(sides: list[int], batch: int, side: int) -> int:
    """How many scenes of `side` pixels have as many pixels as `batch` ones of the middle of `sides`."""
    middle = sorted(sides)[len(sides) // 2]
    return max(2, round(batch * (middle / side) ** 2))


def photo_weights(samples: list[Sample], bare_share: float, often: dict[str, float]) -> list[float]:
    """How often each photo is drawn, added up: photos of a source as `often` says, and in such a proportion that
    `bare_share` of all draws show a face without a properly worn mask.
    """
    bare = [bool((sample.classes > CLASSES.index("mask")).any()) for sample in samples]
    own = [often[sample.dataset] for sample in samples]
    sums = {shows: sum(w for w, b in zip(own, bare, strict=True) if b == shows) or 1.0 for shows in (True, False)}
    shares = {True: bare_share / sums[True], False: (1 - bare_share) / sums[False]}
    return list(accumulate(w * shares[b] for w, b in zip(own, bare, strict=True)))


def _batches(samples: list[Sample], config: Config, epoch: int) -> DataLoader[list[Scene]]:
    # One process makes scenes while the others learn; a batch is made whole by the data set.
    return DataLoader(TrainingScenes(samples, config, epoch), batch_size=None, num_workers=1, prefetch_factor=4)


def worn_loss(raw: Tensor, classes: Tensor) -> Tensor:
    """Cross entropy of what is worn, summed over the priors of judged faces."""
    known = classes >= 0
    wanted = torch.tensor(_RARITY)
    return _WORN_WEIGHT * functional.cross_entropy(raw[known, 6:], classes[known], wanted, reduction="sum")


def pictures_of(scenes: list[Scene]) -> Tensor:
    """What the network takes: [B, 3, S, S] float 0..255 on the device; the published weights want blue, green, red."""
    pictures = torch.stack([scene.pixels.flip(0) for scene in scenes]).float()
    return pictures.contiguous(memory_format=torch.channels_last).to(device())


def scene_loss(net: YuNet, scenes: list[Scene], priors: Tensor, bare_weight: float) -> Tensor:
    """How wrong a network is about where faces are and, less weighty, about what is worn."""
    with mixed_precision():
        raw = net(pictures_of(scenes))
    # Matching faces and priors is many small steps, which a processor does better.
    return detector_loss(raw.float().cpu(), priors, scenes, worn_loss, bare_weight)


def is_fresh(parameter: str) -> bool:
    """Whether the published network has no such part."""
    return any(part in parameter for part in (".wider", ".multi_level_worn.", ".fine"))


def fine_start(published: YuNet) -> YuNet:
    """The published network with a finer level, and a head for what is worn in place of the landmarks."""
    net = YuNet(FINE)
    net.load_state_dict(published.state_dict(), strict=False)
    return net


def train_detector(config: Config, start: YuNet, samples: list[Sample], checkpoint: Path, epochs: int) -> Leg[YuNet]:
    """The finished leg, from the weights of `start`, on the faces of `samples`."""
    wanted = config.detector
    terms = Terms(epochs, wanted.learning_rate, wanted.weight_decay, wanted.averaging)
    learnt = identity(config, wanted, labelled(samples))
    leg = Leg(checkpoint.stem, copy.deepcopy(start), checkpoint, terms, learnt, is_fresh)
    leg.net.requires_grad_()
    priors = {side: prior_points(side, side, start.shape.strides) for side in wanted.sides}
    leg.run(
        lambda epoch: _batches(samples, config, epoch),
        lambda net, scenes: scene_loss(net, scenes, priors[scenes[0].pixels.shape[2]], wanted.bare_weight),
    )
    return leg
