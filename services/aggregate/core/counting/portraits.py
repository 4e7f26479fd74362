"""Portraits: still faces on walls and screens. Their faces are taken out of a picture before people are matched.

A portrait is nowhere else. So a person who stops in front of it keeps their track, and does not take over its.
"""

from collections.abc import Sequence
from math import hypot

from services.aggregate.core.config import SECOND
from services.aggregate.core.counting.motion import Location
from services.aggregate.core.counting.track import LocatedFace, Track, TrackedPicture

COVERED = SECOND
"""A person who was seen in front of a portrait so long ago (ns), or in the picture before, may be there still."""
BESIDE = 0.75
"""A box of a portrait that is far off is within this distance of it, in face sizes, and its size within this ratio."""
MAX_OUTLIERS = 2
"""So many boxes in a row may be far off a portrait; the next one is a person's."""


class Portraits:
    """The portraits among a camera's tracks as they are when a picture comes."""

    def __init__(self, tracks: Sequence[Track], at: int, before: int | None) -> None:
        """Take them from `tracks`. `at` is when the picture was taken, `before` when the one before it was; ns."""
        self._all = [track for track in tracks if track.is_portrait]
        just_now = min(at - COVERED, at if before is None else before)
        people = [track for track in tracks if not track.is_portrait and track.last >= just_now]
        self._visible = [track for track in self._all if not _is_covered(track, people)]

    @property
    def places(self) -> list[Location]:
        """Where they were seen last."""
        return [track.seen for track in self._all]

    def others(self, tracks: Sequence[Track]) -> list[Track]:
        """Return the tracks that may be anywhere: people, and portraits that a person covers."""
        visible = set(map(id, self._visible))
        return [track for track in tracks if id(track) not in visible]

    def take_out(self, picture: TrackedPicture, faces: Sequence[LocatedFace]) -> list[LocatedFace]:
        """Match visible portraits with the faces that are where they are; return the other faces."""
        left = list(faces)
        for track in self._visible:
            here = [face for face in left if track.last != picture.at and track.stillness.is_near(face.place)]
            if here:
                taken = min(here, key=lambda face: face.place.apart(track.seen))
                track.match(picture, taken, restarts=False)
                left = [face for face in left if face is not taken]
        return left

    def without_outliers(self, picture: TrackedPicture, faces: Sequence[LocatedFace]) -> list[LocatedFace]:
        """Return the faces that are no box far off an unseen portrait; at most `MAX_OUTLIERS` in a row are left out."""
        left = []
        for face in faces:
            portrait = next((t for t in self._all if t.last < picture.at and _is_beside(face.place, t.seen)), None)
            if portrait is None or portrait.outlier_boxes == MAX_OUTLIERS:
                left.append(face)
            else:
                portrait.outlier_boxes += 1
        return left


def _is_covered(portrait: Track, people: Sequence[Track]) -> bool:
    """Return whether one of these people is in front of a portrait: then a face there is theirs."""
    where = portrait.motion
    return any(hypot(t.motion.x - where.x, t.motion.y - where.y) <= t.motion.size / 2 for t in people)


def _is_beside(where: Location, seen: Location) -> bool:
    return where.apart(seen) <= BESIDE <= where.size / seen.size <= 1 / BESIDE
