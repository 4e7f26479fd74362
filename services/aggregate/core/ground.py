"""The geometry of one camera's picture: areas that are zones of their own or ignored, and the counting line.

A face's position is the middle of its box, in shares of the picture's width and height.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from proto.sightings import SightingV1
from proto.types import WHOLE_SITE
from services.sites.settings import Counts, LineSettings, ZoneAreaSettings

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Ground:
    """A camera's zone, the areas of other zones in its picture, the counting line, the smallest face, ignored areas."""

    zone: str = WHOLE_SITE
    areas: Sequence[ZoneAreaSettings] = ()
    line: LineSettings | None = None
    min_size: float = 0.0
    """In picture widths; a track whose largest face is smaller makes no passage."""
    ignored: Sequence[Sequence[Point]] = ()
    """Areas in which nobody is counted."""
    zones: frozenset[str] = field(init=False)
    """All zones that the camera counts for, the whole site among them."""

    def __post_init__(self) -> None:
        """Derive the zones."""
        object.__setattr__(self, "zones", frozenset({self.zone, WHOLE_SITE, *(a.zone for a in self.areas)}))

    def zone_at(self, x: float, y: float) -> str:
        """Return the zone of a point: that of the first area around it, else the camera's own."""
        return next((area.zone for area in self.areas if encloses(area.area, x, y)), self.zone)

    def counted(self, faces: Sequence[SightingV1]) -> Sequence[SightingV1]:
        """Return the faces that are in no ignored area, in their order. They are left out before they are tracked."""
        if not self.ignored:
            return faces
        return [face for face in faces if not any(encloses(area, *_middle(face)) for area in self.ignored)]

    def crossed(self, before: Point, after: Point) -> int:
        """Return 1 where a step leads over the line from its left to its right, -1 where it leads back, else 0."""
        return 0 if self.line is None else crossing(self.line.start, self.line.end, before, after)

    def confirms(self, largest: float, net: int) -> bool:
        """Return whether a track with this largest face and sum of crossings is a passage.

        A person who turns back on the line is not a passage.
        """
        return largest >= self.min_size and (self.line is None or net in _COUNTED[self.line.counts])

    def late(self, faces: Sequence[SightingV1]) -> Counter[str]:
        """Return how many of these faces belong to each zone, the whole site included; ignored ones to none."""
        found: Counter[str] = Counter()
        for face in self.counted(faces):
            found.update({self.zone_at(*_middle(face)), WHOLE_SITE})
        return found


_COUNTED: dict[Counts, tuple[int, ...]] = {"both": (1, -1), "rightwards": (1,), "leftwards": (-1,)}


def _middle(face: SightingV1) -> Point:
    x1, y1, x2, y2 = face.box
    return (x1 + x2) / 2, (y1 + y2) / 2


def encloses(polygon: Sequence[Point], x: float, y: float) -> bool:
    """Return whether a polygon encloses a point: its winding number (Hormann & Agathos 2001) is not 0.

    Privacy areas are filled by the same rule: a point that a self-crossing edge goes round twice is inside too.
    """
    winding, (x1, y1) = 0, polygon[-1]
    for x2, y2 in polygon:
        side = (x2 - x1) * (y - y1) - (x - x1) * (y2 - y1)
        if y1 <= y < y2 and side > 0:
            winding += 1
        elif y2 <= y < y1 and side < 0:
            winding -= 1
        x1, y1 = x2, y2
    return winding != 0


def crossing(start: Point, end: Point, before: Point, after: Point) -> int:
    """Return 1 where the step from `before` to `after` crosses start-end from its left to its right, -1 back, else 0.

    Left and right are as seen when going from `start` to `end` in the picture. A point on the line counts as left, so a
    step onto the line and a step off it are together one crossing or none.
    """
    was, now = _right(start, end, before), _right(start, end, after)
    one, other = sorted((before, after))  # sorted: a step there and the same step back must give the same result
    if was == now or _right(one, other, start) == _right(one, other, end):
        return 0
    return 1 if now else -1


def _right(start: Point, end: Point, point: Point) -> bool:
    """Whether a point is on the right of start-end; the picture's y grows downwards."""
    return (end[0] - start[0]) * (point[1] - start[1]) - (end[1] - start[1]) * (point[0] - start[0]) > 0
