"""Exports the two networks, calibrates them on the validation part, measures them and writes the model's folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from services.inference.annotations import Photo, read_annotations
from services.inference.core.faces import CLASSES
from services.inference.core.scoring import Terms, Truth
from services.inference.evaluate import JUDGED_PX, figures, predict
from services.inference.model import MANIFEST_NAME, FaceModel, Manifest, Part, load_model
from services.inference.pictures import read_i420
from services.inference.training.calibrate import Measured, best_threshold, fitted_temperature
from services.inference.training.config import Config
from services.inference.training.export_classifier import classifier_model
from services.inference.training.export_detector import detector_model
from services.inference.training.judge import Judge
from services.inference.training.yunet import YuNet

_DETECTOR, _CLASSIFIER, _NAMES = "detector.onnx", "classifier.onnx", "validation.txt"


@dataclass(frozen=True)
class Networks:
    """What was trained."""

    detector: YuNet
    classifier: Judge


@dataclass(frozen=True)
class Released:
    """What was written: the manifest, the temperature worked in, and the figures per dataset."""

    manifest: Manifest
    temperature: float
    figures: dict[str, dict[str, Any]]


def _part(folder: Path, name: str, content: bytes) -> Part:
    (folder / name).write_bytes(content)
    return Part(name, hashlib.sha256(content).hexdigest())


def _write(out: Path, networks: Networks, config: Config, threshold: float, temperature: float) -> Manifest:
    detector = detector_model(networks.detector, config.detector).SerializeToString()
    classifier = classifier_model(networks.classifier, config.classifier, temperature).SerializeToString()
    manifest = Manifest(
        id=config.id,
        detector=_part(out, _DETECTOR, detector),
        classifier=_part(out, _CLASSIFIER, classifier),
        score_threshold=threshold,
        iou_threshold=config.detector.iou_threshold,
        unknown_below=config.limits.unknown_below,
        min_face_px=config.limits.min_face_px,
        long_side=config.long_side,
        classes=CLASSES,
    )
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    (out / MANIFEST_NAME).write_bytes(text + b"\n")
    return manifest


def _held_back(data: Path, dataset: str, validation: frozenset[str]) -> list[Photo]:
    return [photo for photo in read_annotations(data / dataset) if f"{dataset}/{photo.file}" in validation]


def _measured(model: FaceModel, data: Path, dataset: str, photo: Photo) -> Measured:
    i420 = read_i420(data / dataset / photo.file, model.manifest.long_side)
    boxes, scores, probabilities = model.raw(i420)
    width, height = i420.shape[1], i420.shape[0] * 2 // 3
    shares = boxes * np.array([photo.width / width, photo.height / height] * 2)
    corners = [(float(a), float(b), float(c), float(d)) for a, b, c, d in shares]
    return Measured(dataset, Truth(photo.boxes, photo.label), corners, scores.tolist(), probabilities)


def release(
    out: Path,
    data: Path,
    networks: Networks,
    *,
    validation: frozenset[str],
    config: Config,
    tick: Callable[[], None],
) -> Released:
    """Writes graphs, manifest and the list of validation photos to `out`; `tick` is called after each measured photo.

    Threshold and temperature are chosen on the validation part, at temperature 1; the figures are then taken from the
    files as written, by the code that the service runs.
    """
    _write(out, networks, config, config.detector.score_floor, 1.0)
    (out / _NAMES).write_text("".join(f"{name}\n" for name in sorted(validation)), "utf-8")
    photos = {name: _held_back(data, name, validation) for name in config.data.detection}
    measured = []
    model = load_model(out)
    for name, chosen in photos.items():
        for photo in chosen:
            measured.append(_measured(model, data, name, photo))
            tick()
    threshold = best_threshold(measured, JUDGED_PX)
    temperature = fitted_temperature(measured, Terms(threshold, min_px=JUDGED_PX))
    manifest = _write(out, networks, config, threshold, temperature)
    return Released(manifest, temperature, _figures(load_model(out), data, photos, tick))


def _figures(
    model: FaceModel, data: Path, photos: dict[str, list[Photo]], tick: Callable[[], None]
) -> dict[str, dict[str, Any]]:
    result = {}
    for dataset, chosen in photos.items():
        lines = []
        for photo in chosen:
            lines.append(predict(photo, data / dataset / photo.file, model))
            tick()
        result[dataset] = figures(chosen, lines, model.manifest.score_threshold)
    return result
