"""Whether a face is as still as a portrait on a wall: what never moves is no passage (ADR 42).

A portrait is seen at one point and in one size, within the detector's noise. People move more than that, also those who
stand, sit or sleep. The median of the last few sightings takes most of the noise away: one box that is far off changes
nothing.
"""

from collections import deque
from dataclasses import dataclass, field
from math import hypot, log2

from services.aggregate.core.config import SECOND
from services.aggregate.core.motion import Location

SPREAD = 0.035
"""How far the median of a still face may be from its mean place, in face sizes."""
SIZE_SPREAD = 0.12
"""The same for its size, in octaves."""
NOISE = 1.7
"""How much farther off a single sighting of it may be."""
STILL = 10 * SECOND
"""After so long at one point a face is still: people look into a camera for some seconds without stirring."""
_RECENT = 5
"""The median is that of so many sightings: of a second, at five pictures a second."""
_MEMORY = 100
"""The mean place rests on about so many sightings: after the 300 s that a replay begins earlier, none before counts."""


@dataclass(slots=True)
class Stillness:
    """Where one track is, and since when it has not moved."""

    since: int
    """Its first sighting at this point, ns."""
    until: int
    """Its last sighting, ns."""
    _mean: Location
    _known: int = 0
    _recent: deque[Location] = field(default_factory=lambda: deque(maxlen=_RECENT))

    @classmethod
    def start(cls, at: int, where: Location) -> "Stillness":
        """Return that of a face that is seen for the first time."""
        return cls(at, at, where)

    def moves(self, at: int, where: Location) -> bool:
        """Add a sighting; return whether the face has moved since the ones before."""
        self._recent.append(where)
        middle = _median(self._recent)
        self.until = at
        if self._is_at(middle):
            self._known = min(self._known + 1, _MEMORY)
            self._mean = _between(self._mean, middle, 1 / self._known)
            return False
        self.since, self._mean, self._known = at, middle, 1
        return True

    @property
    def is_still(self) -> bool:
        """Whether it is as still as a portrait."""
        return self.until - self.since >= STILL

    def is_near(self, where: Location) -> bool:
        """Return whether a single sighting is where the face is, within a portrait's noise."""
        return self._is_at(where, NOISE)

    def _is_at(self, where: Location, noise: float = 1.0) -> bool:
        mean = self._mean
        apart = hypot(where.x - mean.x, where.y - mean.y) / mean.size
        return apart <= noise * SPREAD and abs(log2(where.size / mean.size)) <= noise * SIZE_SPREAD


def _median(some: deque[Location]) -> Location:
    middle = len(some) // 2
    x, y, size = (sorted(values)[middle] for values in zip(*((one.x, one.y, one.size) for one in some), strict=True))
    return Location(x, y, size)


def _between(a: Location, b: Location, part: float) -> Location:
    """Return the place that is this part of the way from one to another."""
    return Location(a.x + part * (b.x - a.x), a.y + part * (b.y - a.y), a.size + part * (b.size - a.size))
