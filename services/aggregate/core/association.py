"""How well a face explains a track: what an assignment of faces to tracks maximises.

Two explanations compete, as in a multiple-model tracker (Blom & Bar-Shalom 1988). Either a walker walks on, and is
where the filter predicts; or has stopped, turned or come out from behind somebody, and is anywhere near the place of
the last sighting, the farther the longer ago. The second costs more, and begins the motion anew. (That a tracker at few
pictures a second needs the last seen place beside the prediction is the finding of OC-SORT, Cao et al. 2023.)
"""

from collections.abc import Sequence
from math import log
from typing import Any, Protocol

import numpy as np

from services.aggregate.core.geometry import Location
from services.aggregate.core.motion import JITTER, Motion

GATE = 16.0
"""Squared Mahalanobis distance beyond which a place does not fit: 99.97 % of a two-dimensional normal distribution."""
SIZE_RATIO = 0.22
"""Standard deviation of the logarithm of a face's size between two pictures."""
UNMATCHED = 10.0
"""What leaving a track and a face unmatched costs, on the scale of twice the negative log-likelihood."""
REACH = 2.0
"""How far somebody who changed course may be from the last place: standard deviation in face sizes after one second;
it grows with the square root of the time."""
ANEW = 6.0
"""What it costs to say that somebody changed course, on the same scale."""


class Followed(Protocol):
    """What is known of a track."""

    motion: Motion
    seen: Location


def gains(tracks: Sequence[Followed], unseen_s: Sequence[float], faces: Sequence[Location]) -> tuple[Any, Any]:
    """Return tracks x faces: how much a match explains (0: nothing, or outside the gate), and whether it begins anew.

    Twice the log-likelihood against leaving both unmatched (the score of Blackman & Popoli, "Design and Analysis of
    Modern Tracking Systems", 1999, §6.2); an established track's narrow prediction beats a newborn's wide one.
    `unseen_s` is how long ago each track was seen, in seconds.
    """
    known = [(t.motion.x, t.motion.y, t.motion.a, log(t.motion.size), t.seen.x, t.seen.y) for t in tracks]
    x, y, spread, size, last_x, last_y = np.array(known).T
    there = np.array([(f.x, f.y, (JITTER * f.size) ** 2, log(f.size)) for f in faces]).T
    alike = UNMATCHED - ((size[:, None] - there[3]) / SIZE_RATIO) ** 2
    reach = (REACH * np.exp(size)) ** 2 * np.array(unseen_s)
    on = _gain(x, y, spread, size, there, alike)
    anew = _gain(last_x, last_y, reach, size, there, alike) - ANEW
    return np.maximum(np.maximum(on, anew), 0.0), anew > on


def _gain(x: Any, y: Any, spread: Any, size: Any, there: Any, alike: Any) -> Any:
    """Return the gain of places that are expected around (x, y), with a variance of `spread`."""
    wide = spread[:, None] + there[2]
    gap = ((x[:, None] - there[0]) ** 2 + (y[:, None] - there[1]) ** 2) / wide
    gain = alike - gap - 2 * (np.log(wide) - 2 * size[:, None])
    return np.where(gap <= GATE, gain, -np.inf)
