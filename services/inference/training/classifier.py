"""Trains the classifier from nothing within a time limit, or goes on from its checkpoint."""

from __future__ import annotations

import random
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from services.inference.training.averaging import Average
from services.inference.training.config import Config
from services.inference.training.judge import Judge
from services.inference.training.patches import Patches, varied
from services.inference.training.photos import CLASSES
from services.inference.training.schedule import rate_at

# Some labels are wrong (PROVENANCE.md names about 1 %): full confidence is never asked for.
_SMOOTHING = 0.03
# Rare classes are drawn more often, by this power of their rarity; fully evened out, their few photos would be
# learnt by heart.
_BALANCE = 0.5


def _draws(patches: Patches, generator: torch.Generator) -> Tensor:
    """The order of one epoch: as many draws as patches, rare classes and single photos of crowds evened out."""
    counts = torch.bincount(patches.classes, minlength=len(CLASSES)).clamp(min=1).float()
    weights = counts[patches.classes] ** -_BALANCE
    return torch.multinomial(weights, len(weights), replacement=True, generator=generator)


class ClassifierTraining:
    """The state of a run: network, average, optimiser, epoch and seconds spent."""

    def __init__(self, config: Config, checkpoint: Path) -> None:
        self.config, self.checkpoint = config, checkpoint
        torch.manual_seed(config.seed)
        self.net = Judge().to(memory_format=torch.channels_last)
        self.average = Average(self.net, config.classifier.averaging)
        self.optimiser = torch.optim.AdamW(
            self.net.parameters(), lr=config.classifier.learning_rate, weight_decay=config.classifier.weight_decay
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
        wanted = self.config.classifier
        return max(self.seconds / (60 * wanted.minutes), self.epoch / wanted.epochs)

    def _step(self, views: Tensor, classes: Tensor) -> float:
        for group in self.optimiser.param_groups:
            group["lr"] = rate_at(self._done(), self.config.classifier.learning_rate)
        self.optimiser.zero_grad()
        logits = self.net(views.contiguous(memory_format=torch.channels_last))
        loss = functional.cross_entropy(logits, classes, label_smoothing=_SMOOTHING)
        loss.backward()
        self.optimiser.step()
        self.average.follow(self.net)
        return loss.item()

    def run(self, patches: Patches) -> Judge:
        """Trains until the time or the epochs are used up; returns the averaged network in evaluation mode."""
        while self._done() < 1:
            self.net.train()
            self._epoch(patches)
            self.epoch += 1
            self._save()
        return self.average.net

    def _epoch(self, patches: Patches) -> None:
        dice = random.Random(f"{self.config.seed}/{self.epoch}")
        torch.manual_seed(dice.getrandbits(32))
        order = _draws(patches, torch.Generator().manual_seed(dice.getrandbits(32)))
        begun, spent, losses = time.monotonic(), self.seconds, []
        with tqdm(order.split(self.config.classifier.batch), desc=f"classifier {self.epoch}") as bar:
            for rows in bar:
                views = varied(patches.pixels[rows], self.config.classifier, dice)
                losses.append(self._step(views, patches.classes[rows]))
                self.seconds = spent + time.monotonic() - begun
                bar.set_postfix(loss=f"{sum(losses[-20:]) / len(losses[-20:]):.3f}", done=f"{self._done():.0%}")
                if self._done() >= 1:
                    return
