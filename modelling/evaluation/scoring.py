"""Scores predictions against annotated faces. Pure arithmetic; this module holds every definition.

A face's size is sqrt(width * height) of its annotated box, in pixels of the annotated picture. Predictions that reach
the threshold are matched, best score first. Each takes the unmatched face that it overlaps most, if their IoU suffices.
Annotated faces labelled "ignore", or below the minimum size, count neither as hit nor as miss, and predictions on them
are no false alarms. The mask rate is mask / all: "incorrect" is not masked. "unknown" predictions are faces found but
not judged. They stay out of rate and accuracy, and their share is reported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from services.inference.core.faces import face_px

Corners = tuple[float, float, float, float]

SIZE_LIMITS = (0, 12, 20, 32, 64, 128)
CROWD = 5  # with fewer annotated faces, a single picture's mask rate means nothing


@dataclass(frozen=True)
class Truth:
    """The annotations of one picture: boxes in pixels, one label each (mask, no_mask, incorrect, ignore)."""

    boxes: Sequence[Corners]
    labels: Sequence[str]


@dataclass(frozen=True)
class Prediction:
    """The predictions for one picture: boxes in its pixels, scores, and labels (or None: faces only)."""

    boxes: Sequence[Corners]
    scores: Sequence[float]
    labels: Sequence[str] | None = None


@dataclass(frozen=True)
class Terms:
    """The limits of scoring: the least score, the least IoU, and the least size of an annotated face in pixels."""

    threshold: float = 0.5
    iou: float = 0.4
    min_px: float = 0.0


@dataclass(frozen=True)
class Match:
    """`hits`: annotated face -> prediction; `false_alarms`: predictions on nothing; `ignored`: faces left out."""

    hits: dict[int, int]
    false_alarms: list[int]
    ignored: frozenset[int]


def iou(one: Corners, other: Corners) -> float:
    """Return the intersection over union of two boxes, 0 to 1."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (_area(one) + _area(other) - width * height)


def _area(box: Corners) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def box_px(box: Corners) -> float:
    """Return the size of a box as defined above."""
    return face_px(box[2] - box[0], box[3] - box[1])


def size_name(size_px: float) -> str:
    """Return the bucket of a size, such as "12-20"; the last is open, "128-"."""
    for low, high in pairwise(SIZE_LIMITS):
        if low <= size_px < high:
            return f"{low}-{high}"
    return f"{SIZE_LIMITS[-1]}-"


def match(truth: Truth, found: Prediction, terms: Terms) -> Match:
    """Match predictions to annotated faces."""
    pairs = enumerate(zip(truth.boxes, truth.labels, strict=True))
    ignored = frozenset(i for i, (box, label) in pairs if label == "ignore" or box_px(box) < terms.min_px)
    counted = [index for index, score in enumerate(found.scores) if score >= terms.threshold]
    hits: dict[int, int] = {}
    false_alarms = []
    for index in sorted(counted, key=lambda row: -found.scores[row]):
        overlaps = [iou(found.boxes[index], box) for box in truth.boxes]
        free = [face for face in range(len(overlaps)) if face not in hits and face not in ignored]
        # Among equal overlaps the later face is taken, as in the reference script.
        best = max(free, key=lambda face: (overlaps[face], face), default=-1)
        if best >= 0 and overlaps[best] >= terms.iou:
            hits[best] = index
        elif not any(overlaps[face] >= terms.iou for face in ignored):
            false_alarms.append(index)
    return Match(hits, false_alarms, ignored)


@dataclass
class _Tally:
    """Counts over all pictures."""

    images: int = 0
    hits: int = 0
    false_alarms: int = 0
    unknown: int = 0
    found_by: Counter[str] = field(default_factory=Counter)
    faces_by: Counter[str] = field(default_factory=Counter)
    confusion: Counter[tuple[str, str]] = field(default_factory=Counter)
    true_labels: Counter[str] = field(default_factory=Counter)
    predicted_labels: Counter[str] = field(default_factory=Counter)
    crowd_errors: list[float] = field(default_factory=list)

    def add(self, truth: Truth, found: Prediction, terms: Terms) -> None:
        matched = match(truth, found, terms)
        self.images += 1
        self.hits += len(matched.hits)
        self.false_alarms += len(matched.false_alarms)
        self._add_faces(truth, matched)
        here = Counter(label for index, label in enumerate(truth.labels) if index not in matched.ignored)
        predicted = self._add_labels(truth, found, matched)
        self.true_labels += here
        self.predicted_labels += predicted
        if here.total() >= CROWD:
            self.crowd_errors.append(abs(_mask_rate(here) - _mask_rate(predicted)))

    def _add_faces(self, truth: Truth, matched: Match) -> None:
        for index, (box, label) in enumerate(zip(truth.boxes, truth.labels, strict=True)):
            if index in matched.ignored:
                continue
            size = f"size {size_name(box_px(box))}"
            for key in ("all", size, f"class {label}", f"{size} {label}"):
                self.faces_by[key] += 1
                self.found_by[key] += index in matched.hits

    def _add_labels(self, truth: Truth, found: Prediction, matched: Match) -> Counter[str]:
        """Add to confusion and unknown; return the picture's judged predictions by label."""
        if found.labels is None:
            return Counter()
        for face, index in matched.hits.items():
            if found.labels[index] == "unknown":
                self.unknown += 1
            else:
                self.confusion[truth.labels[face], found.labels[index]] += 1
        labels = (found.labels[index] for index in [*matched.hits.values(), *matched.false_alarms])
        return Counter(label for label in labels if label != "unknown")


def _mask_rate(labels: Counter[str]) -> float:
    """Return the percentage of mask among the labels; 0 without labels."""
    return 100.0 * labels["mask"] / labels.total() if labels else 0.0


def _accuracies(confusion: Counter[tuple[str, str]]) -> dict[str, float]:
    """Return the accuracies of mask against no mask: over all found faces, and the mean of the two classes."""
    right: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for (true, predicted), count in confusion.items():
        if true != "incorrect":
            asked[true] += count
            right[true] += count * (true == ("mask" if predicted == "mask" else "no_mask"))
    shares = [right[label] / asked[label] for label in asked]
    return {
        "mask_acc_on_found": right.total() / max(1, asked.total()),
        "mask_balanced_acc": sum(shares) / max(1, len(shares)),
    }


def _rates(tally: _Tally) -> dict[str, float]:
    true, predicted = _mask_rate(tally.true_labels), _mask_rate(tally.predicted_labels)
    count_ratio = tally.predicted_labels.total() / max(1, tally.true_labels.total())
    return {
        "true": true,
        "predicted": predicted,
        "abs_error_pp": abs(true - predicted),
        "mean_abs_error_pp_images_with_5_faces": sum(tally.crowd_errors) / max(1, len(tally.crowd_errors)),
        "images_with_5_faces": len(tally.crowd_errors),
        "signed_count_error_pct": 100.0 * (count_ratio - 1),
    }


def score(pairs: Iterable[tuple[Truth, Prediction]], terms: Terms) -> dict[str, Any]:
    """Return all figures as a JSON-able dict; shares are 0 to 1, rates in percent, `recall_by` holds (recall, faces).

    It has figures on labels only if at least one found face was judged.
    """
    tally = _Tally()
    for truth, found in pairs:
        tally.add(truth, found, terms)
    precision = tally.hits / max(1, tally.hits + tally.false_alarms)
    recall = tally.hits / max(1, tally.faces_by["all"])
    result: dict[str, Any] = {
        "images": tally.images,
        "faces": tally.faces_by["all"],
        "precision": precision,
        "recall": recall,
        "false_per_image": tally.false_alarms / max(1, tally.images),
        "recall_by": {key: (tally.found_by[key] / n, n) for key, n in sorted(tally.faces_by.items()) if n},
        "f1": 2 * precision * recall / max(1e-9, precision + recall),
    }
    if tally.confusion:
        result["unknown_share"] = tally.unknown / max(1, tally.hits)
        result |= _accuracies(tally.confusion)
        result["confusion gt->pred"] = {f"{a}->{b}": n for (a, b), n in sorted(tally.confusion.items())}
        result["mask_rate"] = _rates(tally)
    return result
