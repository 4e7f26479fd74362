"""Whether a face is as still as a portrait on a wall: what never moves is no passage (ADR 42). And whether a person,
who is a passage, stayed where they were found (ADR 9).

A portrait is seen at one point and in one size, within the detector's noise. People move more than that, also those who
stand, sit or sleep. The median of the last few sightings takes most of the noise away: one box that is far off changes
nothing.
"""

from collections import deque
from dataclasses import dataclass, field
from math import log2

from services.aggregate.core.config import SECOND
from services.aggregate.core.counting.motion import Location

SPREAD = 0.035
"""How far the median of a still face may be from its mean place, in face sizes."""
SIZE_SPREAD = 0.12
"""The same for its size, in octaves."""
NOISE = 1.7
"""How much farther off a single sighting of it may be."""
STILL = 10 * SECOND
"""Seen for so long at one point a face is still: people look into a camera for some seconds without stirring."""
MAX_GAP = SECOND
"""Time between two sightings is time in which the face was seen, up to this. While it is hidden it may move."""
_RECENT = 5
"""The median is that of so many sightings: of a second, at five pictures a second."""
_MEMORY = 20 * SECOND
"""The mean place rests on about so much time: of what was before the 300 s by which a replay begins earlier, nothing is
left."""
_SAME_SIZE = 0.75
"""Who comes nearer or goes away changes in size by more than this ratio."""
_LASTED = 3 * SECOND
"""Who was seen for less (ns) may have walked towards the camera: that shows in a face's size after some steps alone."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """When (ns) and where a track was seen first."""

    at: int
    where: Location

    def stayed(self, last: int, where: Location) -> bool:
        """Return whether a face that is lost at `where`, seen `last` (ns), neither came nor went.

        It is lost within one size of where it was found, hardly larger or smaller, after three seconds or more.
        """
        is_there = where.apart(self.where) <= 1 and _SAME_SIZE <= where.size / self.where.size <= 1 / _SAME_SIZE
        return is_there and last - self.at >= _LASTED


@dataclass(slots=True)
class Stillness:
    """Where one track is, and for how long it has been seen there without moving."""

    since: int
    """Its first sighting where it is, ns."""
    last: int
    """Its last sighting, ns."""
    _mean: Location
    held: int = 0
    """For how long it was seen where it is, ns."""
    _known: int = 0
    _recent: deque[Location] = field(default_factory=lambda: deque(maxlen=_RECENT))

    @classmethod
    def start(cls, at: int, where: Location) -> "Stillness":
        """Return that of a face that is seen for the first time."""
        return cls(at, at, where)

    def moves(self, at: int, where: Location) -> bool:
        """Add a sighting; return whether the face has moved since the ones before."""
        self._recent.append(where)
        middle, passed, self.last = _median(self._recent), min(at - self.last, MAX_GAP), at
        if self._is_at(middle):
            self.held += passed
            self._known += 1
            self._mean = _between(self._mean, middle, max(1 / self._known, passed / _MEMORY))
            return False
        self.since, self.held, self._mean, self._known = at, 0, middle, 1
        return True

    @property
    def is_still(self) -> bool:
        """Whether it is as still as a portrait."""
        return self.held >= STILL

    def is_near(self, where: Location) -> bool:
        """Return whether a single sighting is where the face is, within a portrait's noise."""
        return self._is_at(where, NOISE)

    def _is_at(self, where: Location, noise: float = 1.0) -> bool:
        mean = self._mean
        return where.apart(mean) <= noise * SPREAD and abs(log2(where.size / mean.size)) <= noise * SIZE_SPREAD


def _median(some: deque[Location]) -> Location:
    """Return the median of each number; of an even number of them the mean of the two in the middle."""
    x, y, size = sorted([one.x for one in some]), sorted([one.y for one in some]), sorted([one.size for one in some])
    low, high = (len(x) - 1) // 2, len(x) // 2
    return Location((x[low] + x[high]) / 2, (y[low] + y[high]) / 2, (size[low] + size[high]) / 2)


def _between(a: Location, b: Location, part: float) -> Location:
    """Return the place that is this part of the way from one to another."""
    return Location(a.x + part * (b.x - a.x), a.y + part * (b.y - a.y), a.size + part * (b.size - a.size))
