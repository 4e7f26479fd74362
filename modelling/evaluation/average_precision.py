"""AP50, the figure that papers on face detection give: computed by faster-coco-eval (Apache-2.0, kept)."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import NamedTuple

from modelling.evaluation.scoring import Corners, Prediction, Truth, box_px

_IOU = 0.5
_MAX_DETECTIONS = 1_000
"""Detections of a picture that count; a picture of a crowd has some hundred."""


def is_installed() -> bool:
    """Return whether the library that computes it is there."""
    return find_spec("faster_coco_eval") is not None


class Found(NamedTuple):
    """The annotated faces of a picture and what was found in it."""

    truth: Truth
    found: Prediction


def average_precision(pictures: Sequence[Found], *, min_px: float) -> float | None:
    """Return the area under precision by recall at an IoU of 0.5, 0 to 1; None without faces.

    Faces that nobody judged, and those below `min_px`, count neither way (COCO's `iscrowd`).
    """
    from faster_coco_eval import COCO, COCOeval_faster  # of the extra `eval`

    faces = [face for number, one in enumerate(pictures, start=1) for face in _faces(number, one.truth, min_px)]
    if all(face["iscrowd"] for face in faces):
        return None
    for number, face in enumerate(faces, start=1):
        face["id"] = number
    images = [{"id": number} for number in range(1, len(pictures) + 1)]
    truth = COCO({"images": images, "annotations": faces, "categories": [{"id": 1, "name": "face"}]})
    found = [box for number, one in enumerate(pictures, start=1) for box in _found(number, one.found)]
    if not found:
        return 0.0
    run = COCOeval_faster(truth, truth.loadRes(found), "bbox")
    run.params.iouThrs, run.params.maxDets = [_IOU], [_MAX_DETECTIONS] * 3
    run.params.areaRng, run.params.areaRngLbl = [[0, 1e10]], ["all"]
    run.evaluate()
    run.accumulate()
    precision = run.eval["precision"][0, :, 0, 0, -1]
    return float(precision[precision > -1].mean())


def _box(box: Corners) -> dict[str, object]:
    wide, high = box[2] - box[0], box[3] - box[1]
    return {"bbox": [box[0], box[1], wide, high], "area": wide * high, "category_id": 1}


def _faces(number: int, truth: Truth, min_px: float) -> list[dict[str, object]]:
    return [
        {"image_id": number, "iscrowd": int(label == "ignore" or box_px(box) < min_px), **_box(box)}
        for box, label in zip(truth.boxes, truth.labels, strict=True)
    ]


def _found(number: int, found: Prediction) -> list[dict[str, object]]:
    return [
        {"image_id": number, "score": score, **_box(box)} for box, score in zip(found.boxes, found.scores, strict=True)
    ]
