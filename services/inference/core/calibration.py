"""How honest a classifier's confidence is: of the faces that it is 80 % sure of, are 80 % right?

Naeini, Cooper, Hauskrecht 2015, "Obtaining Well Calibrated Probabilities Using Bayesian Binning" (expected calibration
error); Guo, Pleiss, Sun, Weinberger 2017, "On Calibration of Modern Neural Networks" (reliability diagram, bins of
equal width that hold their upper edge). Looked at is the confidence in mask or not, which is what the rate asks for.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Any

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
    """Bins of equal width over 0 to 1: `low` (outside the bin, but for 0), `high` (inside), `faces`, and their
    `mean_confidence` and `share_right`, both None in an empty bin.
    """
    edges = _edges(bins)
    members: list[list[Judged]] = [[] for _ in range(bins)]
    for confidence, right in judged:
        members[max(0, bisect_left(edges, confidence) - 1)].append((confidence, right))
    return [_bin(edges[place], edges[place + 1], member) for place, member in enumerate(members)]


def calibration(judged: Iterable[Judged], bins: int = BINS) -> dict[str, Any]:
    """`faces`, `bins` as `reliability` returns them, and `ece`, 0 to 1: the mean over faces of how far the bin's mean
    confidence is from its share right; None when there is no face. Raises ValueError for a confidence outside 0 to 1.
    """
    faces = list(judged)
    for confidence, _ in faces:
        if not 0 <= confidence <= 1:
            raise ValueError(f"confidence {confidence} is no probability; give 0 to 1")
    table = reliability(faces, bins)
    gaps = [one["faces"] * abs(one["mean_confidence"] - one["share_right"]) for one in table if one["faces"]]
    return {"faces": len(faces), "ece": sum(gaps) / len(faces) if faces else None, "bins": table}
