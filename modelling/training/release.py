"""Exports the two networks, calibrates them on photos set aside, measures them and writes the model's folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from modelling.evaluation.labelled import Photo, read_annotations, read_i420
from modelling.evaluation.measuring import JUDGED_PX, figures, predict
from modelling.evaluation.scoring import Terms, Truth
from modelling.training.blend import CROP_ALONE, HEAD_ALONE, Blend
from modelling.training.calibrate import Measured, best_threshold, fitted_blend
from modelling.training.certainty import Certainty, fitted_certainty, sizes_of
from modelling.training.config import Config
from modelling.training.export_classifier import classifier_model
from modelling.training.export_detector import detector_model
from modelling.training.judge import Judge
from modelling.training.yunet import YuNet
from services.inference.core.faces import CLASSES
from services.inference.model import MANIFEST_NAME, FaceModel, Manifest, ModelFile, load_model

_DETECTOR, _CLASSIFIER = "detector.onnx", "classifier.onnx"

CERTAIN_PX = 8.0
"""Faces of at least so many pixels in the annotated photo say what a score means, and which score is enough."""
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
    """What was chosen on photos set aside: what a score means at each size, the threshold, and how verdicts are made:
    by both networks, by the detector's head alone (one stage), or by the classifier alone (two stages).
    """

    certainty: Certainty
    threshold: float
    both: Blend
    head: Blend
    crop: Blend


@dataclass(frozen=True)
class Point:
    """The operating point: the networks, the settings that they were trained with, and what was chosen for them."""

    networks: Networks
    config: Config
    threshold: float
    blend: Blend
    certainty: Certainty | None = None

    @classmethod
    def of(cls, networks: Networks, config: Config, chosen: Operating) -> Point:
        """The point with verdicts by both networks."""
        return cls(networks, config, chosen.threshold, chosen.both, chosen.certainty)

    def write(self, out: Path) -> tuple[ModelFile, ModelFile]:
        """Writes both graphs to the folder `out`."""
        detector = detector_model(self.networks.detector, self.config.detector, self.certainty).SerializeToString()
        classifier = classifier_model(self.networks.classifier, self.config.classifier, self.blend).SerializeToString()
        return _part(out, _DETECTOR, detector), _part(out, _CLASSIFIER, classifier)


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


def write_model(out: Path, point: Point) -> Manifest:
    """Writes the graphs and the manifest to the folder `out`, which is made if need be; returns the manifest."""
    out.mkdir(parents=True, exist_ok=True)
    config, (detector, classifier) = point.config, point.write(out)
    manifest = Manifest(
        id=config.id,
        detector=detector,
        classifier=classifier,
        score_threshold=point.threshold,
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
    truth, shrunk = Truth(photo.boxes, photo.label), width / photo.width
    return Measured(dataset, truth, corners, scores.tolist(), probabilities, shrunk)


def _judged_by(blend: Blend, folder: Path, networks: Networks, photos: Annotated, config: Config, tick: Tick) -> Seen:
    write_model(folder, Point(networks, config, config.detector.score_floor, blend))
    model, seen = load_model(folder), []
    for dataset, photo, path in photos.each():
        seen.append(_measured(model, dataset, photo, path))
        tick()
    return seen


def operating_point(folder: Path, networks: Networks, photos: Annotated, config: Config, tick: Tick) -> Operating:
    """Threshold and blends that fit these photos best; `folder` is used for the models that they are measured with."""
    head = _judged_by(HEAD_ALONE, folder, networks, photos, config, tick)
    crop = _judged_by(CROP_ALONE, folder, networks, photos, config, tick)
    return best_point(head, crop)


def best_point(head: Seen, crop: Seen) -> Operating:
    """What fits these photos best, judged by the detector's head alone and by the classifier alone."""
    certainty = fitted_certainty(head, CERTAIN_PX)
    head, crop = ([_certain(one, certainty) for one in some] for some in (head, crop))
    threshold = best_threshold(head, CERTAIN_PX)
    terms = Terms(threshold, min_px=JUDGED_PX)
    both, one, two = (fitted_blend(head, crop, terms, use) for use in (Blend(1.0, 1.0), HEAD_ALONE, CROP_ALONE))
    return Operating(certainty, threshold, both, one, two)


def _certain(one: Measured, certainty: Certainty) -> Measured:
    scores = certainty.of(np.array(one.scores, dtype=np.float32), sizes_of(one))
    return replace(one, scores=scores.tolist())


def measure(model: FaceModel, photos: Annotated, tick: Tick) -> Figures:
    """The figures per dataset, from the files as written, by the code that the service runs."""
    lines: dict[str, list[Any]] = {name: [] for name in photos.photos}
    for dataset, photo, path in photos.each():
        lines[dataset].append(predict(photo, path, model))
        tick()
    threshold = model.manifest.score_threshold
    return {name: figures(photos.photos[name], lines[name], threshold) for name in lines}
