"""Whether a track is a static face or a person: a face that hangs on a wall is nobody (ADR 42).

A sighting is still if it lies where a static face is known to be, and within the detector's noise of the track's mean
place there; otherwise it is free. A person's track has some free sightings with hardly a still one between them. So a
walker who crosses the place is a person. So is somebody in front of it who moves more than a portrait does. A
portrait's track stays nobody when one box in a while is off.
"""

from dataclasses import dataclass, field

from services.aggregate.core.config import SECOND
from services.aggregate.core.motion import Location
from services.aggregate.core.places import Places
from services.aggregate.core.stills import between, is_at

CALM = 3
"""After so many still sightings in a row, the free ones before them count no longer."""
_MEMORY = 250
"""The mean place rests on about so many sightings."""
HOLD = 180 * SECOND
"""A person's track that has been still for so long has ended: what is seen since is the portrait behind."""


@dataclass(slots=True)
class Stillness:
    """What is known of a track's stillness."""

    free_at: int
    """When it was last seen free, ns."""
    free: int = 0
    """Free sightings with fewer than `CALM` still ones in a row between them, up to now."""
    most: int = 0
    """The most that this has been."""
    calm: int = 0
    """Still sightings in a row."""
    _born: Location | None = None
    _last: Location | None = None
    _mean: Location | None = None
    _known: int = 0
    _elsewhere: list[Location] = field(default_factory=list)

    def add(self, at: int, where: Location, places: Places) -> bool:
        """Add a sighting; return whether it is free."""
        self._born, self._last = self._born or where, where
        if self._is_still(where, places):
            self.calm += 1
            if self.calm >= CALM:
                self.free = 0
            return False
        self.calm, self.free_at = 0, at
        self.free += 1
        self.most = max(self.most, self.free)
        return True

    @property
    def is_static(self) -> bool:
        """Whether it is a static face, as far as its own sightings say."""
        return self.most == 0 and self.calm >= CALM

    def is_at_rest(self, where: Location) -> bool:
        """Return whether a face is at the track's mean place."""
        return self._mean is not None and is_at(where, self._mean)

    def has_ended(self, at: int) -> bool:
        """Return whether the track is a person who is gone, and has been resting on a portrait since."""
        return self.most > 0 and self.calm >= CALM and at - self.free_at > HOLD

    def settle(self, places: Places) -> bool:
        """Forget that it was free if it began, and is, where a static face has just become known; return whether."""
        rests = all(where is not None and places.hold(where) for where in (self._born, self._last))
        if rests:
            self.free = self.most = 0
        return rests

    def _is_still(self, where: Location, places: Places) -> bool:
        if not places.hold(where):
            return False
        if self._mean is None:
            self._mean, self._known = where, 1
            return True
        if self.is_at_rest(where):
            self._known = min(self._known + 1, _MEMORY)
            self._mean = between(self._mean, where, 1 / self._known)
            self._elsewhere = []
            return True
        self._move(where)
        return False

    def _move(self, where: Location) -> None:
        """Take on another mean place after `CALM` sightings in a row at one point: one in a while is the detector's."""
        if self._elsewhere and not is_at(where, self._elsewhere[0]):
            self._elsewhere = []
        self._elsewhere.append(where)
        if len(self._elsewhere) == CALM:
            self._mean, self._known, self._elsewhere = where, 1, []
