"""Trains the detector: a light network learns its teacher's features, then faces, then what is worn."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from services.inference.training.config import Config, identity
from services.inference.training.leg import Leg, Terms, device, mixed_precision
from services.inference.training.light import hint_loss, inherit, pictures_of
from services.inference.training.losses import detector_loss
from services.inference.training.photos import CLASSES, Sample
from services.inference.training.scenes import Scene, make_scene
from services.inference.training.yunet import YuNet, load_published, prior_points

# What is worn is a by-product (ADR 10): it must not draw the network away from finding faces.
_WORN_WEIGHT = 0.5


class _Scenes(Dataset[Scene]):
    """One scene per photo; the epoch is part of the seed, so that a resumed run goes on as it would have."""

    def __init__(self, samples: list[Sample], config: Config, epoch: int) -> None:
        self.samples, self.config, self.epoch = samples, config, epoch

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Scene:
        dice = random.Random(f"{self.config.seed}/{self.epoch}/{index}")
        torch.manual_seed(dice.getrandbits(32))
        wanted = self.config.detector
        return make_scene(
            self.samples[index],
            long_side=self.config.long_side,
            side=wanted.crop,
            smallest_px=wanted.smallest_px,
            dice=dice,
        )


def photo_weights(samples: list[Sample], bare_share: float) -> list[float]:
    """How often each photo is drawn, so that `bare_share` of the draws show a face without a properly worn mask."""
    bare = [bool((sample.classes > CLASSES.index("mask")).any()) for sample in samples]
    with_bare = max(1, sum(bare))
    without = max(1, len(samples) - sum(bare))
    return [bare_share / with_bare if shows else (1 - bare_share) / without for shows in bare]


def _batches(samples: list[Sample], config: Config, epoch: int) -> DataLoader[Scene]:
    dice = torch.Generator().manual_seed(config.seed + epoch)
    weights = torch.tensor(photo_weights(samples, config.detector.bare_share))
    drawn = torch.multinomial(weights, len(samples), replacement=True, generator=dice).tolist()
    scenes = _Scenes([samples[index] for index in drawn], config, epoch)
    return DataLoader(
        scenes,
        batch_size=config.detector.batch,
        drop_last=True,
        collate_fn=list,
    )


def _worn_loss(raw: Tensor, classes: Tensor) -> Tensor:
    """Cross entropy of what is worn, summed over the priors of judged faces."""
    known = classes >= 0
    return _WORN_WEIGHT * functional.cross_entropy(raw[known, 6:], classes[known], reduction="sum")


def scene_loss(net: YuNet, scenes: list[Scene], priors: Tensor) -> Tensor:
    """How wrong a network is about where faces are and, less weighty, about what is worn."""
    with mixed_precision():
        raw = net(pictures_of(scenes))
    # Matching faces and priors is many small steps, which a processor does better.
    return detector_loss(raw.float().cpu(), priors, scenes, _worn_loss)


def _terms(config: Config, minutes: float) -> Terms:
    wanted = config.detector
    return Terms(minutes, wanted.epochs, wanted.learning_rate, wanted.weight_decay, wanted.averaging)


def light_start(config: Config, teacher: Path, samples: list[Sample], checkpoint: Path) -> Leg[YuNet]:
    """The finished first leg: a light network that sees as the published one does."""
    published = load_published(teacher).to(device(), memory_format=torch.channels_last)
    wanted = config.detector
    terms = Terms(wanted.hint_minutes, wanted.epochs, wanted.hint_learning_rate, 0.0, wanted.averaging)
    leg = Leg("hints", inherit(published), checkpoint, terms, identity(config, [s.name for s in samples]))
    leg.run(
        lambda epoch: _batches(samples, config, epoch),
        lambda net, scenes: hint_loss(net, published, scenes),
    )
    return leg


def train_detector(config: Config, start: YuNet, samples: list[Sample], checkpoint: Path, minutes: float) -> Leg[YuNet]:
    """The finished second leg, from the weights of `start`, on the faces of `samples`."""
    net = YuNet()
    net.load_state_dict(start.state_dict())
    learnt = identity(config, [s.name for s in samples])
    leg = Leg(checkpoint.stem, net, checkpoint, _terms(config, minutes), learnt)
    priors = prior_points(config.detector.crop, config.detector.crop)
    leg.run(
        lambda epoch: _batches(samples, config, epoch),
        lambda net, scenes: scene_loss(net, scenes, priors),
    )
    return leg
