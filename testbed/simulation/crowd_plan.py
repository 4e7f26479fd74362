"""The plan of one camera: the people who pass, how much of each face is visible, and who counts; the truth as a file.

The same seed gives the same plan.
"""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec
import numpy as np
from msgspec import Struct

from proto.types import Box, Fraction, Nanoseconds, Verdict, ZoneId
from testbed.simulation.scenario import Mirror, Phase, Scenario
from testbed.simulation.walkers import (
    FACE,
    HEIGHT,
    WIDTH,
    WITH_STOP,
    PersonInPicture,
    Walker,
    companion,
    hung,
    seen,
    walker,
)

HEAD: Box = (154, 16, 301, 205)
BODY: Box = (52, 205, 330, 1150)
OUTLINE: Box = (16, 16, 368, 1150)
"""The parts of a figure at scale 1 that hide others: head and body; and the box around all of it."""
HALF = 0.5
"""If less of a face is visible, not everybody can recognise it as a face."""
STEP_S = 0.1
"""The time step of the truth."""
_BUCKET_S = 5.0
_GRID = tuple((i + 0.5) / 6 for i in range(6))


@dataclass(frozen=True, slots=True)
class PlannedFace:
    """One face in one picture.

    `box` is its part within the picture, in shares of the picture. `visible` is the share of the face that is within
    the picture and that nobody hides.
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
    """For how long the face was visible, in total."""
    hidden: float
    """The longest time in between in which it was not visible."""
    verdict: Verdict
    zone: ZoneId | None = None


@dataclass(frozen=True)
class Plan:
    """The people who pass one camera of the scenario."""

    scenario: Scenario
    walkers: tuple[Walker, ...]
    camera: int = 0

    @classmethod
    def drawn(cls, scenario: Scenario, camera: int = 0) -> "Plan":
        """Return the plan of the scenario's seed for one of its cameras."""
        source = np.random.default_rng([scenario.seed, camera])
        return cls(scenario, tuple(_walkers(source, scenario)), camera)

    @cached_property
    def _buckets(self) -> dict[int, list[Walker]]:
        """Everybody by the parts of the time in which they are on their way."""
        buckets: dict[int, list[Walker]] = defaultdict(list)
        for one in self.walkers:
            for index in range(int(one.enter_s // _BUCKET_S), int(one.leave_s // _BUCKET_S) + 1):
                buckets[index].append(one)
        return dict(buckets)

    def people(self, at_s: float) -> list[PersonInPicture]:
        """Return everybody on their way at a moment, the farthest first. Some may not be in the picture.

        Portraits on the wall come before them all.
        """
        here = [w for w in self._buckets.get(int(at_s // _BUCKET_S), ()) if w.enter_s <= at_s < w.leave_s]
        if (mirror := self.scenario.mirror) is not None:
            here = list(_mirrored(here, mirror, at_s))
        walking = sorted((seen(w, self.scenario.view, at_s) for w in here), key=lambda s: -s.distance_m)
        portraits = enumerate(self.scenario.portraits)
        return [*(hung(one, number) for number, one in portraits if one.is_shown(at_s)), *walking]

    def faces(self, at_s: float) -> list[PlannedFace]:
        """Return the faces in the picture of a moment, the farthest first; none if there is no picture or no light."""
        if self.scenario.is_out(at_s) or self.scenario.is_dark(at_s):
            return []
        everybody = self.people(self.scenario.shown_s(at_s))
        found = (_face(one, everybody[index + 1 :]) for index, one in enumerate(everybody) if one.walker.shows_face)
        return [face for face in found if face is not None]

    def passages(self, camera: str) -> list[Passage]:
        """Return a passage for each person who counts as seen, in the order of their last moments."""
        looks: dict[Walker, list[float]] = defaultdict(list)
        smallest = self.scenario.counting.smallest_px
        for at in self._moments():
            for face in self.faces(at):
                if face.visible >= HALF and face.size >= smallest and not face.walker.is_nobody:
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
            one = walker(source, at, _verdict(source, phase), scenario.people, scenario.view)
            yield one
            if scenario.people.meeting and len(one.points) == WITH_STOP and source.random() < scenario.people.meeting:
                yield companion(source, one, _verdict(source, phase), scenario.people)


def _mirrored(here: Sequence[Walker], mirror: Mirror, at_s: float) -> Iterator[Walker]:
    """Yield the people whom the mirror doesn't hide, and the reflections that it shows."""
    for one in here:
        x, z = one.place(at_s)
        if not mirror.covers(x, z):
            yield one
        if mirror.covers(2 * mirror.beside_m - x, z):
            yield one.reflected(mirror.beside_m)


def _verdict(source: np.random.Generator, phase: Phase) -> Verdict:
    luck = float(source.random())
    if luck < phase.masked:
        return "masked"
    return "incorrect" if luck < phase.masked + phase.incorrect else "unmasked"


def _face(one: PersonInPicture, nearer: Sequence[PersonInPicture]) -> PlannedFace | None:
    whole = one.part(FACE)
    x1, y1, x2, y2 = whole
    box = (max(x1, 0.0), max(y1, 0.0), min(x2, WIDTH), min(y2, HEIGHT))
    if box[0] >= box[2] or box[1] >= box[3]:
        return None
    hiding = [other for other in nearer if _overlap(other.part(OUTLINE), box)]
    visible = 1.0 if box == whole and not hiding else _free(whole, hiding)
    shares = (box[0] / WIDTH, box[1] / HEIGHT, box[2] / WIDTH, box[3] / HEIGHT)
    return PlannedFace(one.walker, shares, one.size, visible) if visible else None


def _free(face: Box, hiding: Sequence[PersonInPicture]) -> float:
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


class Arrivals(Struct, frozen=True, kw_only=True):
    """The random process of arrivals between two moments. A rate estimates its shares; chance decides who comes."""

    start: float
    end: float
    arrivals_per_minute: float
    masked: Fraction
    incorrect: Fraction


class Truth(Struct, frozen=True, kw_only=True):
    """The truth of a simulation. All times but `began` are seconds from the beginning."""

    scenario: str
    seed: int
    seconds: float
    began: Nanoseconds | None = None
    """The time of second 0 on the bus."""
    masked_share: Fraction | None
    """The share among those who come, by the whole process."""
    process: list[Arrivals]
    passages: list[Passage]
    """Everybody who counts as seen; `at` decides the window, as in the windows that are published."""

    @property
    def counts(self) -> dict[str, int]:
        """The number of people who count as seen, by what they wear."""
        counted = Counter(passage.verdict for passage in self.passages)
        return {name: counted[name] for name in ("masked", "unmasked", "incorrect")}

    def encoded(self) -> bytes:
        """Return it as indented JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"


def truth(name: str, scenario: Scenario, plans: Mapping[str, Plan], began: int | None = None) -> Truth:
    """Return the truth of these plans. `plans` are by camera."""
    passages = [passage for camera, plan in plans.items() for passage in plan.passages(camera)]
    process = [
        Arrivals(start=a, end=b, arrivals_per_minute=p.arrivals_per_minute, masked=p.masked, incorrect=p.incorrect)
        for a, b, p in scenario.process()
    ]
    return Truth(
        scenario=name,
        seed=scenario.seed,
        seconds=scenario.length_s,
        began=began,
        masked_share=scenario.masked_share(),
        process=process,
        passages=sorted(passages, key=lambda passage: (passage.at, passage.camera)),
    )
