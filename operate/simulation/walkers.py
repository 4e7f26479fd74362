"""One person's way past a camera. Pure: where somebody is on the ground, and where the face is in the picture.

A pinhole camera: the ground is in metres, to the right of the camera and away from it; the picture is that of the demo,
640 x 360 pixels.
"""

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from math import exp, pi, sin, sqrt

import numpy as np

from operate.simulation.demo.scene import BOB, FACE, FIGURE, HEIGHT, STEPS, WIDTH
from operate.simulation.scenario import People, View
from proto.types import Box, Verdict

Point = tuple[float, float]
"""Metres to the right of the camera, and away from it."""

FOCAL = 0.9 * WIDTH
"""In pixels: a field of view of 58 degrees across."""
FACE_M = 0.17
"""A face's size, the root of width times height."""
UNIT = sqrt((FACE[2] - FACE[0]) * (FACE[3] - FACE[1]))
"""The face's size in the drawn figure at scale 1."""
TALL_M, SPREAD, BESIDE_M = 0.05, 0.2, 0.4
"""Spread of people's height; of their speed, as a share; and how far out of view they begin and end."""


EASE_S = 0.8
"""How long it takes to come to a stop, or to walk on."""
CLOSEST_PX = 400.0
"""Who would have to come closer than this to leave at the lower edge leaves at a side."""


@dataclass(frozen=True, slots=True)
class Walker:
    """One person; `times[i]` is when they are at `points[i]`, and a point twice is a stop."""

    seed: int
    verdict: Verdict
    shows_face: bool
    tall_m: float
    times: tuple[float, ...]
    points: tuple[Point, ...]

    @property
    def enter_s(self) -> float:
        """When they set out, not in view yet or too far away to be seen well."""
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
        done = self._done(index, at_s - start, end - start)
        return x1 + (x2 - x1) * done, z1 + (z2 - z1) * done

    def stride(self, at_s: float) -> float:
        """Return how the legs stand, -1 to 1; 0 of somebody who stands."""
        index = self._leg(at_s)
        stands = self.points[index] == self.points[index + 1]
        return 0.0 if stands else sin(pi * STEPS * at_s + self.seed % 7)

    def _done(self, index: int, passed: float, lasts: float) -> float:
        """Return the share of a leg that is behind somebody: before a stop they slow down, after it they speed up."""
        if index + 2 < len(self.points) and self.points[index + 1] == self.points[index + 2]:
            return _slowing(passed, lasts)
        if index and self.points[index - 1] == self.points[index]:
            return 1 - _slowing(lasts - passed, lasts)
        return passed / lasts

    def _leg(self, at_s: float) -> int:
        return min(max(0, bisect_right(self.times, at_s) - 1), len(self.times) - 2)


@dataclass(frozen=True, slots=True)
class Seen:
    """One person in one picture. Pixels; the face's centre and size, and the figure's scale, are those of the demo's
    figure.
    """

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


def seen(walker: Walker, view: View, at_s: float) -> Seen:
    """Return how a person appears in the picture at a moment of their way; perhaps outside of it."""
    x, z = walker.place(at_s)
    size = FOCAL * FACE_M / z
    bob = BOB / UNIT * size * abs(walker.stride(at_s))
    y = view.horizon * HEIGHT + view.drop * size - walker.tall_m * FOCAL / z - bob
    return Seen(walker, z, WIDTH / 2 + FOCAL * x / z, y, size)


def walker(source: np.random.Generator, enter_s: float, verdict: Verdict, people: People, view: View) -> Walker:
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
    return Walker(int(source.integers(1 << 31)), verdict, not away, tall, tuple(times), tuple(points))


def _across(source: np.random.Generator, view: View) -> list[Point]:
    """Return a way from one side to the other, at about one distance: the nearer, the fewer people fit in."""
    near, far = _distance(view.nearest_px), _distance(view.farthest_px)
    begin = float(source.uniform(near, far))
    end = min(max(begin * exp(float(source.uniform(-0.2, 0.2))), near), far)
    side = 1 if source.random() < 0.5 else -1
    return [(side * _beside(begin), begin), (-side * _beside(end), end)]


def _towards(source: np.random.Generator, view: View) -> list[Point]:
    """Return a way from afar to the camera: out at the lower edge, or past it at a side."""
    near, far = _distance(view.nearest_px), _distance(view.farthest_px)
    begin = (float(source.uniform(-0.8, 0.8)) * (_beside(far) - BESIDE_M), far)
    below_px = (1.05 - view.horizon) * HEIGHT / (view.drop - 1.25)  # then even a tall person's face has left
    if source.random() < 0.5 and view.farthest_px < below_px < CLOSEST_PX:
        below = _distance(below_px)
        return [begin, (float(source.uniform(-0.6, 0.6)) * (_beside(below) - BESIDE_M), below)]
    end = min(near * exp(float(source.uniform(0, 0.5))), far)
    return [begin, ((1 if source.random() < 0.5 else -1) * _beside(end), end)]


def _with_stop(source: np.random.Generator, people: People, way: list[Point]) -> list[Point]:
    """Return the way with a point twice where somebody stops on it."""
    stops, share = source.random() < people.stopping, float(source.uniform(0.25, 0.75))
    if not stops:
        return way
    (x1, z1), (x2, z2) = way
    halt = (x1 + (x2 - x1) * share, z1 + (z2 - z1) * share)
    return [way[0], halt, halt, way[1]]


def _slowing(passed: float, lasts: float) -> float:
    """Return the share of a leg walked when it is walked evenly but for its end, which evenly slows down to a stop."""
    slow = min(EASE_S, lasts * 2 / 3)
    pace = 1 / (lasts - slow / 2)
    left = lasts - passed
    return pace * passed if left >= slow else 1 - pace * left * left / (2 * slow)


def _distance(size_px: float) -> float:
    return FOCAL * FACE_M / size_px


def _beside(distance: float) -> float:
    """Return how far to the side somebody at this distance is out of view."""
    return distance * WIDTH / 2 / FOCAL + BESIDE_M
