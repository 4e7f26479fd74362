"""Fine-tunes the detector within a time limit, from the published weights or from its own checkpoint."""

from __future__ import annotations

import random
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from services.inference.training.averaging import Average
from services.inference.training.config import Config
from services.inference.training.losses import detector_loss
from services.inference.training.photos import CLASSES, Sample
from services.inference.training.scenes import Scene, make_scene
from services.inference.training.schedule import rate_at
from services.inference.training.yunet import YuNet, load_published, prior_points

_LARGEST_GRADIENT = 10.0


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
    return DataLoader(scenes, batch_size=config.detector.batch, drop_last=True, collate_fn=list)


def _loss(net: YuNet, scenes: list[Scene], priors: Tensor) -> Tensor:
    # The published weights want blue, green, red.
    pictures = torch.stack([scene.pixels.flip(0) for scene in scenes]).float()
    raw = net(pictures.contiguous(memory_format=torch.channels_last))
    return detector_loss(raw, priors, [scene.boxes for scene in scenes], [scene.judged for scene in scenes])


class DetectorTraining:
    """The state of a run: network, average, optimiser, epoch and seconds spent. `save` and `resume` carry it all."""

    def __init__(self, config: Config, weights: Path, checkpoint: Path) -> None:
        self.config, self.checkpoint = config, checkpoint
        self.net = load_published(weights).to(memory_format=torch.channels_last)
        self.average = Average(self.net, config.detector.averaging)
        self.optimiser = torch.optim.AdamW(
            self.net.parameters(), lr=config.detector.learning_rate, weight_decay=config.detector.weight_decay
        )
        self.epoch, self.seconds = 0, 0.0
        if checkpoint.exists():
            self._resume()

    def _resume(self) -> None:
        state = torch.load(self.checkpoint, map_location="cpu")
        self.net.load_state_dict(state["net"])
        self.average.net.load_state_dict(state["average"])
        self.average.steps = state["steps"]
        self.optimiser.load_state_dict(state["optimiser"])
        self.epoch, self.seconds = state["epoch"], state["seconds"]

    def _save(self) -> None:
        state = {
            "net": self.net.state_dict(),
            "average": self.average.net.state_dict(),
            "steps": self.average.steps,
            "optimiser": self.optimiser.state_dict(),
            "epoch": self.epoch,
            "seconds": self.seconds,
        }
        partial = self.checkpoint.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.checkpoint)

    def _done(self) -> float:
        """0 to 1: how much of the time or of the epochs is used up."""
        wanted = self.config.detector
        return max(self.seconds / (60 * wanted.minutes), self.epoch / wanted.epochs)

    def _step(self, scenes: list[Scene], priors: Tensor) -> float:
        for group in self.optimiser.param_groups:
            group["lr"] = rate_at(self._done(), self.config.detector.learning_rate)
        self.optimiser.zero_grad()
        loss = _loss(self.net, scenes, priors)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), _LARGEST_GRADIENT)
        self.optimiser.step()
        self.average.follow(self.net)
        return loss.item()

    def run(self, samples: list[Sample]) -> YuNet:
        """Trains until the time or the epochs are used up; returns the averaged network in evaluation mode."""
        priors = prior_points(self.config.detector.crop, self.config.detector.crop)
        while self._done() < 1:
            self.net.train()
            losses = []
            begun = time.monotonic()
            spent = self.seconds
            with tqdm(_batches(samples, self.config, self.epoch), desc=f"detector {self.epoch}") as bar:
                for scenes in bar:
                    losses.append(self._step(scenes, priors))
                    # Making the scenes counts as well.
                    self.seconds = spent + time.monotonic() - begun
                    bar.set_postfix(loss=f"{sum(losses[-20:]) / len(losses[-20:]):.3f}", done=f"{self._done():.0%}")
                    if self._done() >= 1:
                        break
            self.epoch += 1
            self._save()
        return self.average.net
