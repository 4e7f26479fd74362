"""One camera's window and the faces that stay where they are: finer sums, in memory until it closes (ADR 42).

A spot begins with a face in the window's first seconds. It lasts if a face is there in the last seconds too, in a good
part of the pictures between, and if a face that is near it is mostly exactly there. A portrait does that, also when
people walk past it. Somebody who sits does not stay so near one point; somebody who sleeps does not come back to it
after having moved.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, log2

from proto.sightings import SightingV1
from services.aggregate.core.config import SECOND
from services.aggregate.core.motion import Location, place

SPREAD = 0.08
"""How far a static face may be from its mean place, in face sizes: several times the detector's noise on a portrait."""
SIZE_SPREAD = 0.12
"""The same for its size, in octaves."""
EDGE = 10 * SECOND
"""A spot must be seen within so long after a window's first picture, and before its last one."""
SHARE = 0.1
"""The share of the pictures in which it must be seen at least."""
PURITY = 0.5
"""Of the pictures with a face at the spot or within a face's size of it: the share with one at the spot, at least."""
MOST = 64
"""So many spots are looked at; those that were seen least are dropped."""
WEAKEST, BEGINS = 0.1, 0.5
"""Detections below the first score are noise; those of at least the second one begin a spot."""
_SIFT = 256
"""Hopeless spots are dropped every so many pictures."""


def is_at(where: Location, mean: Location) -> bool:
    """Return whether a face is where a static face with this mean place would be, within the detector's noise."""
    return _apart(where, mean) <= SPREAD and _sizes_apart(where, mean) <= SIZE_SPREAD


def _apart(a: Location, b: Location) -> float:
    """Return the distance of two faces, in sizes of the second one."""
    return hypot(a.x - b.x, a.y - b.y) / b.size


def _sizes_apart(a: Location, b: Location) -> float:
    return abs(log2(a.size / b.size))


@dataclass(slots=True)
class Spot:
    """A point at which a face was seen, and how often since."""

    mean: Location
    last: int
    hits: int = 1
    beside: int = 0
    """Pictures with no face at the spot, but one beside it."""

    def look(self, at: int, found: list[Location]) -> Location | None:
        """Return the face of a picture that is at the spot, nearest first; None if there is none."""
        near = [one for one in found if abs(one.x - self.mean.x) <= self.mean.size]
        here = [one for one in near if is_at(one, self.mean)]
        if here:
            taken = min(here, key=lambda one: _apart(one, self.mean))
            self._take(at, taken)
            return taken
        self.beside += any(_apart(one, self.mean) <= 1 and _sizes_apart(one, self.mean) <= 1 for one in near)
        return None

    def _take(self, at: int, where: Location) -> None:
        self.hits += 1
        self.last = max(self.last, at)
        self.mean = between(self.mean, where, 1 / self.hits)


def between(a: Location, b: Location, part: float) -> Location:
    """Return the place that is this part of the way from one to another."""
    return Location(a.x + part * (b.x - a.x), a.y + part * (b.y - a.y), a.size + part * (b.size - a.size))


class Stills:
    """The spots of one camera's window."""

    def __init__(self) -> None:
        self._spots: list[Spot] = []
        self._pictures = self._first = self._last = 0

    def add(self, at: int, aspect: float, faces: Sequence[SightingV1]) -> None:
        """Count a picture of this aspect (width / height)."""
        self._first = self._first if self._pictures else at
        self._last = max(self._last, at)
        self._pictures += 1
        is_early = at <= self._first + EDGE
        if not (faces and (is_early or self._spots)):
            return
        found = _places(faces, aspect, WEAKEST)
        for spot in self._spots:
            if (taken := spot.look(at, found)) is not None:
                found.remove(taken)
        if is_early:
            begin = _places(faces, aspect, BEGINS)
            self._spots += [Spot(one, at) for one in found if one in begin]
            self._spots = self._ordered()[:MOST]
        elif self._pictures % _SIFT == 0:
            self._spots = [spot for spot in self._spots if spot.hits >= SHARE / 2 * self._pictures]

    def lasting(self) -> list[Location]:
        """Return the mean places of the spots that lasted, those seen most often first."""
        return [spot.mean for spot in self._ordered() if self._lasts(spot)]

    def _lasts(self, spot: Spot) -> bool:
        return (
            spot.last >= self._last - EDGE
            and spot.hits >= SHARE * self._pictures
            and spot.hits >= PURITY * (spot.hits + spot.beside)
        )

    def _ordered(self) -> list[Spot]:
        """Return the spots, those seen most often and last first; no order of faces in a message changes it."""
        return sorted(self._spots, key=lambda spot: (-spot.hits, -spot.last, spot.mean.x, spot.mean.y, spot.mean.size))


def _places(faces: Sequence[SightingV1], aspect: float, least: float) -> list[Location]:
    """Return where the faces with at least this score are, in order: theirs in a message must change nothing."""
    found = (place(face.box, aspect) for face in faces if face.score >= least)
    return sorted(found, key=lambda one: (one.x, one.y, one.size))
