"""Exports the two networks, calibrates them on photos set aside, measures them and writes the model's folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.inference.annotations import Photo, read_annotations
from services.inference.core.faces import CLASSES, Face
from services.inference.core.scoring import Terms, Truth
from services.inference.evaluate import JUDGED_PX, figures, predict
from services.inference.model import MANIFEST_NAME, Manifest, Part, load_model
from services.inference.pictures import read_i420
from services.inference.training.calibrate import Measured, best_threshold, fitted_temperature
from services.inference.training.config import Config
from services.inference.training.export_classifier import classifier_model
from services.inference.training.export_detector import detector_model
from services.inference.training.judge import Judge
from services.inference.training.single_stage import SingleStage
from services.inference.training.yunet import YuNet

_DETECTOR, _CLASSIFIER = "detector.onnx", "classifier.onnx"

Figures = dict[str, dict[str, Any]]
Tick = Callable[[], None]


class Model(Protocol):
    """What is measured: `FaceModel`, or the detector alone."""

    manifest: Manifest

    def raw(self, i420: NDArray[np.uint8], floor: float = 0.0) -> tuple[NDArray[np.float32], ...]: ...
    def find(self, i420: NDArray[np.uint8], floor: float | None = None) -> list[Face]: ...


@dataclass(frozen=True)
class Networks:
    """What was trained."""

    detector: YuNet
    classifier: Judge


@dataclass(frozen=True)
class Annotated:
    """Photos by the dataset that they are from, below the folder `data`."""

    data: Path
    photos: Mapping[str, list[Photo]]

    def each(self) -> Iterable[tuple[str, Photo, Path]]:
        """Dataset, photo and file, one after the other."""
        for dataset, photos in self.photos.items():
            for photo in photos:
                yield dataset, photo, self.data / dataset / photo.file


def chosen(data: Path, datasets: Iterable[str], names: frozenset[str] | None) -> Annotated:
    """The annotated photos of these datasets: those that `names` lists, or all."""
    photos = {name: read_annotations(data / name) for name in datasets}
    if names is None:
        return Annotated(data, photos)
    return Annotated(data, {d: [p for p in some if f"{d}/{p.file}" in names] for d, some in photos.items()})


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


def _measured(model: Model, dataset: str, photo: Photo, path: Path) -> Measured:
    i420 = read_i420(path, model.manifest.long_side)
    boxes, scores, probabilities = model.raw(i420)
    width, height = i420.shape[1], i420.shape[0] * 2 // 3
    shares = boxes * np.array([photo.width / width, photo.height / height] * 2)
    corners = [(float(a), float(b), float(c), float(d)) for a, b, c, d in shares]
    return Measured(dataset, Truth(photo.boxes, photo.label), corners, scores.tolist(), probabilities)


def _operating_point(model: Model, photos: Annotated, tick: Tick) -> tuple[float, float]:
    """Threshold and temperature that fit these photos best."""
    measured = []
    for dataset, photo, path in photos.each():
        measured.append(_measured(model, dataset, photo, path))
        tick()
    threshold = best_threshold(measured, JUDGED_PX)
    return threshold, fitted_temperature(measured, Terms(threshold, min_px=JUDGED_PX))


def release(
    out: Path, networks: Networks, calibration: Annotated, config: Config, tick: Tick
) -> tuple[Manifest, float]:
    """Writes graphs and manifest to `out`, threshold and temperature chosen on `calibration`; returns the manifest and
    the temperature worked in.
    """
    out.mkdir(parents=True, exist_ok=True)
    _write(out, networks, config, config.detector.score_floor, 1.0)
    threshold, temperature = _operating_point(load_model(out), calibration, tick)
    return _write(out, networks, config, threshold, temperature), temperature


def single_stage(
    networks: Networks, manifest: Manifest, calibration: Annotated, config: Config, tick: Tick
) -> SingleStage:
    """The detector alone, calibrated on the same photos, at the same threshold."""
    graph = detector_model(networks.detector, config.detector, classes=True).SerializeToString()
    _, temperature = _operating_point(SingleStage(graph, manifest, 1.0), calibration, tick)
    return SingleStage(graph, manifest, temperature)


def measure(model: Model, photos: Annotated, tick: Tick) -> Figures:
    """The figures per dataset, from the files as written, by the code that the service runs."""
    lines: dict[str, list[Any]] = {name: [] for name in photos.photos}
    for dataset, photo, path in photos.each():
        lines[dataset].append(predict(photo, path, model))
        tick()
    threshold = model.manifest.score_threshold
    return {name: figures(photos.photos[name], lines[name], threshold) for name in lines}
