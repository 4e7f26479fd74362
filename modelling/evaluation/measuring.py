"""Measures a model on a folder of annotated pictures. `moretta eval` runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from modelling.evaluation.average_precision import Found, average_precision, is_installed
from modelling.evaluation.breakdown import by_size, calibration, row, unknown_effect
from modelling.evaluation.labelled import InputError, Photo, read_annotations, read_i420
from modelling.evaluation.outcomes import Guess, Outcome, outcomes
from modelling.evaluation.scoring import Corners, Prediction, Terms, Truth, score
from modelling.evaluation.slices import slices
from services.inference.core.faces import Face, Verdict
from services.inference.model import FaceModel

# Boxes above this are written to the predictions file, so that other operating points can be tried.
PREDICTION_FLOOR = 0.05
JUDGED_PX = 12.0
LONG_SIDES = range(160, 1920 + 1, 32)

_LABELS: dict[Verdict, str] = {
    "masked": "mask",
    "unmasked": "no_mask",
    "incorrect": "incorrect",
    "unknown": "unknown",
}


class PredictionLine(msgspec.Struct, frozen=True):
    """One picture's boxes, in pixels of the annotated picture, with low scores too.

    The other lists have one entry a box. `label` is the verdict, `likeliest` the likeliest class without regard to
    limits, `confidence` the probability of its side, mask or not.
    """

    file: str
    boxes: list[Corners]
    scores: list[float]
    label: list[str]
    likeliest: list[str] = []
    confidence: list[float] = []


def _corners(face: Face, photo: Photo) -> Corners:
    return (face.x1 * photo.width, face.y1 * photo.height, face.x2 * photo.width, face.y2 * photo.height)


def predict(photo: Photo, path: Path, model: FaceModel, *, long_side: int | None = None) -> PredictionLine:
    """Return all that the model finds in the picture at `path`, analysed at `long_side` (default: its manifest's)."""
    faces = model.find(read_i420(path, long_side or model.manifest.long_side), floor=PREDICTION_FLOOR)
    return PredictionLine(
        photo.file,
        [_corners(face, photo) for face in faces],
        [face.score for face in faces],
        [_LABELS[face.verdict] for face in faces],
        [_LABELS[face.likeliest] for face in faces],
        [face.confidence for face in faces],
    )


def selected_photos(folder: Path, only: Path | None) -> list[Photo]:
    """Return the folder's photos: all, or those in the file `only`.

    `only` has one photo a line: `images/name`, or `dataset/images/name` for several folders. Raises InputError for a
    folder or list that cannot be used.
    """
    photos = read_annotations(folder)
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
    """Return the scores at one operating point for faces of at least 12 px; `all_sizes` has those for all faces.

    `ap50`, over all operating points, is there where the extra `eval` is installed.
    """
    pairs = [
        (Truth(photo.boxes, photo.label), Prediction(line.boxes, line.scores, line.label))
        for photo, line in zip(photos, lines, strict=True)
    ]
    result = score(pairs, Terms(threshold=threshold, min_px=JUDGED_PX))
    whole = {**result, "min_px": JUDGED_PX, "all_sizes": score(pairs, Terms(threshold=threshold))}
    if is_installed():
        whole["ap50"] = average_precision([Found(*pair) for pair in pairs], min_px=JUDGED_PX)
    return whole


def what_became(photos: Sequence[Photo], lines: Iterable[PredictionLine], threshold: float) -> list[Outcome]:
    """Return the outcome of each face of at least 12 px, and the false alarms, at one operating point."""
    pictures = (
        (
            Truth(photo.boxes, photo.label),
            Prediction(line.boxes, line.scores),
            Guess(line.label, line.likeliest, line.confidence),
        )
        for photo, line in zip(photos, lines, strict=True)
    )
    return outcomes(pictures, Terms(threshold=threshold, min_px=JUDGED_PX))


def details(faces: Sequence[Outcome]) -> dict[str, Any]:
    """Return `by_size`, `total` (of all sizes), `unknown_effect` and `calibration` (of found annotated faces)."""
    judged = ((one.confidence, one.is_side_right) for one in faces if one.is_found)
    return {
        "by_size": by_size(faces),
        "total": row(faces),
        "unknown_effect": unknown_effect(faces),
        "calibration": calibration(judged),
    }


def _write(path: Path, lines: Iterable[PredictionLine]) -> None:
    encoder = msgspec.json.Encoder()
    try:
        path.write_bytes(b"".join(encoder.encode(line) + b"\n" for line in lines))
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}; give a file in a folder that exists") from error


def _long_side(wanted: int | None, model: FaceModel) -> int:
    if wanted is None:
        return model.manifest.long_side
    if wanted not in LONG_SIDES:
        raise InputError(f"--long-side: {wanted} is no size to analyse at; give a multiple of 32 from 160 to 1920")
    return wanted


def _predictions(
    folder: Path, photos: Sequence[Photo], model: FaceModel, side: int, progress: Callable[[int, int], None] | None
) -> list[PredictionLine]:
    lines = []
    for done, photo in enumerate(photos, start=1):
        lines.append(predict(photo, folder / photo.file, model, long_side=side))
        if progress is not None:
            progress(done, len(photos))
    return lines


def evaluate_folder(
    folder: Path,
    *,
    model: FaceModel,
    predictions: Path | None = None,
    only: Path | None = None,
    long_side: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Run the model over `folder` and return its figures, as JSON has them.

    They have the keys of `scoring.score` for faces of at least 12 px, `all_sizes` with the same for all
    faces, the keys of `details` and `slices`, `ap50` where the extra `eval` is installed, and `threshold`,
    `unknown_below`, `long_side` and `model`. `predictions` is a JSON-lines file to write. `only` is a list of pictures
    to restrict the run to. `long_side` is the size of the analysed picture in pixels (default: the model's). `progress`
    is called with pictures done and in total. Raises InputError for anything unusable.
    """
    side = _long_side(long_side, model)
    photos = selected_photos(folder, only)
    lines = _predictions(folder, photos, model, side, progress)
    if predictions is not None:
        _write(predictions, lines)
    manifest = model.manifest
    faces = what_became(photos, lines, manifest.score_threshold)
    terms = {"threshold": manifest.score_threshold, "unknown_below": manifest.unknown_below, "long_side": side}
    scored = figures(photos, lines, manifest.score_threshold)
    return {**scored, **details(faces), **slices(photos, faces), **terms, "model": model.id}
