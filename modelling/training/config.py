"""The settings of a training run, read from one TOML file. Every key is required; unknown keys are errors."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec

DEFAULT_PATH = Path(__file__).with_name("config.toml")


class Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which folders below the data folder are used, and for what. Each source of faces is measured by the others."""

    detection: Annotated[list[str], msgspec.Meta(min_length=2)]
    crops: list[str]
    initial_weights: str
    cache_side: int


class Split(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the validation and the calibration part are set aside."""

    validation_share: float
    calibration_share: float
    near_bits: int


class Detector(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Training and in-graph limits of the detector; sides in pixels."""

    teacher_minutes: float
    teacher_learning_rate: float
    hint_minutes: float
    hint_learning_rate: float
    minutes: float
    cross_minutes: float
    epochs: int
    batch: int
    sides: Annotated[list[int], msgspec.Meta(min_length=1)]
    learning_rate: float
    weight_decay: float
    unlabelled_score: float
    bare_share: float
    bare_weight: float
    smallest_px: float
    averaging: float
    score_floor: float
    iou_threshold: float
    most_candidates: int
    most_faces: int


class Classifier(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Training of the classifier; sides in pixels, margins in sides of the face box."""

    minutes: float
    cross_minutes: float
    epochs: int
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
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), Config)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ValueError(f"{path}: {error}") from error


def identity(config: Config, learnt: Iterable[str]) -> str:
    """What a checkpoint is bound to: the settings but for how long legs last, and what is learnt, a text each."""
    detector = msgspec.structs.replace(config.detector, minutes=0, cross_minutes=0, teacher_minutes=0, hint_minutes=0)
    classifier = msgspec.structs.replace(config.classifier, minutes=0, cross_minutes=0)
    bound = msgspec.structs.replace(config, detector=detector, classifier=classifier, limits=Limits(0, 0))
    text = msgspec.json.encode([bound, sorted(learnt)], order="deterministic")
    return hashlib.sha256(text).hexdigest()
