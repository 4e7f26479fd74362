"""Figures of a model on one source of faces that it did not learn from, and the table of them. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from modelling.evaluation.average_precision import Found, average_precision
from modelling.evaluation.labelled import Photo
from modelling.evaluation.measuring import JUDGED_PX, PredictionLine, figures
from modelling.evaluation.scoring import Prediction, Terms, Truth, box_px, match

SMALL_PX = (10.0, 20.0)
Seen = list[tuple[Photo, PredictionLine]]


class Source(msgspec.Struct, frozen=True):
    """Figures of one model on one source, of faces of at least 12 px in the annotated photo; shares are 0 to 1.

    None where there is nothing to take a share of. `small_*` are of faces of 10 to 20 px.
    """

    name: str
    model: str
    photos: int
    faces: int
    f1: float
    ap50: float | None
    precision: float
    recall_masked: float | None
    recall_bare: float | None
    small_faces: int
    small_recall: float | None
    small_precision: float | None
    mask_right: float | None
    taken_for_good: float | None
    """Badly worn masks that were said to be masks, of those judged."""
    unknown: float | None
    rate: float | None
    rate_error: float | None
    """Predicted minus true rate, in points."""


@dataclass
class _Small:
    """Counts of small faces, and of what was found at their size."""

    faces: int = 0
    found: int = 0
    alarms: int = 0

    def add(self, truth: Truth, found: Prediction, threshold: float) -> None:
        matched = match(truth, found, Terms(threshold))
        for index, box in enumerate(truth.boxes):
            if index not in matched.ignored and _is_small(box_px(box)):
                self.faces += 1
                self.found += index in matched.hits
        self.alarms += sum(_is_small(box_px(found.boxes[index])) for index in matched.false_alarms)


def _is_small(px: float) -> bool:
    return SMALL_PX[0] <= px < SMALL_PX[1]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def source_figures(name: str, model: str, seen: Seen, threshold: float) -> Source:
    """Return the figures of one source."""
    photos, lines = [photo for photo, _ in seen], [line for _, line in seen]
    result = figures(photos, lines, threshold)
    small, pairs = _Small(), [(Truth(p.boxes, p.label), Prediction(q.boxes, q.scores)) for p, q in seen]
    for truth, found in pairs:
        small.add(truth, found, threshold)
    rate: dict[str, Any] = result.get("mask_rate") or {}
    return Source(
        name=name,
        model=model,
        photos=len(photos),
        faces=result["faces"],
        f1=result["f1"],
        ap50=average_precision([Found(truth, found) for truth, found in pairs], min_px=JUDGED_PX),
        precision=result["precision"],
        recall_masked=_recall(result, "class mask"),
        recall_bare=_recall(result, "class no_mask"),
        small_faces=small.faces,
        small_recall=_share(small.found, small.faces),
        small_precision=_share(small.found, small.found + small.alarms),
        mask_right=result.get("mask_acc_on_found"),
        taken_for_good=_taken_for_good(result.get("confusion gt->pred", {})),
        unknown=result.get("unknown_share"),
        rate=rate.get("true"),
        rate_error=rate["predicted"] - rate["true"] if rate else None,
    )


def _recall(result: dict[str, Any], key: str) -> float | None:
    share: float | None = result["recall_by"].get(key, (None, 0))[0]
    return share


def _taken_for_good(confusion: dict[str, int]) -> float | None:
    total = sum(count for key, count in confusion.items() if key.startswith("incorrect->"))
    return _share(confusion.get("incorrect->mask", 0), total)


COLUMNS = (
    *("faces", "F1", "AP50", "precision", "recall masked", "bare", "10-20 px", "found", "precise"),
    *("mask right", "badly worn taken for good", "unknown", "true rate", "off by, points"),
)


def rows(found: Iterable[Source]) -> list[list[str]]:
    """Return the table's rows, the source with the largest error of its rate first."""
    worst = sorted(found, key=lambda one: -abs(one.rate_error or 0.0))
    return [[one.name, *_cells(one)] for one in worst]


def _cells(one: Source) -> list[str]:
    shares = (one.f1, one.ap50, one.precision, one.recall_masked, one.recall_bare)
    small = (one.small_recall, one.small_precision)
    judged = (one.mask_right, one.taken_for_good, one.unknown)
    rate = "-" if one.rate is None else f"{one.rate:.1f} %"
    off = "-" if one.rate_error is None else f"{one.rate_error:+.1f}"
    return [str(one.faces), *map(_percent, shares), str(one.small_faces), *map(_percent, (*small, *judged)), rate, off]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"
