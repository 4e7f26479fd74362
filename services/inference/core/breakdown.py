"""Where the model is weak: by size of the face and by what is worn, and what that does to the mask rate.

Shares are 0 to 1, rates in percent, differences and errors in points (predicted minus true); None where there is
nothing to divide by. A detector that misses masked and bare faces unequally biases the rate: see `recall_difference`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from services.inference.core.outcomes import Outcome
from services.inference.core.scoring import CROWD, SIZE_LIMITS, box_px, size_name
from services.sites.proportions import newcombe, wilson

CLASSES = ("mask", "no_mask", "incorrect")

Label = Callable[[Outcome], str | None]


def truth(outcome: Outcome) -> str | None:
    """What a person marked; None for a false alarm."""
    return outcome.truth


def published(outcome: Outcome) -> str | None:
    """What enters the published rate: the verdict; None for a missed or an unknown face."""
    return None if outcome.said == "unknown" else outcome.said


def likeliest(outcome: Outcome) -> str | None:
    """What would enter the rate if no face were unknown; None for a missed face."""
    return None if outcome.likeliest == "unknown" else outcome.likeliest


def mask_rate(outcomes: Iterable[Outcome], label: Label) -> float | None:
    """Percent of the labels that are mask."""
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
    """Everything about these faces and false alarms.

    `faces`, `found`, `recall` with its 95 % `recall_interval`, `unknown_share` of the found, `right` about mask or no
    mask of the found and judged (without faces annotated incorrect, as the overall figure), `false_alarms`; `classes`
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
    """A `row` with its `size` for each size that has annotated faces, small ones first.

    A false alarm has the size of its box; one whose size has no annotated face is in no row.
    """
    sizes: defaultdict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        sizes[size_name(box_px(outcome.box))].append(outcome)
    rows = [{"size": name, **row(sizes[name])} for name in map(size_name, SIZE_LIMITS)]
    return [one for one in rows if one["faces"]]


def _crowd_error(outcomes: Iterable[Outcome], label: Label) -> float | None:
    """The mean over pictures with five annotated faces of the rate's absolute error; nobody judged is a rate of 0."""
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
    """Whether unknown is cheaper than wrong: the mask rate with unknown faces `left_out`, as published, and with the
    `likeliest` verdict given to each, both with their error.

    `true` is the annotated rate, `unknown` how many found faces were unknown, `likeliest_right` for which share of
    them (faces annotated incorrect aside) the likeliest verdict is right about mask or no mask.
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
