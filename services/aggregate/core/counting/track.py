"""One track: the sightings of a passer-by, or of a portrait, whose face is in view now."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from proto.sightings import SightingV1
from services.aggregate.core.config import SECOND
from services.aggregate.core.counting.evidence import Evidence, Person
from services.aggregate.core.counting.motion import Location, Motion, place
from services.aggregate.core.counting.stillness import Beginning, Stillness
from services.aggregate.core.ground import Ground, Point

PLAIN = Ground()
"""A picture without areas and without a line."""
KEPT = 180 * SECOND
"""A portrait may be hidden for so long (ns)."""
IN_FRONT = 1.0
"""A face within this distance of a portrait, in the portrait's sizes, and between half and twice as large, is in front
of it."""
FEW = 3
"""A still track that moved at fewer sightings than this is a portrait: one box far off makes no person of it."""
HOLD = 180 * SECOND
"""A person's track that has not moved for so long (ns) has ended: it follows a portrait behind the person by now."""
ANCHOR_RADIUS = 2.0
"""A person who stays within so many face sizes of a place is waiting there: people who wait sway and step aside."""
WAITED = SECOND
"""A person who has been there for so long (ns) is waiting: people who walk leave a place sooner."""
AS_LONG, LONGEST = 6, 10
"""A waiting person may be unseen for so many times as long as they have waited, but for at most so many times
`max_gap`: they have turned away, bend down, are hidden by somebody, or the light is off. A person who leaves is seen
to walk away."""


@dataclass(frozen=True, slots=True)
class LocatedFace:
    """A face of a picture: its place, and what inference found."""

    place: Location
    sighting: SightingV1


def faces_of(sightings: Sequence[SightingV1], aspect: float) -> list[LocatedFace]:
    """Return a picture's faces with their places, sorted: their order in a message must change nothing."""
    ordered = sorted(sightings, key=lambda s: (s.box, s.score, s.verdict, s.confidence))
    return [LocatedFace(place(s.box, aspect), s) for s in ordered]


@dataclass(frozen=True, slots=True)
class TrackedPicture:
    """A picture whose faces are matched: when it was taken (ns), its width by its height, model, ground, portraits."""

    at: int
    aspect: float
    model: str
    ground: Ground
    portraits: list[Location]
    """Where portraits are."""

    def covers_portrait(self, where: Location) -> bool:
        """Return whether a face at this place is in front of a portrait."""
        return any(where.apart(one) <= IN_FRONT and 0.5 <= where.size / one.size <= 2 for one in self.portraits)

    def point(self, where: Location) -> Point:
        """Return a place in shares of the picture."""
        return where.x, where.y * self.aspect


@dataclass(slots=True)
class Track:
    """One passer-by in view, or a portrait. Lives in RAM while it is seen, and for three minutes; has no id."""

    motion: Motion
    seen: Location
    """Where the filter placed it at the last sighting."""
    last: int
    """When it was seen last, ns."""
    beginning: Beginning
    stillness: Stillness
    person: Person
    """From the sightings before the last time it moved, but for those where it was still."""
    anchor: Location
    """Where it was at `since`; it has stayed near there ever since."""
    since: int
    is_waiting: bool = False
    """Whether the person was waiting at the last sighting."""
    hits: int = 0
    net: int = 0
    """Crossings of the camera's line to its right, minus those to its left."""
    outlier_boxes: int = 0
    """Boxes far off since it was last seen."""
    here: list[tuple[str, LocatedFace, str]] = field(default_factory=list)
    """The sightings since it last moved, each with its model and zone; none once it is still."""

    @classmethod
    def begin(cls, picture: TrackedPicture, face: LocatedFace) -> "Track":
        """Return the track that begins with a face."""
        at, where, person = picture.at, face.place, Person(Evidence(picture.model))
        beginning, still = Beginning(at, where), Stillness.start(at, where)
        track = cls(Motion.start(where), where, at, beginning, still, person, where, at)
        track.hit(picture, face)
        return track

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

    def is_lost(self, at: int, max_gap: int) -> bool:
        """Return whether it has been unseen for too long at `at`; both in ns."""
        return self.last < at - max_gap and self.last + self.patience(max_gap) < at

    def is_out(self, aspect: float) -> bool:
        """Return whether it has left the picture: the next face that comes in there is another person's."""
        return not (0 <= self.motion.x <= 1 and 0 <= self.motion.y <= 1 / aspect)

    def predict(self, seconds: float) -> None:
        """Advance its motion by a time in seconds."""
        if self.is_portrait:  # what noise made of its velocity would carry it away while it is hidden
            self.motion.vx = self.motion.vy = 0.0
        self.motion.predict(seconds)

    def match(self, picture: TrackedPicture, face: LocatedFace, *, restarts: bool) -> None:
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

    def hit(self, picture: TrackedPicture, face: LocatedFace) -> None:
        """Count a sighting that motion and place already include."""
        self.hits, self.outlier_boxes = self.hits + 1, 0
        self.last = picture.at
        was_portrait = self.is_portrait
        if self.stillness.moves(picture.at, face.place):
            self.collect()
        elif self.is_portrait and not was_portrait:
            self.person = Person(Evidence(picture.model))
        self.is_waiting = (
            picture.at - self.since >= WAITED and not self.is_portrait and not picture.covers_portrait(face.place)
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
