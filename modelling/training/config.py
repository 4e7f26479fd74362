"""The settings of a training run, read from one TOML file. Every key is required; unknown keys are errors."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec

DEFAULT_PATH = Path(__file__).with_name("config.toml")


Positive = Annotated[float, msgspec.Meta(gt=0)]
Epochs = Annotated[int, msgspec.Meta(ge=1)]


class Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which folders below the data folder are used, and for what.

    `detection` says how often a photo of each source is drawn, `left_out` which sources are left out together.
    """

    detection: Annotated[dict[str, Positive], msgspec.Meta(min_length=2)]
    crops: list[str]
    left_out: Annotated[dict[str, list[str]], msgspec.Meta(min_length=2)]
    initial_weights: str
    cache_side: int


class Split(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the calibration part is set aside; the validation part is listed in validation.txt."""

    calibration_share: float
    near_bits: int


class Detector(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Training and in-graph limits of the detector; sides in pixels.

    `tiled` is the share of scenes that are made of so many photos each way.
    """

    epochs: Epochs
    left_out_epochs: Epochs
    batch: int
    sides: Annotated[list[int], msgspec.Meta(min_length=1)]
    learning_rate: float
    weight_decay: float
    unlabelled_score: float
    bare_share: float
    bare_weight: float
    tiled: dict[int, float]
    smallest_px: float
    averaging: float
    score_floor: float
    iou_threshold: float
    most_candidates: int
    most_faces: int


class Classifier(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Training of the classifier; sides in pixels, margins in sides of the face box."""

    epochs: Epochs
    left_out_epochs: Epochs
    batch: int
    side: int
    patch_side: int
    patch_margin: float
    margin: float
    learning_rate: float
    weight_decay: float
    smallest_px: float
    averaging: float


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a face is not judged."""

    min_face_px: float
    unknown_below: float


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One training run."""

    id: str
    seed: int
    threads: int
    long_side: int
    data: Data
    split: Split
    detector: Detector
    classifier: Classifier
    limits: Limits


def read_config(path: Path = DEFAULT_PATH) -> Config:
    """The settings in `path`; raises ValueError that names the file and the key when they do not fit."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), Config, str_keys=True)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ValueError(f"{path}: {error}") from error


_EXPORTED = ("score_floor", "iou_threshold", "most_candidates", "most_faces")
_LASTING = ("epochs", "left_out_epochs")


def identity(config: Config, part: Detector | Classifier, learnt: Iterable[str]) -> str:
    """What a checkpoint is bound to: the settings of this part of the model, and what is learnt, a text each.

    Left out is what a leg does not see: how long others last, and what is decided when the model is exported.
    """
    seen = msgspec.structs.asdict(part)
    bound = {name: value for name, value in seen.items() if name not in _EXPORTED + _LASTING}
    whole = [config.seed, config.long_side, config.data.detection, config.data.cache_side, bound, sorted(learnt)]
    text = msgspec.json.encode(msgspec.to_builtins(whole, str_keys=True), order="deterministic")
    return hashlib.sha256(text).hexdigest()
