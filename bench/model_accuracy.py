"""Accuracy on the validation part, by dtype and by the size of the analysed picture."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, count, pairwise
from pathlib import Path

import msgspec

from modelling.evaluation.labelled import InputError, Photo, read_annotations
from modelling.evaluation.measuring import PredictionLine, figures, predict
from modelling.evaluation.scoring import Corners, Prediction, Terms, Truth, box_px, match
from services.inference.model import FaceModel

SOURCES = ("kaggle853", "ilc2021")
"""The folders with photos of which every face is annotated."""
LIMITS_PX = (8, 12, 16, 24, 32, 64, 128, 1280)
LARGE_PX = 960
LARGE = f"photos of {LARGE_PX} px or more"
"""Photos whose longer side has so many pixels. They are not enlarged at the lower sizes."""
PhotoFiles = list[tuple[Path, Photo]]
Photos = dict[str, PhotoFiles]
Seen = list[tuple[Photo, PredictionLine]]


class Accuracy(msgspec.Struct, frozen=True):
    """Figures as in `scoring`, of faces of at least 12 px in the annotated photo; shares are 0 to 1."""

    dtype: str
    long_side: int
    source: str
    faces: int
    f1: float
    precision: float
    recall_masked: float
    recall_bare: float
    mask_right: float
    unknown: float


class Found(msgspec.Struct, frozen=True):
    """Annotated faces of one size in the analysed picture, both sources: how many, found, and found but not judged."""

    px: tuple[int, int]
    long_side: int
    faces: int
    found: int
    unknown: int


def parts(data: Path, validation: Path) -> tuple[Photos, Photos]:
    """Return the photos of the validation part and the others, by source.

    Raises InputError for a list or a folder that is missing, and for a list with no photo of a source.
    """
    try:
        wanted = set(validation.read_text("utf-8").split())
    except OSError as error:
        raise InputError(f"{validation}: cannot be read: {error.strerror}; a model has its list beside it") from error
    ours: Photos = {}
    others: Photos = {}
    for source in SOURCES:
        folder = data / source
        photos = read_annotations(folder)
        ours[source] = [(folder / p.file, p) for p in photos if f"{source}/{p.file}" in wanted]
        others[source] = [(folder / p.file, p) for p in photos if f"{source}/{p.file}" not in wanted]
        if not ours[source]:
            raise InputError(
                f"{validation}: lists no picture of {folder}; give lines such as {source}/{photos[0].file}"
            )
    return ours, others


def measure(
    models: Mapping[str, FaceModel], photos: Photos, long_sides: Sequence[int], progress: Callable[[int], None]
) -> tuple[list[Accuracy], list[Found]]:
    """Return each model's accuracy at each size and source, and the first model's finds by size of the face.

    `progress` is called with the number of pictures analysed so far.
    """
    accuracies: list[Accuracy] = []
    found: list[Found] = []
    done = count(1)
    for name, model in models.items():
        threshold = model.manifest.score_threshold
        for long_side in long_sides:
            seen = {source: _seen(model, pairs, long_side, done, progress) for source, pairs in photos.items()}
            everything = list(chain.from_iterable(seen.values()))
            for group, pairs in {**seen, LARGE: [pair for pair in everything if _is_large(pair[0])]}.items():
                accuracies += accuracy(name, long_side, group, pairs, threshold)
            if model is next(iter(models.values())):
                found += by_face_size(everything, long_side, threshold)
    return accuracies, found


def _seen(
    model: FaceModel, photos: PhotoFiles, long_side: int, done: Iterator[int], progress: Callable[[int], None]
) -> Seen:
    """Return the model's predictions for each photo."""
    seen = []
    for path, photo in photos:
        seen.append((photo, predict(photo, path, model, long_side=long_side)))
        progress(next(done))
    return seen


def _is_large(photo: Photo) -> bool:
    return max(photo.width, photo.height) >= LARGE_PX


def accuracy(dtype: str, long_side: int, source: str, seen: Seen, threshold: float) -> list[Accuracy]:
    """Return the figures of these photos as one entry, none without faces; a share of nothing is 0."""
    result = figures([photo for photo, _ in seen], [line for _, line in seen], threshold)
    recall = {name: share for name, (share, _) in result["recall_by"].items()}
    shares = (
        *(result["f1"], result["precision"], recall.get("class mask", 0.0), recall.get("class no_mask", 0.0)),
        *(result.get("mask_acc_on_found", 0.0), result.get("unknown_share", 0.0)),
    )
    return [Accuracy(dtype, long_side, source, result["faces"], *shares)] if result["faces"] else []


def by_face_size(seen: Seen, long_side: int, threshold: float) -> list[Found]:
    """Return the number of faces found, by their size in the analysed picture and not in the photo."""
    states: list[tuple[float, bool, bool]] = []
    for photo, line in seen:
        scale = long_side / max(photo.width, photo.height)
        matched = match(Truth(photo.boxes, photo.label), Prediction(line.boxes, line.scores), Terms(threshold))
        for index, box in enumerate(photo.boxes):
            if index not in matched.ignored:
                hit = matched.hits.get(index)
                states.append((_px(box, scale), hit is not None, hit is not None and line.label[hit] == "unknown"))
    return [_found(limits, long_side, states) for limits in pairwise(LIMITS_PX)]


def _px(box: Corners, scale: float) -> float:
    return box_px(box) * scale


def _found(limits: tuple[int, int], long_side: int, states: Sequence[tuple[float, bool, bool]]) -> Found:
    here = [(found, unknown) for px, found, unknown in states if limits[0] <= px < limits[1]]
    return Found(limits, long_side, len(here), sum(f for f, _ in here), sum(u for _, u in here))
