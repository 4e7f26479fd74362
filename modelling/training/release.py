"""Exports the two networks, calibrates them on photos set aside, measures them and writes the model's folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from modelling.training.blend import CROP_ALONE, HEAD_ALONE, Blend
from modelling.training.calibrate import Measured, best_threshold, fitted_blend
from modelling.training.config import Config
from modelling.training.export_classifier import classifier_model
from modelling.training.export_detector import detector_model
from modelling.training.judge import Judge
from modelling.training.yunet import YuNet
from services.inference.annotations import Photo, read_annotations
from services.inference.core.faces import CLASSES
from services.inference.core.scoring import Terms, Truth
from services.inference.evaluate import JUDGED_PX, figures, predict
from services.inference.model import MANIFEST_NAME, FaceModel, Manifest, ModelFile, load_model
from services.inference.pictures import read_i420

_DETECTOR, _CLASSIFIER = "detector.onnx", "classifier.onnx"

Figures = dict[str, dict[str, Any]]
Seen = list[Measured]
Tick = Callable[[], None]


@dataclass(frozen=True)
class Networks:
    """What was trained."""

    detector: YuNet
    classifier: Judge


@dataclass(frozen=True)
class Operating:
    """What was chosen on photos set aside: the detector's threshold and how verdicts are made: by both networks, by the
    detector's head alone (one stage), or by the classifier alone (two stages).
    """

    threshold: float
    both: Blend
    head: Blend
    crop: Blend


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


def chosen(data: Path, datasets: Iterable[str], names: frozenset[str]) -> Annotated:
    """The annotated photos of these datasets that `names` lists."""
    photos = {name: read_annotations(data / name) for name in datasets}
    return Annotated(data, {d: [p for p in some if f"{d}/{p.file}" in names] for d, some in photos.items()})


def _part(folder: Path, name: str, content: bytes) -> ModelFile:
    (folder / name).write_bytes(content)
    return ModelFile(name, hashlib.sha256(content).hexdigest())


def write_model(out: Path, networks: Networks, config: Config, threshold: float, blend: Blend) -> Manifest:
    """Writes both graphs and the manifest to the folder `out`, which is made if need be; returns the manifest."""
    out.mkdir(parents=True, exist_ok=True)
    detector = detector_model(networks.detector, config.detector).SerializeToString()
    classifier = classifier_model(networks.classifier, config.classifier, blend).SerializeToString()
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


def _measured(model: FaceModel, dataset: str, photo: Photo, path: Path) -> Measured:
    i420 = read_i420(path, model.manifest.long_side)
    boxes, scores, probabilities = model.raw(i420)
    width, height = i420.shape[1], i420.shape[0] * 2 // 3
    shares = boxes * np.array([photo.width / width, photo.height / height] * 2)
    corners = [(float(a), float(b), float(c), float(d)) for a, b, c, d in shares]
    return Measured(dataset, Truth(photo.boxes, photo.label), corners, scores.tolist(), probabilities)


def _judged_by(blend: Blend, folder: Path, networks: Networks, photos: Annotated, config: Config, tick: Tick) -> Seen:
    write_model(folder, networks, config, config.detector.score_floor, blend)
    model, seen = load_model(folder), []
    for dataset, photo, path in photos.each():
        seen.append(_measured(model, dataset, photo, path))
        tick()
    return seen


def operating_point(folder: Path, networks: Networks, photos: Annotated, config: Config, tick: Tick) -> Operating:
    """Threshold and blends that fit these photos best; `folder` is used for the models that they are measured with."""
    head = _judged_by(HEAD_ALONE, folder, networks, photos, config, tick)
    crop = _judged_by(CROP_ALONE, folder, networks, photos, config, tick)
    threshold = best_threshold(head, JUDGED_PX)
    terms = Terms(threshold, min_px=JUDGED_PX)
    both, one, two = (fitted_blend(head, crop, terms, use) for use in (Blend(1.0, 1.0), HEAD_ALONE, CROP_ALONE))
    return Operating(threshold, both, one, two)


def measure(model: FaceModel, photos: Annotated, tick: Tick) -> Figures:
    """The figures per dataset, from the files as written, by the code that the service runs."""
    lines: dict[str, list[Any]] = {name: [] for name in photos.photos}
    for dataset, photo, path in photos.each():
        lines[dataset].append(predict(photo, path, model))
        tick()
    threshold = model.manifest.score_threshold
    return {name: figures(photos.photos[name], lines[name], threshold) for name in lines}
