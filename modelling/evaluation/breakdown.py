"""A model's errors by size of face and by what is worn, their effect on the mask rate, and the model's calibration.

Shares are 0 to 1, rates in percent, differences and errors in points (predicted minus true). A value is None if its
divisor would be 0. A detector that misses masked and bare faces unequally biases the rate: see `recall_difference`.

A model is calibrated if 80 % of its verdicts with 80 % confidence are right. Sources: Naeini, Cooper, Hauskrecht 2015,
"Obtaining Well Calibrated Probabilities Using Bayesian Binning" (expected calibration error); Guo, Pleiss, Sun,
Weinberger 2017, "On Calibration of Modern Neural Networks" (reliability diagram, bins of equal width that hold their
upper edge). The confidence measured here is that in mask or no mask, because the rate depends on it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from modelling.evaluation.outcomes import Outcome
from modelling.evaluation.scoring import CROWD, SIZE_LIMITS, box_px, size_name
from services.statistics.proportions import newcombe, wilson

CLASSES = ("mask", "no_mask", "incorrect")

Label = Callable[[Outcome], str | None]


def truth(outcome: Outcome) -> str | None:
    """Return the annotated label; None for a false alarm."""
    return outcome.truth


def published(outcome: Outcome) -> str | None:
    """Return the verdict, which enters the published rate; None for a missed or an unknown face."""
    return None if outcome.said == "unknown" else outcome.said


def likeliest(outcome: Outcome) -> str | None:
    """Return the label that would enter the rate if no face were unknown; None for a missed face."""
    return None if outcome.likeliest == "unknown" else outcome.likeliest


def mask_rate(outcomes: Iterable[Outcome], label: Label) -> float | None:
    """Return the percentage of mask among the labels; None without labels."""
    labels = [name for name in map(label, outcomes) if name is not None]
    return 100.0 * labels.count("mask") / len(labels) if labels else None


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _error(rate: float | None, true: float | None) -> float | None:
    return None if rate is None or true is None else rate - true


def _is_right(outcome: Outcome, label: Label) -> bool:
    return (label(outcome) == "mask") == (outcome.truth == "mask")


def _faces(outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """Counts and shares of annotated faces; `right` is about mask or no mask, of the judged ones."""
    annotated = [one for one in outcomes if one.truth is not None]
    found = [one for one in annotated if one.is_found]
    judged = [one for one in annotated if one.is_judged]
    return {
        "faces": len(annotated),
        "found": len(found),
        "recall": _share(len(found), len(annotated)),
        "recall_interval": wilson(len(found), len(annotated)),
        "unknown_share": _share(len(found) - len(judged), len(found)),
        "right": _share(sum(_is_right(one, published) for one in judged), len(judged)),
    }


def _difference(masked: dict[str, Any], bare: dict[str, Any]) -> dict[str, Any] | None:
    """Recall of masked minus recall of bare faces, with its 95 % interval, in points."""
    interval = newcombe((masked["found"], masked["faces"]), (bare["found"], bare["faces"]))
    if interval is None:
        return None
    points = 100.0 * (masked["recall"] - bare["recall"])
    return {"points": points, "interval": (100.0 * interval[0], 100.0 * interval[1])}


def row(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return all figures about these faces and false alarms.

    `faces`, `found`, `recall` with its 95 % `recall_interval`, `unknown_share` of the found, `right` about mask or no
    mask of the found and judged (without faces annotated incorrect, like the overall figure), `false_alarms`; `classes`
    with the same per annotated class; `recall_difference` (masked minus bare: `points`, `interval`); and the mask
    rate: `true_rate`, `rate_error_pp` as published (unknown left out), `rate_error_likeliest_pp` if every unknown face
    were given its likeliest verdict.
    """
    classes = {name: _faces(one for one in outcomes if one.truth == name) for name in CLASSES}
    asked = _faces(one for one in outcomes if one.truth != "incorrect")
    true = mask_rate(outcomes, truth)
    return {
        **_faces(outcomes),
        "right": asked["right"],
        "false_alarms": sum(one.truth is None for one in outcomes),
        "classes": classes,
        "recall_difference": _difference(classes["mask"], classes["no_mask"]),
        "true_rate": true,
        "rate_error_pp": _error(mask_rate(outcomes, published), true),
        "rate_error_likeliest_pp": _error(mask_rate(outcomes, likeliest), true),
    }


def by_size(outcomes: Iterable[Outcome]) -> list[dict[str, Any]]:
    """Return a `row` with its `size` for each size that has annotated faces, small sizes first.

    A false alarm has the size of its box. It is in no row if its size has no annotated face.
    """
    sizes: defaultdict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        sizes[size_name(box_px(outcome.box))].append(outcome)
    rows = [{"size": name, **row(sizes[name])} for name in map(size_name, SIZE_LIMITS)]
    return [one for one in rows if one["faces"]]


def _crowd_error(outcomes: Iterable[Outcome], label: Label) -> float | None:
    """Return the rate's mean absolute error over pictures with five annotated faces; without verdicts a rate is 0."""
    pictures: defaultdict[int, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        pictures[outcome.picture].append(outcome)
    crowds = [some for some in pictures.values() if sum(one.truth is not None for one in some) >= CROWD]
    errors = [abs((mask_rate(some, label) or 0.0) - (mask_rate(some, truth) or 0.0)) for some in crowds]
    return sum(errors) / len(errors) if errors else None


def _rate(outcomes: Sequence[Outcome], label: Label) -> dict[str, float | None]:
    rate = mask_rate(outcomes, label)
    return {
        "rate": rate,
        "error_pp": _error(rate, mask_rate(outcomes, truth)),
        "mean_abs_error_pp_images_with_5_faces": _crowd_error(outcomes, label),
    }


def unknown_effect(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return figures that show whether an unknown verdict costs less than a wrong one.

    `left_out` has the mask rate without unknown faces, as published; `likeliest` has it with the likeliest verdict for
    each of them. Both have their error. `true` is the annotated rate, `unknown` the number of found faces that were
    unknown. `likeliest_right` is the share of them (faces annotated incorrect aside) whose likeliest verdict is right
    about mask or no mask.
    """
    unknown = [one for one in outcomes if one.truth is not None and one.said == "unknown"]
    asked = [one for one in unknown if one.truth != "incorrect" and likeliest(one) is not None]
    return {
        "true": mask_rate(outcomes, truth),
        "unknown": len(unknown),
        "likeliest_right": _share(sum(_is_right(one, likeliest) for one in asked), len(asked)),
        "left_out": _rate(outcomes, published),
        "likeliest": _rate(outcomes, likeliest),
    }


BINS = 10

Judged = tuple[float, bool]
"""How sure the classifier was of mask or not, 0 to 1, and whether that was right."""


def _edges(bins: int) -> list[float]:
    return [step / bins for step in range(bins + 1)]


def _bin(low: float, high: float, judged: list[Judged]) -> dict[str, Any]:
    faces = len(judged)
    return {
        "low": low,
        "high": high,
        "faces": faces,
        "mean_confidence": sum(confidence for confidence, _ in judged) / faces if faces else None,
        "share_right": sum(right for _, right in judged) / faces if faces else None,
    }


def reliability(judged: Iterable[Judged], bins: int = BINS) -> list[dict[str, Any]]:
    """Return bins of equal width over 0 to 1.

    Each has `low` (outside the bin, except 0), `high` (inside), `faces`, and their `mean_confidence` and
    `share_right`, both None in an empty bin.
    """
    edges = _edges(bins)
    members: list[list[Judged]] = [[] for _ in range(bins)]
    for confidence, right in judged:
        members[max(0, bisect_left(edges, confidence) - 1)].append((confidence, right))
    return [_bin(edges[place], edges[place + 1], member) for place, member in enumerate(members)]


def calibration(judged: Iterable[Judged], bins: int = BINS) -> dict[str, Any]:
    """Return `faces`, `bins` as `reliability` returns them, and `ece`, the expected calibration error.

    `ece`, 0 to 1, is the mean over faces of the distance between their bin's mean confidence and its share right; None
    without faces. Raises ValueError for a confidence outside 0 to 1.
    """
    faces = list(judged)
    for confidence, _ in faces:
        if not 0 <= confidence <= 1:
            raise ValueError(f"confidence {confidence} is no probability; give 0 to 1")
    table = reliability(faces, bins)
    gaps = [one["faces"] * abs(one["mean_confidence"] - one["share_right"]) for one in table if one["faces"]]
    return {"faces": len(faces), "ece": sum(gaps) / len(faces) if faces else None, "bins": table}
