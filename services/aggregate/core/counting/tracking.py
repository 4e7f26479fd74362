"""One camera's tracker: links the sightings of the same passer-by, from geometry alone.

Each picture's faces are matched with the tracks by one optimal assignment (Jonker & Volgenant 1987, as in scipy);
ByteTrack's second one, for weak detections, had none to match (ADR 16). Pictures come every 200 ms. Between two of them
a face may move by two of its sizes, so boxes need not overlap. A match depends on how well a place fits the track, as a
log-likelihood.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import hypot

from scipy.optimize import linear_sum_assignment

from proto.sightings import SightingV1
from services.aggregate.core.config import SECOND
from services.aggregate.core.counting.evidence import Evidence, Person
from services.aggregate.core.counting.motion import Location, Motion, gains, place
from services.aggregate.core.counting.stillness import Beginning, Stillness
from services.aggregate.core.ground import Ground, Point

PLAIN = Ground()
"""A picture without areas and without a line."""
COVERED = SECOND
"""Who was seen at a place so long ago, or in the picture before, may be there still."""
KEPT = 180 * SECOND
"""A portrait that is hidden for so long is still where it was."""
BESIDE = 0.75
"""A box of a portrait that is far off is within this distance of it, in face sizes, and its size within this ratio."""
MAX_OUTLIERS = 2
"""So many boxes in a row may be far off; the next one is somebody's."""
BEFORE = 1.0
"""Who is so near a portrait, in its sizes, and between half and twice as large, is before it."""
FEW = 3
"""A track with fewer sightings that moved than this is a portrait: one box far off makes nobody of it."""
HOLD = 180 * SECOND
"""A person's track that has not moved for so long has ended: it has gone over to a portrait behind them."""
_SECOND = 1e-9
ANCHOR_RADIUS = 2.0
"""Who stays within so many face sizes of a place stands there: people who wait sway and step aside."""
STOOD = SECOND
"""Who has stood for so long (ns) stands: people who walk leave a spot sooner."""
AS_LONG, LONGEST = 6, 10
"""Who stands may be unseen for so many times as long as they stood, but for at most so many times `max_gap`: they have
turned away, bend down, are hidden by somebody, or the light is off. Who goes is seen to walk away."""


@dataclass(slots=True)
class Track:
    """One passer-by in view, or a portrait. Lives in RAM while it is seen, and for three minutes; has no id."""

    motion: Motion
    seen: Location
    """Where the filter placed it at the last sighting."""
    last: int
    beginning: Beginning
    stillness: Stillness
    person: Person
    """From the sightings before the last time it moved, but for those where it was still."""
    anchor: Location
    """Where it was at `since`; it has stayed near there ever since."""
    since: int
    is_waiting: bool = False
    """Whether the person stood at the last sighting."""
    hits: int = 0
    net: int = 0
    """Crossings of the camera's line to its right, minus those to its left."""
    outlier_boxes: int = 0
    """Boxes far off since it was last seen."""
    here: list[tuple[str, "_Face", str]] = field(default_factory=list)
    """The sightings since it last moved, each with its model and zone; none once it is still."""

    @property
    def is_portrait(self) -> bool:
        """Whether it is a portrait: a still face that was seen to move fewer than `FEW` times."""
        return self.stillness.is_still and self.person.hits < FEW

    @property
    def stayed(self) -> bool:
        """Whether it neither came nor went, if it ends where it was seen last."""
        return self.beginning.stayed(self.last, self.seen)

    def patience(self, max_gap: int) -> int:
        """Return for how long it may go unseen, in ns."""
        if self.is_portrait:
            return max_gap + KEPT
        return max(max_gap, min(AS_LONG * (self.last - self.since), LONGEST * max_gap)) if self.is_waiting else max_gap

    def match(self, picture: "_Picture", face: "_Face", *, restarts: bool) -> None:
        """Add a sighting; with `restarts` the motion begins again."""
        if restarts:
            self.motion = Motion.start(face.place)
        else:
            self.motion.correct(face.place)
        x, y, size = self.motion.x, self.motion.y, self.motion.size
        before, self.seen = self.seen, Location(x, y, size)
        right, down, near = x - self.anchor.x, y - self.anchor.y, ANCHOR_RADIUS * size
        if right * right + down * down > near * near:
            self.anchor, self.since = self.seen, picture.at
        self.net += picture.ground.crossed(picture.point(before), picture.point(self.seen))
        self.hit(picture, face)

    def hit(self, picture: "_Picture", face: "_Face") -> None:
        """Count a sighting that motion and place already include."""
        self.hits, self.outlier_boxes = self.hits + 1, 0
        self.last = picture.at
        was_portrait = self.is_portrait
        if self.stillness.moves(picture.at, face.place):
            self.collect()
        elif self.is_portrait and not was_portrait:
            self.person = Person(Evidence(picture.model))
        self.is_waiting = (
            picture.at - self.since >= STOOD and not self.is_portrait and not picture.covers_portrait(face.place)
        )
        if self.stillness.is_still:
            self.here.clear()
            self.person.evidence.judge_by(picture.model)
        else:
            self.here.append((picture.model, face, picture.ground.zone_at(*picture.point(self.seen))))

    def collect(self) -> Person:
        """Return what its sightings say about a person; where it was still they say nothing."""
        for model, face, zone in self.here:
            self.person.add(model, face.sighting, face.place.size, zone)
        self.here.clear()
        return self.person

    def has_ended(self, end: int) -> bool:
        """Return whether it was last seen before a moment; a portrait may be hidden for longer."""
        return self.last < (end - KEPT if self.is_portrait else end)

    def has_gone_over(self) -> bool:
        """Return whether it was a person, and has been a portrait since: they are gone, or sit as still as one."""
        is_over = self.stillness.is_still and self.last - self.stillness.since > HOLD
        return is_over and self.person.hits >= FEW


@dataclass(frozen=True, slots=True)
class _Picture:
    at: int
    aspect: float
    model: str
    ground: Ground
    portraits: list[Location]

    def covers_portrait(self, where: Location) -> bool:
        """Return whether a portrait is behind a face at this place."""
        return any(where.apart(one) <= BEFORE and 0.5 <= where.size / one.size <= 2 for one in self.portraits)

    def point(self, where: Location) -> Point:
        """Return a place in shares of the picture."""
        return where.x, where.y * self.aspect


@dataclass(frozen=True, slots=True)
class _Face:
    place: Location
    sighting: SightingV1


class Tracker:
    """The open tracks of one camera. Results depend on the pictures alone, not on the order of faces in them."""

    def __init__(self) -> None:
        self._tracks: list[Track] = []
        self._now: int | None = None
        self._before: int | None = None
        """The picture before that of `_now`."""

    def step(
        self,
        at: int,
        aspect: float,
        faces: Sequence[SightingV1],
        model: str,
        max_gap: int,
        ground: Ground = PLAIN,
    ) -> list[Track]:
        """Process one picture; return the tracks that ended before it.

        A track ends if it was unseen for more than `max_gap` ns (longer if the person stood), or is out of the picture
        by now. A picture older than the last one (a new lease on a host whose clock is behind) ends every track.
        `ground` holds the picture's zone areas and counting line.
        """
        back = self._now is not None and at < self._now
        missed = at - max_gap
        closed = self._end([t for t in self._tracks if back or (t.last < missed and t.last + t.patience(max_gap) < at)])
        self._predict(at)
        closed += self._end([t for t in self._tracks if _is_gone(t, aspect)])
        portraits = [t for t in self._tracks if t.is_portrait]
        picture = _Picture(at, aspect, model, ground, [t.seen for t in portraits])
        open_, hanging = self._uncovered(at)
        born = self._associate(picture, open_, _match_portraits(picture, hanging, _placed(faces, aspect)))
        self._tracks += [_begin(picture, face) for face in _without_outliers(picture, portraits, born)]
        return closed

    def close_before(self, end: int | None) -> list[Track]:
        """End the tracks last seen before `end` (None: all) and return them, oldest first; portraits stay longer."""
        return self._end([t for t in self._tracks if end is None or t.has_ended(end)])

    def _end(self, over: list[Track]) -> list[Track]:
        if over:
            ended = set(map(id, over))
            self._tracks = [track for track in self._tracks if id(track) not in ended]
        return over

    def _predict(self, at: int) -> None:
        seconds = 0.0 if self._now is None else max(0, at - self._now) * _SECOND
        self._before, self._now = self._now, at
        for track in self._tracks:
            if track.is_portrait:  # what noise made of its velocity would carry it away while it is hidden
                track.motion.vx = track.motion.vy = 0.0
            track.motion.predict(seconds)

    def _uncovered(self, at: int) -> tuple[list[Track], list[Track]]:
        """Return the tracks, and apart from them the portraits before which nobody was seen just now."""
        just_now = min(at - COVERED, self._before if self._before is not None else at)
        people = [t for t in self._tracks if not t.is_portrait and t.last >= just_now]
        hanging = {id(t) for t in self._tracks if t.is_portrait and not _is_covered(t, people)}
        return [t for t in self._tracks if id(t) not in hanging], [t for t in self._tracks if id(t) in hanging]

    def _associate(self, picture: _Picture, tracks: list[Track], faces: list[_Face]) -> list[_Face]:
        """Match tracks with faces; return the unmatched faces, in their order."""
        if not tracks or not faces:
            return faces
        unseen = [max(0, picture.at - t.last) * _SECOND for t in tracks]
        explained, restarts = gains(tracks, unseen, [f.place for f in faces])
        for i, track in enumerate(tracks):
            if track.is_portrait:  # it is nowhere else
                explained[i] *= [track.stillness.is_near(face.place) for face in faces]
        rows, columns = linear_sum_assignment(explained, maximize=True)
        pairs = [(i, j) for i, j in zip(rows.tolist(), columns.tolist(), strict=True) if explained[i, j] > 0]
        for i, j in pairs:
            tracks[i].match(picture, faces[j], restarts=bool(restarts[i, j]))
        used = {j for _, j in pairs}
        return [f for j, f in enumerate(faces) if j not in used]


def _placed(faces: Sequence[SightingV1], aspect: float) -> list[_Face]:
    """Return the faces with their places, sorted: their order in a message must change nothing."""
    ordered = sorted(faces, key=lambda s: (s.box, s.score, s.verdict, s.confidence))
    return [_Face(place(s.box, aspect), s) for s in ordered]


def _is_covered(hanging: Track, others: list[Track]) -> bool:
    """Return whether somebody who was seen just now is before a portrait: then a face there is theirs."""
    where = hanging.motion
    return any(hypot(t.motion.x - where.x, t.motion.y - where.y) <= t.motion.size / 2 for t in others)


def _match_portraits(picture: _Picture, tracks: list[Track], faces: list[_Face]) -> list[_Face]:
    """Match portraits with the faces that are where they hang; return the other faces.

    A portrait is nowhere else. So somebody who stops before it keeps their track, and does not take on its.
    """
    left = list(faces)
    for track in tracks:
        here = [face for face in left if track.last != picture.at and track.stillness.is_near(face.place)]
        if here:
            taken = min(here, key=lambda face: face.place.apart(track.seen))
            track.match(picture, taken, restarts=False)
            left = [face for face in left if face is not taken]
    return left


def _without_outliers(picture: _Picture, portraits: list[Track], faces: list[_Face]) -> list[_Face]:
    """Return the faces that are no outliers of a portrait, of which at most `MAX_OUTLIERS` in a row are left out."""
    left = []
    for face in faces:
        portrait = next((t for t in portraits if t.last < picture.at and _is_beside(face.place, t.seen)), None)
        if portrait is None or portrait.outlier_boxes == MAX_OUTLIERS:
            left.append(face)
        else:
            portrait.outlier_boxes += 1
    return left


def _is_beside(where: Location, seen: Location) -> bool:
    return where.apart(seen) <= BESIDE <= where.size / seen.size <= 1 / BESIDE


def _is_gone(track: Track, aspect: float) -> bool:
    """Return whether a track has left the picture (the next face to come in there is another person's), or was a
    person's and went over to a portrait.
    """
    is_out = not (0 <= track.motion.x <= 1 and 0 <= track.motion.y <= 1 / aspect)
    return is_out or track.has_gone_over()


def _begin(picture: _Picture, face: _Face) -> Track:
    at, where, person = picture.at, face.place, Person(Evidence(picture.model))
    beginning, still = Beginning(at, where), Stillness.start(at, where)
    track = Track(Motion.start(where), where, at, beginning, still, person, where, at)
    track.hit(picture, face)
    return track
