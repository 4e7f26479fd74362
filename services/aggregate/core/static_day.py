"""What a site tells of its static faces: as they were known at the end of a day's first window (ADR 42).

Told at once, a new place would tell that somebody had lain down there for long. A day later it tells only that
something was there for an hour of the day before. A camera that has just learnt tells at once (ADR 42 says when).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from proto.sightings import StaticCameraV1, StaticFacesV1
from proto.types import Profile
from services.aggregate.core.config import SECOND
from services.aggregate.core.places import Cell
from services.aggregate.core.static_faces import is_learning, is_learnt, place_of
from services.sites.profiles import PROFILES

DAY = 24 * 3_600 * SECOND


@dataclass(frozen=True, slots=True)
class Told:
    """The cells of one camera, as they were known at the end of a window (ns)."""

    at: int
    cells: tuple[Cell, ...]


class StaticDay:
    """What one site tells, by camera: nothing of one that is still learning, nor where the profile shows no camera."""

    def __init__(self) -> None:
        self._told: dict[str, Told] = {}

    def renew(self, known: StaticFacesV1, profile: Profile) -> None:
        """Take what was known at a window's end, for the cameras of which nothing of that day (UTC) was taken."""
        self._told = {camera.camera: self._of(camera, known.until) for camera in _shown(known, profile)}

    def told(self, profile: Profile) -> Mapping[str, Told]:
        """Return what the site tells under this profile, which may have changed since the last window's end."""
        return self._told if PROFILES[profile].cameras else {}

    def _of(self, camera: StaticCameraV1, until: int) -> Told:
        before = self._told.get(camera.camera)
        if before is not None and before.at // DAY == until // DAY:
            return before
        return Told(until, tuple(place_of(cell) for cell in camera.cells if is_learnt(cell)))


def _shown(known: StaticFacesV1, profile: Profile) -> Iterator[StaticCameraV1]:
    return (camera for camera in known.cameras if PROFILES[profile].cameras and not is_learning(camera))
