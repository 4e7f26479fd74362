"""Turns a model's raw numbers into faces with verdicts. A face that cannot be judged is `unknown`, never guessed."""

from __future__ import annotations

import math
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

Verdict = Literal["masked", "unmasked", "incorrect", "unknown"]

# The order of the classifier's columns.
CLASSES: tuple[Verdict, Verdict, Verdict] = ("masked", "unmasked", "incorrect")
_MASKED = 0


class Face(msgspec.Struct, frozen=True):
    """One face in one picture.

    Corners are shares of the picture's width and height, 0 to 1, x1 < x2 and y1 < y2. `score` is how certain it is that
    this is a face, `confidence` how certain it is that masked or not masked is right; both are 0 to 1. `likeliest` is
    the likeliest class, also if the verdict is unknown. It is for measuring the model and is never published.
    """

    x1: float
    y1: float
    x2: float
    y2: float
    verdict: Verdict
    score: float
    confidence: float
    likeliest: Verdict = "unknown"


class Limits(msgspec.Struct, frozen=True):
    """When a box counts as a face and when a face is judged.

    `score_threshold`: boxes that score less are dropped. `min_face_px`: a face smaller than this, sqrt(width * height)
    in pixels of the analysed picture, is unknown. `unknown_below`: a face is also unknown if neither masked nor not
    masked (unmasked or incorrect) is at least this likely.
    """

    score_threshold: float
    min_face_px: float
    unknown_below: float


def face_px(width: float, height: float) -> float:
    """Return the size of a face: the side of the square with its area, in the unit of the sides; 0 for an empty box."""
    return math.sqrt(max(0.0, width) * max(0.0, height))


def likeliest_of(probabilities: NDArray[np.float32]) -> tuple[Verdict, float]:
    """Return the likeliest class, and how likely its side is (masked or not masked), 0.5 to 1. Limits play no part.

    The mask rate depends on masked or not masked, so that is decided first: masked if it is at least as likely as the
    other two together, else the likelier of the two. `probabilities` holds one number per entry of CLASSES. Numbers
    that are no probabilities (NaN) give unknown, 0.
    """
    if not np.isfinite(probabilities).all():
        return "unknown", 0.0
    masked, other = float(probabilities[_MASKED]), float(probabilities[_MASKED + 1 :].sum())
    best = _MASKED if masked >= other else _MASKED + 1 + int(np.argmax(probabilities[_MASKED + 1 :]))
    return CLASSES[best], min(1.0, max(0.0, masked, other))


def verdict_of(probabilities: NDArray[np.float32], size_px: float, limits: Limits) -> tuple[Verdict, float]:
    """Return the verdict on one face, and how likely masked or not masked is, whichever is likelier.

    A face that is surely without a mask or badly masked is judged, even if nobody can say which of the two: left out,
    it would raise the rate. `probabilities` holds one number per entry of CLASSES; if they are none (NaN): unknown, 0.
    """
    likeliest, confidence = likeliest_of(probabilities)
    sure = size_px >= limits.min_face_px and confidence >= limits.unknown_below
    return likeliest if sure else "unknown", confidence


def above(scores: NDArray[np.float32], threshold: float) -> NDArray[np.intp]:
    """Return the rows whose score reaches the threshold, best first, equal ones in their order; NaN reaches nothing."""
    rows = np.flatnonzero(scores >= threshold)
    return rows[np.argsort(-scores[rows], kind="stable")]


def clipped(boxes: NDArray[np.float32], width: int, height: int) -> NDArray[np.float64]:
    """Return boxes [N, 4] in pixels as shares of the picture, cut at its edges; NaN becomes 0."""
    if width <= 0 or height <= 0:
        raise ValueError(f"a picture of {width}x{height} pixels has no faces; give its width and height")
    shares = boxes.reshape(-1, 4).astype(np.float64) / np.array([width, height, width, height], dtype=np.float64)
    return np.clip(np.nan_to_num(shares, nan=0.0, posinf=1.0, neginf=0.0), 0.0, 1.0)


def visible(boxes: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the rows of clipped boxes that still have an area."""
    return np.flatnonzero((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))


def to_faces(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    probabilities: NDArray[np.float32],
    *,
    width: int,
    height: int,
    limits: Limits,
) -> list[Face]:
    """Return the faces in one picture of `width` x `height` pixels, best score first.

    `boxes` [N, 4] are x1, y1, x2, y2 in its pixels, `scores` [N], `probabilities` [N, 3] in the order of CLASSES. Boxes
    under the threshold or wholly outside the picture are dropped. Raises ValueError for arrays that don't fit.
    """
    if not (boxes.shape == (len(scores), 4) and probabilities.shape == (len(scores), len(CLASSES))):
        raise ValueError(f"boxes {boxes.shape}, scores {scores.shape}, probabilities {probabilities.shape} don't fit")
    rows = above(scores, limits.score_threshold)
    shares = clipped(boxes[rows], width, height)
    sides_px = (shares[:, 2:] - shares[:, :2]) * np.array([width, height])
    return [
        _face(shares[place], float(scores[row]), probabilities[row], face_px(*sides_px[place]), limits)
        for place, row in ((place, rows[place]) for place in visible(shares))
    ]


def _face(
    share: NDArray[np.float64], score: float, probabilities: NDArray[np.float32], size_px: float, limits: Limits
) -> Face:
    x1, y1, x2, y2 = (float(value) for value in share)
    likeliest, _ = likeliest_of(probabilities)
    verdict, confidence = verdict_of(probabilities, size_px, limits)
    return Face(x1, y1, x2, y2, verdict, min(1.0, max(0.0, score)), confidence, likeliest)


def i420_sides(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return width and height of the picture that a planar I420 array [3 * H / 2, W] holds.

    Raises ValueError unless both sides are multiples of 4 and at least 4: the chroma planes would not be whole rows.
    """
    if len(shape) != 2:
        raise ValueError(f"an I420 picture is an array [3 * H / 2, W], not {list(shape)}")
    rows, width = shape
    height = rows * 2 // 3
    if rows < 6 or rows % 6 or width < 4 or width % 4:
        raise ValueError(f"an I420 array of {rows} x {width}: width and height must be multiples of 4")
    return width, height
