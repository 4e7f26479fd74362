"""Who comes past one camera, what of their faces is free at any moment, and who counts. Pure: a seed in, a plan out."""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from msgspec import Struct

from operate.simulation.demo.scene import FACE, HEIGHT, WIDTH
from operate.simulation.scenario import Phase, Scenario
from operate.simulation.walkers import Seen, Walker, seen, walker
from proto.types import Box, Verdict, ZoneId

HEAD: Box = (154, 16, 301, 205)
BODY: Box = (52, 205, 330, 1150)
FIGURE: Box = (16, 16, 368, 1150)
"""What of a figure at scale 1 hides others: head and body, and the box round all of it."""
HALF = 0.5
"""A face of which less is free can't be recognised as one by everybody."""
STEP_S = 0.1
"""How finely the truth is looked at."""
_BUCKET_S = 5.0
_GRID = tuple((i + 0.5) / 6 for i in range(6))


@dataclass(frozen=True, slots=True)
class Face:
    """One face in one picture: `box` is what lies in the picture, in shares of it; `visible` the share of the face that
    is in the picture and hidden by nobody.
    """

    walker: Walker
    box: Box
    size: float
    visible: float


class Passage(Struct, frozen=True, kw_only=True):
    """One person who counts as seen. Times are seconds from the beginning."""

    camera: str
    at: float
    """When the face was visible for the last time, which decides the window."""
    first: float
    visible: float
    """For how long, all in all."""
    hidden: float
    """The longest time without in between."""
    verdict: Verdict
    zone: ZoneId | None = None


@dataclass(frozen=True)
class Plan:
    """Who comes past one camera."""

    scenario: Scenario
    walkers: tuple[Walker, ...]
    _buckets: dict[int, list[Walker]]

    @classmethod
    def drawn(cls, scenario: Scenario, camera: int = 0) -> "Plan":
        """Return the plan of the scenario's seed for one of its cameras."""
        source = np.random.default_rng([scenario.seed, camera])
        walkers = tuple(_walkers(source, scenario))
        return cls(scenario, walkers, _by_time(walkers))

    def people(self, at_s: float) -> list[Seen]:
        """Return everybody on their way at a moment, the farthest first. Some may not be in the picture."""
        here = [w for w in self._buckets.get(int(at_s // _BUCKET_S), ()) if w.enter_s <= at_s < w.leave_s]
        return sorted((seen(w, self.scenario.view, at_s) for w in here), key=lambda s: -s.distance_m)

    def faces(self, at_s: float) -> list[Face]:
        """Return the faces that show in the picture of a moment, the farthest first; none where there is no picture."""
        if self.scenario.is_out(at_s):
            return []
        everybody = self.people(self.scenario.shown_s(at_s))
        found = (_face(one, everybody[index + 1 :]) for index, one in enumerate(everybody) if one.walker.shows_face)
        return [face for face in found if face is not None]

    def passages(self, camera: str) -> list[Passage]:
        """Return who counts as seen, in the order of their last moments."""
        looks: dict[Walker, list[float]] = defaultdict(list)
        for at in self._moments():
            for face in self.faces(at):
                if face.visible >= HALF and face.size >= self.scenario.counting.smallest_px:
                    looks[face.walker].append(at)
        found = [_passage(camera, w, times) for w, times in looks.items()]
        return sorted((p for p in found if p.visible >= self.scenario.counting.visible_s), key=lambda p: p.at)

    def _moments(self) -> Iterator[float]:
        """Yield the moments at which somebody may show."""
        for index in range(round(self.scenario.length_s / STEP_S)):
            at = round(index * STEP_S, 6)
            if int(self.scenario.shown_s(at) // _BUCKET_S) in self._buckets:
                yield at


def _walkers(source: np.random.Generator, scenario: Scenario) -> Iterator[Walker]:
    for start, end, phase in scenario.process():
        at = start
        while phase.arrivals_per_minute:
            at += float(source.exponential(60 / phase.arrivals_per_minute))
            if at >= end:
                break
            yield walker(source, at, _verdict(source, phase), scenario.people, scenario.view)


def _verdict(source: np.random.Generator, phase: Phase) -> Verdict:
    luck = float(source.random())
    if luck < phase.masked:
        return "masked"
    return "incorrect" if luck < phase.masked + phase.incorrect else "unmasked"


def _by_time(walkers: Sequence[Walker]) -> dict[int, list[Walker]]:
    buckets: dict[int, list[Walker]] = defaultdict(list)
    for one in walkers:
        for index in range(int(one.enter_s // _BUCKET_S), int(one.leave_s // _BUCKET_S) + 1):
            buckets[index].append(one)
    return dict(buckets)


def _face(one: Seen, nearer: Sequence[Seen]) -> Face | None:
    whole = one.part(FACE)
    x1, y1, x2, y2 = whole
    box = (max(x1, 0.0), max(y1, 0.0), min(x2, WIDTH), min(y2, HEIGHT))
    if box[0] >= box[2] or box[1] >= box[3]:
        return None
    hiding = [other for other in nearer if _overlap(other.part(FIGURE), box)]
    visible = 1.0 if box == whole and not hiding else _free(whole, hiding)
    shares = (box[0] / WIDTH, box[1] / HEIGHT, box[2] / WIDTH, box[3] / HEIGHT)
    return Face(one.walker, shares, one.size, visible) if visible else None


def _free(face: Box, hiding: Sequence[Seen]) -> float:
    """Return the share of the face's points that lie in the picture and behind nobody."""
    x1, y1, x2, y2 = face
    parts = [other.part(part) for other in hiding for part in (HEAD, BODY)]
    points = [(x1 + (x2 - x1) * i, y1 + (y2 - y1) * j) for i in _GRID for j in _GRID]
    free = [
        0 <= x < WIDTH and 0 <= y < HEIGHT and not any(a <= x <= c and b <= y <= d for a, b, c, d in parts)
        for x, y in points
    ]
    return sum(free) / len(free)


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _passage(camera: str, one: Walker, times: Sequence[float]) -> Passage:
    gaps = [b - a - STEP_S for a, b in itertools.pairwise(times)]
    return Passage(
        camera=camera,
        at=times[-1],
        first=times[0],
        visible=round(len(times) * STEP_S, 6),
        hidden=round(max(gaps, default=0.0), 6),
        verdict=one.verdict,
    )
