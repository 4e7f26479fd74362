"""Training photos in memory, with their faces, on their side of the split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms.v2 import functional as transforms

from services.inference.annotations import read_annotations
from services.inference.training.config import Config
from services.inference.training.phash import SIDE, phash
from services.inference.training.split import validation_names

CLASSES = ("mask", "no_mask", "incorrect")
IGNORED = -1


@dataclass(frozen=True)
class Sample:
    """One photo: RGB uint8 [3, H, W], boxes [G, 4] in its pixels, classes [G] (index into CLASSES or IGNORED)."""

    name: str
    pixels: Tensor
    boxes: Tensor
    classes: Tensor

    @property
    def dataset(self) -> str:
        """The folder that the photo came from."""
        return self.name.split("/", 1)[0]


@dataclass(frozen=True)
class Corpus:
    """Every sample of a run; `validation` holds the names set aside."""

    samples: list[Sample]
    validation: frozenset[str]

    def training(self, datasets: list[str]) -> list[Sample]:
        """The samples of these datasets that may be learnt from."""
        return [s for s in self.samples if s.dataset in datasets and s.name not in self.validation]

    def held_back(self, datasets: list[str]) -> list[Sample]:
        """The samples of these datasets that are only measured on."""
        return [s for s in self.samples if s.dataset in datasets and s.name in self.validation]


def _shrunk(pixels: Tensor, long_side: int) -> tuple[Tensor, float]:
    scale = min(1.0, long_side / max(pixels.shape[1:]))
    if scale == 1.0:
        return pixels, 1.0
    size = [max(1, round(side * scale)) for side in pixels.shape[1:]]
    return transforms.resize(pixels, size, antialias=True), scale


def _load(folder: Path, dataset: str, cache_side: int, tick: Callable[[], None]) -> list[Sample]:
    samples = []
    for photo in read_annotations(folder / dataset):
        pixels = decode_image(str(folder / dataset / photo.file), ImageReadMode.RGB)
        pixels, scale = _shrunk(pixels, cache_side)
        boxes = torch.tensor(photo.boxes, dtype=torch.float32).reshape(-1, 4) * scale
        classes = [CLASSES.index(label) if label in CLASSES else IGNORED for label in photo.label]
        samples.append(Sample(f"{dataset}/{photo.file}", pixels, boxes, torch.tensor(classes, dtype=torch.long)))
        tick()
    return samples


def _hashes(sample: Sample) -> tuple[int, int]:
    grey = transforms.resize(transforms.rgb_to_grayscale(sample.pixels), [SIDE, SIDE], antialias=True)[0]
    return phash(grey.float().numpy()), phash(grey.flip(1).float().numpy())


def load_corpus(folder: Path, config: Config, tick: Callable[[], None] = lambda: None) -> Corpus:
    """Reads every dataset that `config` names; `tick` is called after each photo. Raises InputError or RuntimeError
    (torchvision) for a dataset or photo that cannot be read.
    """
    names = [*config.data.detection, *config.data.crops]
    samples = [s for name in names for s in _load(folder, name, config.data.cache_side, tick)]
    hashes = [_hashes(sample) for sample in samples]
    chosen = validation_names(
        [s.name for s in samples],
        [straight for straight, _ in hashes],
        [mirrored for _, mirrored in hashes],
        share=config.split.validation_share,
        near_bits=config.split.near_bits,
        seed=config.seed,
    )
    return Corpus(samples, frozenset(chosen))
