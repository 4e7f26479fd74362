"""One leg of a training: a network, its average and its optimiser, for a number of epochs, resumable."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sized
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn
from tqdm import tqdm

from modelling.training.averaging import Average
from modelling.training.schedule import rate_at

_LARGEST_GRADIENT = 10.0
_FRESH = 5.0
_SELDOM_S = 2.0

Net = TypeVar("Net", bound=nn.Module)
Batch = TypeVar("Batch")
Given_co = TypeVar("Given_co", covariant=True)


@dataclass(frozen=True)
class Terms:
    """How many epochs a leg lasts and how it learns."""

    epochs: int
    learning_rate: float
    weight_decay: float
    averaging: float


class Batches(Sized, Protocol[Given_co]):
    """The batches of an epoch, and how many there are."""

    def __iter__(self) -> Iterator[Given_co]: ...


def device() -> torch.device:
    """A GPU if there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def mixed_precision() -> AbstractContextManager[None]:
    """bfloat16 where the device multiplies it in hardware (twice as fast), float32 elsewhere."""
    kind = device().type
    # Torch has no public question for the processor's part of it.
    has_bfloat16 = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    enabled = torch.cuda.is_bf16_supported() if kind == "cuda" else has_bfloat16()
    return torch.autocast(kind, torch.bfloat16, enabled=enabled)


def nothing(_parameter: str) -> bool:
    """No parameter starts from nothing."""
    return False


def _digest(net: nn.Module) -> str:
    """The SHA-256 of a network's weights."""
    digest = hashlib.sha256()
    for name, value in net.state_dict().items():
        digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _groups(net: nn.Module, fresh: Callable[[str], bool]) -> list[dict[str, object]]:
    """The parameters for the optimiser: those that start from nothing take longer steps than those that know a lot."""
    named = list(net.named_parameters())
    parts = ((1.0, [p for name, p in named if not fresh(name)]), (_FRESH, [p for name, p in named if fresh(name)]))
    return [{"params": some, "times": times} for times, some in parts if some]


class Leg(Generic[Net]):
    """`run` trains; afterwards, and after an interruption, `epoch` and `seconds` say what was spent.

    Everything is in the checkpoint after each epoch. A leg whose checkpoint says that it is done is not run again.
    `identity` says what is learnt, and `net` from which weights: a checkpoint of others raises ValueError, since it may
    have learnt photos that are set aside now. `fresh` says which parameters, by
    name, start from nothing.
    """

    def __init__(
        self,
        name: str,
        net: Net,
        checkpoint: Path,
        terms: Terms,
        identity: str = "",
        fresh: Callable[[str], bool] = nothing,
    ) -> None:
        self.name, self.checkpoint, self.terms = name, checkpoint, terms
        self.identity = f"{identity}/{_digest(net)}"
        self.net = net.to(device(), memory_format=torch.channels_last)
        self.average = Average(self.net, terms.averaging)
        self.optimiser = torch.optim.AdamW(_groups(self.net, fresh), weight_decay=terms.weight_decay)
        self.epoch, self.seconds, self._part = 0, 0.0, 0.0
        if checkpoint.exists():
            self._resume()

    def _resume(self) -> None:
        state = torch.load(self.checkpoint, map_location=device())
        if state.get("identity") != self.identity:
            why = "was made with other settings, photos or starting weights; give another --work, or remove it"
            raise ValueError(f"{self.checkpoint}: {why}")
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
            "identity": self.identity,
        }
        partial = self.checkpoint.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.checkpoint)

    def done(self) -> float:
        """0 to 1: how much of the epochs is used up."""
        return (self.epoch + self._part) / self.terms.epochs

    def _step(self, loss_of: Callable[[], Tensor]) -> float:
        for group in self.optimiser.param_groups:
            group["lr"] = rate_at(self.done(), self.terms.learning_rate) * group["times"]
        self.optimiser.zero_grad()
        loss = loss_of()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), _LARGEST_GRADIENT)
        self.optimiser.step()
        self.average.follow(self.net)
        return loss.item()

    def _epoch(self, batches: Batches[Batch], loss: Callable[[Net, Batch], Tensor]) -> None:
        begun, spent, losses = time.monotonic(), self.seconds, []
        with tqdm(batches, desc=f"{self.name} {self.epoch}", mininterval=_SELDOM_S) as bar:
            for index, batch in enumerate(bar):
                self._part = index / len(batches)
                losses.append(self._step(lambda batch=batch: loss(self.net, batch)))
                # Making the batches counts as well.
                self.seconds = spent + time.monotonic() - begun
                told = {"loss": f"{sum(losses[-20:]) / len(losses[-20:]):.3f}", "done": f"{self.done():.0%}"}
                bar.set_postfix(told, refresh=False)
        self._part = 0.0

    def run(self, batches: Callable[[int], Batches[Batch]], loss: Callable[[Net, Batch], Tensor]) -> Net:
        """Trains until the epochs are used up; returns the averaged network, on the processor, in
        evaluation mode.

        `batches` makes those of an epoch, the same ones for the same number; `loss` is of a network and a batch.
        """
        while self.done() < 1:
            self.net.train()
            self._epoch(batches(self.epoch), loss)
            self.epoch += 1
            self._save()
        return self.average.net.cpu()
