"""One person's way past a camera: the position on the ground, and the face's position in the picture. Pure.

The camera is a pinhole camera. Positions on the ground are in metres, to the right of the camera and away from it. The
picture is 640 x 360 pixels.
"""

from bisect import bisect_right
from dataclasses import dataclass, replace
from itertools import pairwise
from math import cos, exp, inf, pi, sin, sqrt

import numpy as np

from proto.types import Box, Verdict
from testbed.simulation.scenario import CameraView, Portrait, Walking

Point = tuple[float, float]
"""Metres to the right of the camera, and away from it."""

WIDTH, HEIGHT = 640, 360
"""The picture's size, in pixels."""
FIGURE = (364, 1180)
"""A drawn person's width and height at scale 1."""
FACE = (166, 70, 260, 188)
"""A person's face at scale 1 within the figure, forehead to chin, when not flipped."""
STEPS, BOB = 1.8, 8.0
"""Steps a second, and how far each lifts the head at scale 1."""
FOCAL = 0.9 * WIDTH
"""In pixels: a field of view of 58 degrees across."""
FACE_M = 0.17
"""A face's size, the root of width times height."""
UNIT = sqrt((FACE[2] - FACE[0]) * (FACE[3] - FACE[1]))
"""The face's size in the drawn figure at scale 1."""
TALL_M, SPREAD, BESIDE_M = 0.05, 0.2, 0.4
"""Spread of people's height; of their speed, as a share; and how far out of view they begin and end."""
BESIDE_EACH_M = 0.35
"""How far to the right and behind somebody walks who walks with another person."""
TURN_S, TURNS_PER_S = (0.5, 4.0), 0.05
"""How long somebody turns away or bends down, and how often beyond the first time."""
WITH_STOP = 4
"""Points of a way with a stop."""
EASE_S = 0.8
"""How long it takes to come to a stop, or to walk on."""
CLOSEST_PX = 400.0
"""If a face would grow beyond this size on its way out at the lower edge, the person leaves at a side."""


@dataclass(frozen=True, slots=True)
class Walker:
    """One person; `times[i]` is when they are at `points[i]`, and a point twice is a stop."""

    seed: int
    verdict: Verdict
    shows_face: bool
    tall_m: float
    times: tuple[float, ...]
    points: tuple[Point, ...]
    sway_m: float = 0.0
    """How far they move to and fro while they stand."""
    aside: tuple[tuple[float, float], ...] = ()
    """From when to when they are turned away or bent down."""
    is_reflection: bool = False
    hangs: bool = False
    """Whether it is a face on the wall."""

    @property
    def is_nobody(self) -> bool:
        """Whether it is a reflection or a portrait: it has a face, and must not count."""
        return self.is_reflection or self.hangs

    @property
    def enter_s(self) -> float:
        """When they set out. They are not in view yet, or too far away to be seen well."""
        return self.times[0]

    @property
    def leave_s(self) -> float:
        """When they are gone."""
        return self.times[-1]

    @property
    def flipped(self) -> bool:
        """Whether the figure is mirrored: people look where they go."""
        return self.points[-1][0] > self.points[0][0]

    def place(self, at_s: float) -> Point:
        """Return where on the ground they are at a moment between `enter_s` and `leave_s`."""
        index = self._leg(at_s)
        (x1, z1), (x2, z2) = self.points[index : index + 2]
        start, end = self.times[index : index + 2]
        if self.sway_m and (x1, z1) == (x2, z2):
            move = self.sway_m * min(1.0, at_s - start, end - at_s)
            return x1 + move * sin(at_s + self.seed % 7), z1 + move / 2 * cos(0.7 * at_s + self.seed % 5)
        done = self._done(index, at_s - start, end - start)
        return x1 + (x2 - x1) * done, z1 + (z2 - z1) * done

    def at(self, at_s: float) -> "Walker":
        """Return this person as they are at a moment: without a face while they are turned away or bent down."""
        turned = any(start <= at_s < end for start, end in self.aside)
        return replace(self, shows_face=False) if turned else self

    def reflected(self, beside_m: float) -> "Walker":
        """Return the reflection in an upright mirror at so many metres to the right of the camera."""
        points = tuple((2 * beside_m - x, z) for x, z in self.points)
        return replace(self, seed=self.seed ^ 1, points=points, is_reflection=True)

    def stride(self, at_s: float) -> float:
        """Return how the legs stand, -1 to 1; 0 of somebody who stands."""
        index = self._leg(at_s)
        stands = self.points[index] == self.points[index + 1]
        return 0.0 if stands else sin(pi * STEPS * at_s + self.seed % 7)

    def _done(self, index: int, passed: float, lasts: float) -> float:
        """Return the share of a leg walked so far: people slow down before a stop and speed up after it."""
        if index + 2 < len(self.points) and self.points[index + 1] == self.points[index + 2]:
            return _slowing(passed, lasts)
        if index and self.points[index - 1] == self.points[index]:
            return 1 - _slowing(lasts - passed, lasts)
        return passed / lasts

    def _leg(self, at_s: float) -> int:
        return min(max(0, bisect_right(self.times, at_s) - 1), len(self.times) - 2)


@dataclass(frozen=True, slots=True)
class PersonInPicture:
    """One person in one picture, in pixels. The face's centre and size, and the scale, are the drawn figure's."""

    walker: Walker
    distance_m: float
    x: float
    y: float
    size: float

    @property
    def scale(self) -> float:
        """How large the figure is drawn."""
        return self.size / UNIT

    def part(self, box: Box) -> Box:
        """Return where a part of the figure, given at scale 1, is in the picture."""
        scale, (x1, y1, x2, y2) = self.scale, box
        if self.walker.flipped:
            x1, x2 = FIGURE[0] - x2, FIGURE[0] - x1
        left, top = self.corner()
        return left + x1 * scale, top + y1 * scale, left + x2 * scale, top + y2 * scale

    def corner(self) -> Point:
        """Return the figure's left top corner."""
        x1, y1, x2, y2 = FACE
        middle = (x1 + x2) / 2
        across = FIGURE[0] - middle if self.walker.flipped else middle
        return self.x - across * self.scale, self.y - (y1 + y2) / 2 * self.scale


def seen(walker: Walker, view: CameraView, at_s: float) -> PersonInPicture:
    """Return a person's appearance in the picture at a moment of their way. It may be outside of the picture."""
    x, z = walker.place(at_s)
    size = FOCAL * FACE_M / z
    bob = BOB / UNIT * size * abs(walker.stride(at_s))
    y = view.horizon * HEIGHT + view.drop * size - walker.tall_m * FOCAL / z - bob
    return PersonInPicture(walker.at(at_s), z, WIDTH / 2 + FOCAL * x / z, y, size)


def hung(portrait: Portrait, number: int) -> PersonInPicture:
    """Return how a face on the wall looks at any moment; people are always before it."""
    nobody = Walker(number, portrait.verdict, True, 0.0, (0.0, inf), ((0.0, inf), (0.0, inf)), hangs=True)
    return PersonInPicture(nobody, inf, portrait.x * WIDTH, portrait.y * HEIGHT, portrait.px)


def walker(source: np.random.Generator, enter_s: float, verdict: Verdict, people: Walking, view: CameraView) -> Walker:
    """Return somebody who sets out at a moment; the way, the pace and a stop are drawn from `source`."""
    kind = float(source.random())
    towards, away = kind < people.towards, people.towards <= kind < people.towards + people.away
    way = _across(source, view) if not (towards or away) else _towards(source, view)
    points = _with_stop(source, people, list(reversed(way)) if away else way)
    speed = people.speed * exp(SPREAD * float(np.clip(source.standard_normal(), -2, 2)))
    tall = TALL_M * float(np.clip(source.standard_normal(), -2, 2))
    stop_s = 1.0 + float(source.exponential(max(people.stop_s - 1.0, 0.1)))
    times = [enter_s]
    for (x1, z1), (x2, z2) in pairwise(points):
        length = sqrt((x2 - x1) ** 2 + (z2 - z1) ** 2)
        eased = min(EASE_S, length / speed) / 2 if len(points) > 2 else 0.0
        times.append(times[-1] + (length / speed + eased if length else stop_s))
    seed = int(source.integers(1 << 31))
    aside = _turns(source, people, times[0], times[-1])
    if people.leaving and len(times) == WITH_STOP and source.random() < people.leaving:
        aside = (*aside, (times[2], times[3]))
    return Walker(seed, verdict, not away, tall, tuple(times), tuple(points), people.sway_m, aside)


def companion(source: np.random.Generator, one: Walker, verdict: Verdict, people: Walking) -> Walker:
    """Return somebody who meets a person at their stop, coming from where that one goes, and walks on with them.

    They walk beside each other, a step apart.
    """
    halt, end = ((x + BESIDE_EACH_M, z + BESIDE_EACH_M) for x, z in one.points[2:])
    _, arrives, goes, gone = one.times
    enters = arrives - (gone - goes) * exp(SPREAD * float(np.clip(source.standard_normal(), -2, 2)))
    tall = TALL_M * float(np.clip(source.standard_normal(), -2, 2))
    seed = int(source.integers(1 << 31))
    times, aside = (enters, arrives, goes, gone), _turns(source, people, enters, gone)
    return Walker(seed, verdict, one.shows_face, tall, times, (end, halt, halt, end), people.sway_m, aside)


def _turns(
    source: np.random.Generator, people: Walking, enters: float, leaves: float
) -> tuple[tuple[float, float], ...]:
    """Return when somebody turns away or bends down: at least once if at all."""
    if not people.turning or source.random() >= people.turning:
        return ()
    starts = source.uniform(enters, leaves, 1 + int(source.poisson((leaves - enters) * TURNS_PER_S)))
    return tuple((start, start + float(source.uniform(*TURN_S))) for start in sorted(starts.tolist()))


def _across(source: np.random.Generator, view: CameraView) -> list[Point]:
    """Return a way from one side to the other, at about one distance. Fewer people fit in near the camera."""
    near, far = _distance(view.nearest_px), _distance(view.farthest_px)
    begin = float(source.uniform(near, far))
    end = min(max(begin * exp(float(source.uniform(-0.2, 0.2))), near), far)
    side = 1 if source.random() < 0.5 else -1
    return [(side * _beside(begin), begin), (-side * _beside(end), end)]


def _towards(source: np.random.Generator, view: CameraView) -> list[Point]:
    """Return a way from afar to the camera: out at the lower edge, or past it at a side."""
    near, far = _distance(view.nearest_px), _distance(view.farthest_px)
    begin = (float(source.uniform(-0.8, 0.8)) * (_beside(far) - BESIDE_M), far)
    below_px = (1.05 - view.horizon) * HEIGHT / (view.drop - 1.25)  # then even a tall person's face has left
    if source.random() < 0.5 and view.farthest_px < below_px < CLOSEST_PX:
        below = _distance(below_px)
        return [begin, (float(source.uniform(-0.6, 0.6)) * (_beside(below) - BESIDE_M), below)]
    end = min(near * exp(float(source.uniform(0, 0.5))), far)
    return [begin, ((1 if source.random() < 0.5 else -1) * _beside(end), end)]


def _with_stop(source: np.random.Generator, people: Walking, way: list[Point]) -> list[Point]:
    """Return the way, with a stop or without one. The point of a stop occurs twice."""
    stops, share = source.random() < people.stopping, float(source.uniform(0.25, 0.75))
    if not stops:
        return way
    (x1, z1), (x2, z2) = way
    halt = (x1 + (x2 - x1) * share, z1 + (z2 - z1) * share)
    return [way[0], halt, halt, way[1]]


def _slowing(passed: float, lasts: float) -> float:
    """Return the share of a leg walked so far, at constant speed with a constant slowing down to a stop at its end."""
    slow = min(EASE_S, lasts * 2 / 3)
    pace = 1 / (lasts - slow / 2)
    left = lasts - passed
    return pace * passed if left >= slow else 1 - pace * left * left / (2 * slow)


def _distance(size_px: float) -> float:
    return FOCAL * FACE_M / size_px


def _beside(distance: float) -> float:
    """Return how far to the side somebody at this distance is out of view."""
    return distance * WIDTH / 2 / FOCAL + BESIDE_M
