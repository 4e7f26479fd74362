"""Measures the shipped model on a folder of annotated pictures: what `moretta eval` runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from services.inference.annotations import InputError, Photo, read_annotations
from services.inference.core.faces import Face, Verdict
from services.inference.core.scoring import Corners, Prediction, Terms, Truth, score
from services.inference.model import FaceModel
from services.inference.pictures import read_i420

# Boxes above this are written to the predictions file, so that other operating points can be tried.
PREDICTION_FLOOR = 0.05
JUDGED_PX = 12.0

_LABELS: dict[Verdict, str] = {
    "masked": "mask",
    "unmasked": "no_mask",
    "incorrect": "incorrect",
    "unknown": "unknown",
}


class PredictionLine(msgspec.Struct, frozen=True):
    """One picture's boxes, in pixels of the annotated picture, low scores too."""

    file: str
    boxes: list[Corners]
    scores: list[float]
    label: list[str]


def _corners(face: Face, photo: Photo) -> Corners:
    return (face.x1 * photo.width, face.y1 * photo.height, face.x2 * photo.width, face.y2 * photo.height)


def predict(photo: Photo, path: Path, model: FaceModel) -> PredictionLine:
    """Everything that the model sees in the picture at `path`, at the analysis size of its manifest."""
    faces = model.find(read_i420(path, model.manifest.long_side), floor=PREDICTION_FLOOR)
    return PredictionLine(
        photo.file,
        [_corners(face, photo) for face in faces],
        [face.score for face in faces],
        [_LABELS[face.verdict] for face in faces],
    )


def _selected(photos: list[Photo], folder: Path, only: Path | None) -> list[Photo]:
    """The photos that `only` lists, one a line: `images/name`, or `dataset/images/name` for several folders."""
    if only is None:
        return photos
    try:
        lines = only.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{only}: cannot be read: {error}; give a text file with one picture a line") from error
    wanted = {line.strip().removeprefix(f"{folder.resolve().name}/") for line in lines if line.strip()}
    chosen = [photo for photo in photos if photo.file in wanted]
    if not chosen:
        raise InputError(f"{only}: lists no picture of {folder}; give lines such as {photos[0].file}")
    return chosen


def figures(photos: Sequence[Photo], lines: Iterable[PredictionLine], threshold: float) -> dict[str, Any]:
    """The scores of predictions at one operating point: for faces of at least 12 px, and below `all_sizes` for all."""
    pairs = [
        (Truth(photo.boxes, photo.label), Prediction(line.boxes, line.scores, line.label))
        for photo, line in zip(photos, lines, strict=True)
    ]
    result = score(pairs, Terms(threshold=threshold, min_px=JUDGED_PX))
    return {**result, "min_px": JUDGED_PX, "all_sizes": score(pairs, Terms(threshold=threshold))}


def _write(path: Path, lines: Iterable[PredictionLine]) -> None:
    encoder = msgspec.json.Encoder()
    try:
        path.write_bytes(b"".join(encoder.encode(line) + b"\n" for line in lines))
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}; give a file in a folder that exists") from error


def evaluate_folder(
    folder: Path,
    *,
    model: FaceModel,
    predictions: Path | None = None,
    only: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Runs the model over `folder` and scores it; returns a JSON-able dict.

    The keys are those of `core.scoring.score` for faces of at least 12 px, `all_sizes` with the same for all faces,
    `threshold` and `model`. `predictions` is a JSON-lines file to write, `only` a list of pictures to restrict it to,
    `progress` is called with pictures done and in total. Raises InputError for anything unusable.
    """
    photos = _selected(read_annotations(folder), folder, only)
    lines = []
    for done, photo in enumerate(photos, start=1):
        lines.append(predict(photo, folder / photo.file, model))
        if progress is not None:
            progress(done, len(photos))
    if predictions is not None:
        _write(predictions, lines)
    threshold = model.manifest.score_threshold
    return {**figures(photos, lines, threshold), "threshold": threshold, "model": model.id}
