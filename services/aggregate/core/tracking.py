"""One camera's tracker: which sightings are the same passer-by, from geometry alone.

Two-stage association, confident detections first (ByteTrack, Zhang et al. 2022), each stage an optimal assignment
(Jonker & Volgenant 1987, as in scipy). Pictures come every 200 ms and a face may move two of its sizes between two of
them, so boxes need not overlap: what counts is how well a place fits the track, as a log-likelihood.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from scipy.optimize import linear_sum_assignment

from proto.sightings import SightingV1
from services.aggregate.core.association import gains
from services.aggregate.core.geometry import Location, place
from services.aggregate.core.ground import Ground, Point
from services.aggregate.core.motion import Motion
from services.aggregate.core.passages import Evidence

HIGH_SCORE = 0.5
"""Detections from here on are matched first, and may begin a track."""
LOW_SCORE = 0.1
"""Weaker ones are noise."""
PLAIN = Ground()
"""A picture without areas and without a line."""
_SECOND = 1e-9


@dataclass(slots=True)
class Track:
    """One passer-by in view. Lives in RAM for seconds; has no id."""

    motion: Motion
    seen: Location
    """Where it was seen last, by the filter."""
    last: int
    evidence: Evidence
    hits: int = 0
    largest: float = 0.0
    """Its largest face, in picture widths."""
    net: int = 0
    """Crossings of the camera's line to its right, less those to its left."""
    zones: Counter[str] = field(default_factory=Counter)
    """Sightings by zone."""

    @property
    def zone(self) -> str:
        """The zone that it was in the longest; of two alike the first by name."""
        return min(self.zones, key=lambda zone: (-self.zones[zone], zone))

    def match(self, picture: "_Picture", face: "_Face", *, anew: bool) -> None:
        """Take a sighting in; `anew` if it does not go on as before."""
        if anew:
            self.motion = Motion.start(face.place)
        else:
            self.motion.correct(face.place)
        before, self.seen = self.seen, Location(self.motion.x, self.motion.y, self.motion.size)
        self.net += picture.ground.crossed(picture.point(before), picture.point(self.seen))
        self.hit(picture, face)

    def hit(self, picture: "_Picture", face: "_Face") -> None:
        """Count a sighting that motion and place know of already."""
        self.evidence.add(picture.model, face.sighting)
        self.hits += 1
        self.last = picture.at
        self.largest = max(self.largest, face.place.size)
        self.zones[picture.ground.zone_at(*picture.point(self.seen))] += 1


@dataclass(frozen=True, slots=True)
class _Picture:
    at: int
    aspect: float
    model: str
    ground: Ground

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

    def step(
        self,
        at: int,
        aspect: float,
        faces: Sequence[SightingV1],
        model: str,
        max_gap: int,
        ground: Ground = PLAIN,
    ) -> list[Track]:
        """Take one picture in; returns the tracks that ended before it, not seen for more than `max_gap` ns or gone
        out of the picture by now.

        A picture older than the last one (a new lease on a host whose clock is behind) ends every track. `ground` says
        what the picture shows where.
        """
        closed = self.close_before(at - max_gap if self._now is None or at >= self._now else None)
        self._predict(at)
        closed += self._gone(aspect)
        picture = _Picture(at, aspect, model, ground)
        strong, weak = _by_score(faces, aspect)
        left, born = self._associate(picture, self._tracks, strong)
        self._associate(picture, left, weak)
        self._tracks += [_begin(picture, face) for face in born]
        return closed

    def close_before(self, end: int | None) -> list[Track]:
        """End the tracks last seen before `end` (None: all) and return them, oldest first."""
        closed = [t for t in self._tracks if end is None or t.last < end]
        if closed:
            self._tracks = [t for t in self._tracks if end is not None and t.last >= end]
        return closed

    def _gone(self, aspect: float) -> list[Track]:
        """End the tracks that have walked out of the picture: whoever comes in at that edge next is somebody else."""
        gone = [t for t in self._tracks if not (0 <= t.motion.x <= 1 and 0 <= t.motion.y <= 1 / aspect)]
        if gone:
            self._tracks = [t for t in self._tracks if 0 <= t.motion.x <= 1 and 0 <= t.motion.y <= 1 / aspect]
        return gone

    def _predict(self, at: int) -> None:
        seconds = 0.0 if self._now is None else max(0, at - self._now) * _SECOND
        self._now = at
        for track in self._tracks:
            track.motion.predict(seconds)

    def _associate(self, picture: _Picture, tracks: list[Track], faces: list[_Face]) -> tuple[list[Track], list[_Face]]:
        """Match; returns the tracks and the faces that are left, in their order."""
        if not tracks or not faces:
            return tracks, faces
        unseen = [max(0, picture.at - t.last) * _SECOND for t in tracks]
        explained, anew = gains(tracks, unseen, [f.place for f in faces])
        rows, columns = linear_sum_assignment(explained, maximize=True)
        pairs = [(i, j) for i, j in zip(rows.tolist(), columns.tolist(), strict=True) if explained[i, j] > 0]
        for i, j in pairs:
            tracks[i].match(picture, faces[j], anew=bool(anew[i, j]))
        taken, used = {i for i, _ in pairs}, {j for _, j in pairs}
        left = [t for i, t in enumerate(tracks) if i not in taken]
        return left, [f for j, f in enumerate(faces) if j not in used]


def _by_score(faces: Sequence[SightingV1], aspect: float) -> tuple[list[_Face], list[_Face]]:
    """Return strong and weak faces in an order of their own: a message's order must change nothing."""
    ordered = sorted(faces, key=lambda s: (s.box, s.score, s.verdict, s.confidence))
    strong = [_Face(place(s.box, aspect), s) for s in ordered if s.score >= HIGH_SCORE]
    weak = [_Face(place(s.box, aspect), s) for s in ordered if LOW_SCORE <= s.score < HIGH_SCORE]
    return strong, weak


def _begin(picture: _Picture, face: _Face) -> Track:
    track = Track(Motion.start(face.place), face.place, picture.at, Evidence(picture.model))
    track.hit(picture, face)
    return track
