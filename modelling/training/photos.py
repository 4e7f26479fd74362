"""Training photos in memory, with their faces, on their side of the split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from modelling.evaluation.labelled import read_annotations
from modelling.training.config import Config
from modelling.training.phash import SIDE, phash
from modelling.training.split import grouped, pinned, validation_names

PINNED = Path(__file__).with_name("validation.txt")
"""The photos on which every model of this recipe is measured, those of earlier models among them."""

CLASSES = ("mask", "no_mask", "incorrect")
IGNORED = -1  # nobody judged this face: neither face nor background
DOUBTED = -2  # a face, but its label is likely wrong: what it wears is not learnt


@dataclass(frozen=True)
class Sample:
    """One photo: RGB uint8 [3, H, W], boxes [G, 4] in its pixels, classes [G] (index into CLASSES, IGNORED or DOUBTED)
    and landmarks [G, 5, 2] (NaN where none are known).
    """

    name: str
    pixels: Tensor
    boxes: Tensor
    classes: Tensor
    landmarks: Tensor

    @property
    def dataset(self) -> str:
        """The folder that the photo came from."""
        return self.name.split("/", 1)[0]


def labelled(samples: list[Sample]) -> list[str]:
    """What is learnt of these photos, a text each: name and labels, so that another label is another thing learnt."""
    return [f"{sample.name} {sample.classes.tolist()}" for sample in samples]


@dataclass(frozen=True)
class Corpus:
    """Every sample of a run; `validation` holds the names that are only measured on, `calibration` those that the
    operating point is chosen on, `clusters` the groups of photos that are near-duplicates, also mirrored or by way of
    one another.
    """

    samples: list[Sample]
    validation: frozenset[str]
    calibration: frozenset[str]
    clusters: list[list[str]]

    def strangers(self, others: list[str], learnt: frozenset[str]) -> frozenset[str]:
        """The photos of `others` that are in no cluster with one that was `learnt`."""
        known = {name for cluster in self.clusters if learnt.intersection(cluster) for name in cluster}
        return frozenset(sample.name for sample in self.samples if sample.dataset in others) - known

    def training(self, datasets: list[str]) -> list[Sample]:
        """The samples of these datasets that may be learnt from."""
        aside = self.validation | self.calibration
        return [s for s in self.samples if s.dataset in datasets and s.name not in aside]


def _shrunk(pixels: Tensor, long_side: int) -> tuple[Tensor, float]:
    scale = min(1.0, long_side / max(pixels.shape[1:]))
    if scale == 1.0:
        return pixels, 1.0
    size = [max(1, round(side * scale)) for side in pixels.shape[1:]]
    return transforms.resize(pixels, size, antialias=True), scale


def _pixels(path: Path) -> Tensor:
    with Image.open(path) as picture:
        return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1).contiguous()


def _load(folder: Path, dataset: str, cache_side: int, tick: Callable[[], None]) -> list[Sample]:
    samples = []
    for photo in read_annotations(folder / dataset):
        pixels = _pixels(folder / dataset / photo.file)
        pixels, scale = _shrunk(pixels, cache_side)
        boxes = torch.tensor(photo.boxes, dtype=torch.float32).reshape(-1, 4) * scale
        classes = [CLASSES.index(label) if label in CLASSES else IGNORED for label in photo.label]
        landmarks = torch.full((len(boxes), 5, 2), torch.nan)
        name = f"{dataset}/{photo.file}"
        samples.append(Sample(name, pixels, boxes, torch.tensor(classes, dtype=torch.long), landmarks))
        tick()
    return samples


def _hashes(sample: Sample) -> tuple[int, int]:
    grey = transforms.resize(transforms.rgb_to_grayscale(sample.pixels), [SIDE, SIDE], antialias=True)[0]
    return phash(grey.float().numpy()), phash(grey.flip(1).float().numpy())


def load_corpus(folder: Path, config: Config, tick: Callable[[], None] = lambda: None) -> Corpus:
    """Reads every dataset that `config` names; `tick` is called after each photo. Raises InputError or OSError
    (Pillow) for a dataset or photo that cannot be read.
    """
    names = [*config.data.detection, *config.data.crops]
    samples = [s for name in names for s in _load(folder, name, config.data.cache_side, tick)]
    hashes = {sample.name: _hashes(sample) for sample in samples}
    clusters = _clusters(hashes, config.split.near_bits)
    validation = pinned(clusters, PINNED.read_text("utf-8").split())
    rest = {name: pair for name, pair in hashes.items() if name not in validation}
    calibration = _aside(rest, config.split.calibration_share, config.seed + 1, config.split.near_bits)
    return Corpus(samples, frozenset(validation), frozenset(calibration), clusters)


def _clusters(hashes: dict[str, tuple[int, int]], near_bits: int) -> list[list[str]]:
    straight, mirrored = zip(*hashes.values(), strict=True)
    return grouped(list(hashes), straight, mirrored, near_bits)


def _aside(hashes: dict[str, tuple[int, int]], share: float, seed: int, near_bits: int) -> set[str]:
    straight, mirrored = zip(*hashes.values(), strict=True)
    return validation_names(list(hashes), straight, mirrored, share=share, near_bits=near_bits, seed=seed)
