"""Motion model of faces, and the gain of matching a face to a track, which the assignment maximises.

The filter of a face's centre is a constant-velocity Kalman filter (Kalman 1960; the white-acceleration model of
Bar-Shalom et al., "Estimation with Applications to Tracking and Navigation", 2001, §6.2). Places are in picture widths,
so that x and y can be compared whatever the picture's aspect. They have the same noise, so one 2x2 covariance serves
both. All noise scales with the face's size: a face twice as near moves twice as many picture widths, and its detection
jitters twice as much.

Explanations compete, as in a multiple-model tracker (Blom & Bar-Shalom 1988). In the first, a person walks on and is
where the filter predicts. In the second, the person has stopped, turned or come out from behind somebody. Then they
may be anywhere near the last sighting, and farther from it the longer ago it was. The second explanation costs more,
and begins the motion again. For a person who waits it costs nothing, and they are still where they wait, however long
ago that was. (OC-SORT, Cao et al. 2023, found that a tracker at few pictures a second needs the last seen place beside
the prediction.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, log, sqrt
from typing import Any, Protocol

import numpy as np

from proto.types import Box


@dataclass(frozen=True, slots=True)
class Location:
    """Position of a face: its centre and its size (the geometric mean of its sides), all in picture widths."""

    x: float
    y: float
    size: float

    def apart(self, other: "Location") -> float:
        """Return the distance of two faces, in sizes of the other one."""
        return hypot(self.x - other.x, self.y - other.y) / other.size


SMALLEST = 1e-4
"""Size of a box without area, so that nothing divides by zero."""


def place(box: Box, aspect: float) -> Location:
    """Return the place of a normalised box in a picture of this aspect (width / height)."""
    x1, y1, x2, y2 = box
    size = sqrt(max(0.0, x2 - x1) * max(0.0, y2 - y1) / aspect)
    return Location((x1 + x2) / 2, (y1 + y2) / 2 / aspect, max(size, SMALLEST))


JITTER = 0.25
"""Standard deviation of a measured centre, in face sizes: errors of the detector, and heads that nod and bob."""
SPEED = 5.0
"""Standard deviation of an unknown velocity, in face sizes a second: at 5 pictures a second people move 1-2 sizes."""
ACCELERATION = 2.5
"""Square root of the spectral density of the acceleration, in face sizes a second^1.5."""
_SIZE_GAIN = 0.5


@dataclass(slots=True)
class Motion:
    """Position, velocity and their covariance [[a, b], [b, c]], in picture widths and seconds."""

    x: float
    y: float
    size: float
    vx: float
    vy: float
    a: float
    b: float
    c: float

    @classmethod
    def start(cls, seen: Location) -> "Motion":
        """Return the motion of a face seen once: its place is known, its velocity is not."""
        return cls(seen.x, seen.y, seen.size, 0.0, 0.0, (JITTER * seen.size) ** 2, 0.0, (SPEED * seen.size) ** 2)

    def predict(self, seconds: float) -> None:
        """Advance by a time in seconds."""
        self.x += self.vx * seconds
        self.y += self.vy * seconds
        q = (ACCELERATION * self.size) ** 2 * seconds
        self.a += seconds * (2 * self.b + seconds * (self.c + q / 3))
        self.b += seconds * (self.c + q / 2)
        self.c += q

    def correct(self, seen: Location) -> None:
        """Update with a measured location."""
        spread = self.a + (JITTER * seen.size) ** 2
        gain_x, gain_v = self.a / spread, self.b / spread
        dx, dy = seen.x - self.x, seen.y - self.y
        self.x += gain_x * dx
        self.y += gain_x * dy
        self.vx += gain_v * dx
        self.vy += gain_v * dy
        self.c -= gain_v * self.b
        self.b -= gain_x * self.b
        self.a -= gain_x * self.a
        self.size += _SIZE_GAIN * (seen.size - self.size)


GATE = 16.0
"""Squared Mahalanobis distance beyond which a place does not fit: 99.97 % of a two-dimensional normal distribution."""
SIZE_RATIO = 0.22
"""Standard deviation of the logarithm of a face's size between two pictures."""
UNMATCHED = 10.0
"""Cost of leaving a track and a face unmatched, on the scale of twice the negative log-likelihood."""
REACH = 2.0
"""How far a person who changed course may be from the last place: standard deviation in face sizes after one second. It
grows with the square root of the time."""
COURSE_COST = 6.0
"""Cost of the explanation that a person changed course, on the same scale."""
STILL = 0.45
"""How far a person who waits may be from the last place: standard deviation in face sizes, however long ago it was."""
STILL_RATIO = 0.15
"""As `SIZE_RATIO`, of a person who waits: they come no nearer."""
CROWD = 8
"""From so many faces in a picture on, the cost of leaving one unmatched falls by the logarithm of their number: where
many are, many come, so that a new face is likelier to be a new person's."""


class Followed(Protocol):
    """A track: its motion, the location at which it was last seen, and whether the person waits there."""

    motion: Motion
    seen: Location

    @property
    def is_waiting(self) -> bool:
        """Whether the person was waiting at the last sighting."""
        ...


def gains(tracks: Sequence[Followed], unseen_s: Sequence[float], faces: Sequence[Location]) -> tuple[Any, Any]:
    """Return two arrays, tracks x faces: a match's gain (0: none, or outside the gate), and if the motion restarts.

    The gain is twice the log-likelihood against leaving both unmatched (the score of Blackman & Popoli, "Design and
    Analysis of Modern Tracking Systems", 1999, §6.2). An established track's narrow prediction beats a new track's wide
    one. `unseen_s` is how long ago each track was seen, in seconds.
    """
    crowd = UNMATCHED - log(max(1.0, len(faces) / CROWD))
    known = [_known(track, unseen, crowd) for track, unseen in zip(tracks, unseen_s, strict=True)]
    x, y, spread, size, last_x, last_y, reach, ratio, unmatched, again = np.array(known).T[:, :, None]
    there = np.array([(f.x, f.y, (JITTER * f.size) ** 2, log(f.size)) for f in faces]).T
    unlike = (size - there[3]) / ratio
    alike = unmatched + 4 * size - unlike * unlike
    on = _gain(x, y, spread, there, alike)
    restarts = _gain(last_x, last_y, reach, there, alike) - again
    return np.maximum(np.maximum(on, restarts), 0.0), restarts > on


def _known(track: Followed, unseen_s: float, crowd: float) -> tuple[float, ...]:
    """Return where a track is expected, by both explanations, and what it costs: a row of numbers."""
    motion, seen = track.motion, track.seen
    size = motion.size
    on = motion.x, motion.y, motion.a, log(size), seen.x, seen.y
    if track.is_waiting:
        return *on, STILL * STILL * size * size, STILL_RATIO, UNMATCHED, 0.0
    return *on, REACH * REACH * size * size * unseen_s, SIZE_RATIO, crowd, COURSE_COST


def _gain(x: Any, y: Any, spread: Any, there: Any, alike: Any) -> Any:
    """Return the gain of places that are expected around (x, y), with a variance of `spread`; tracks are columns."""
    wide, right, down = spread + there[2], x - there[0], y - there[1]
    gap = (right * right + down * down) / wide
    return np.where(gap <= GATE, alike - gap - 2 * np.log(wide), -np.inf)
