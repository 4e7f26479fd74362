"""Who walks past the demo's cameras, where and when, and what is therefore true. Pure: a seed in, a plan out.

Places are pixels of the film, times are seconds since its first picture.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import pi, sin

import numpy as np

WIDTH, HEIGHT = 640, 360
FIGURE = (364, 1180)
"""A person's width and height at scale 1."""
FACE = (166, 70, 260, 188)
"""A person's face at scale 1 within the figure, forehead to chin, when not flipped."""
Box = tuple[float, float, float, float]

PACE = 260.0
"""Walking speed at scale 1; a nearer lane is larger and faster alike."""
HEADWAY_S = 1.7
"""Between two people in one lane; keeps them more than their width apart."""
LEAD_S = 4.0
"""Nobody comes for so long: the cameras may be read before the first worker is ready."""
TAIL_S = 1.0
STEPS, BOB = 1.8, 8.0
"""Steps a second, and how far each lifts the head at scale 1."""


@dataclass(frozen=True, slots=True)
class Lane:
    """A row of people at one distance from the camera. The rows' faces lie above one another and never hide another."""

    top: float
    scale: float
    towards_right: bool


def lanes(*towards_right: bool) -> tuple[Lane, ...]:
    """Return the far, the middle and the near lane, each with its direction."""
    places = ((-2, 0.38), (60, 0.5), (138, 0.66))
    return tuple(Lane(top, scale, right) for (top, scale), right in zip(places, towards_right, strict=True))


INWARDS, OUTWARDS = lanes(True, True, True), lanes(False, False, False)
BOTH_WAYS = lanes(True, False, True)


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the film in which this share of the people wear a mask."""

    seconds: float
    masked_share: float


PHASES = (Phase(16, 0.25), Phase(22, 0.9))
"""First few masks, so that the alert fires; then many, so that it clears."""
GAP_S = 1.6
"""Between two arrivals at a camera, on average."""


@dataclass(frozen=True, slots=True)
class Walker:
    """One person crossing the picture once."""

    seed: int
    enter_s: float
    lane: Lane
    masked: bool

    @property
    def speed(self) -> float:
        """Pixels a second."""
        return PACE * self.lane.scale

    @property
    def size(self) -> tuple[float, float]:
        """The figure's width and height."""
        return FIGURE[0] * self.lane.scale, FIGURE[1] * self.lane.scale

    @property
    def flipped(self) -> bool:
        """Whether the figure is mirrored: people look where they go."""
        return self.lane.towards_right

    @property
    def leave_s(self) -> float:
        """When nothing of the figure is left in the picture."""
        return self.enter_s + (WIDTH + self.size[0]) / self.speed

    @property
    def seen_until_s(self) -> float:
        """When the face was fully in the picture for the last time: the passage's true time."""
        left, _, right, _ = self._face()
        distance = WIDTH + self.size[0] - right if self.lane.towards_right else WIDTH + left
        return self.enter_s + distance / self.speed

    def is_visible(self, at_s: float) -> bool:
        """Whether anything of the figure is in the picture."""
        return self.enter_s < at_s < self.leave_s

    def corner(self, at_s: float) -> tuple[float, float]:
        """Return the figure's left top corner: it moves evenly sideways and bobs with every step."""
        way = (at_s - self.enter_s) * self.speed
        x = way - self.size[0] if self.lane.towards_right else WIDTH - way
        return x, self.lane.top - BOB * self.lane.scale * abs(sin(pi * STEPS * at_s + self.seed))

    def stride(self, at_s: float) -> float:
        """Return how the legs stand, -1 to 1."""
        return sin(pi * STEPS * at_s + self.seed)

    def face(self, at_s: float) -> Box:
        """Return where the face is, inside the picture or not."""
        (x, y), (x1, y1, x2, y2) = self.corner(at_s), self._face()
        return x + x1, y + y1, x + x2, y + y2

    def shows_face(self, at_s: float) -> bool:
        """Whether the whole face is in the picture."""
        x1, y1, x2, y2 = self.face(at_s)
        return x1 >= 0 and y1 >= 0 and x2 <= WIDTH and y2 <= HEIGHT

    def _face(self) -> Box:
        x1, y1, x2, y2 = FACE
        if self.flipped:
            x1, x2 = FIGURE[0] - x2, FIGURE[0] - x1
        scale = self.lane.scale
        return x1 * scale, y1 * scale, x2 * scale, y2 * scale


@dataclass(frozen=True, slots=True)
class Truth:
    """What a perfect observer would have counted."""

    persons: int
    masked: int

    @property
    def rate(self) -> float | None:
        """The masked share; None of nobody."""
        return self.masked / self.persons if self.persons else None

    def __add__(self, other: "Truth") -> "Truth":
        """Return both together."""
        return Truth(self.persons + other.persons, self.masked + other.masked)


def plan(
    seed: int, rows: Sequence[Lane] = BOTH_WAYS, phases: Sequence[Phase] = PHASES, gap_s: float = GAP_S
) -> list[Walker]:
    """Return who walks past one camera, in the order of their coming; the same for the same seed."""
    source = np.random.default_rng(seed)
    walkers: list[Walker] = []
    start = LEAD_S
    free_from = dict.fromkeys(rows, 0.0)
    for phase in phases:
        times = list(_arrivals(source, start, phase.seconds, gap_s))
        for at, masked in zip(times, _masks(source, len(times), phase.masked_share), strict=True):
            lane = _free_lane(source, free_from, at)
            enter = max(at, free_from[lane])
            free_from[lane] = enter + HEADWAY_S
            walkers.append(Walker(int(source.integers(1 << 31)), enter, lane, masked))
        start += phase.seconds
    return sorted(walkers, key=lambda w: w.enter_s)


def _arrivals(source: np.random.Generator, start: float, seconds: float, gap_s: float) -> Iterator[float]:
    """Yield one time in each gap, somewhere in its middle two thirds."""
    for index in range(round(seconds / gap_s)):
        yield start + (index + float(source.uniform(1 / 6, 5 / 6))) * gap_s


def _masks(source: np.random.Generator, count: int, share: float) -> list[bool]:
    """Return who wears a mask: exactly that share, as nearly as whole people allow, in a random order."""
    return [bool(index < round(count * share)) for index in source.permutation(count)]


def _free_lane(source: np.random.Generator, free_from: dict[Lane, float], at: float) -> Lane:
    """Return a lane that is free, else the one that will be first."""
    free = [lane for lane, since in free_from.items() if since <= at]
    return free[int(source.integers(len(free)))] if free else min(free_from, key=lambda lane: free_from[lane])


def length_s(walkers: Sequence[Walker]) -> float:
    """Return how long the film is: nobody is in its first and last pictures."""
    return max((w.leave_s for w in walkers), default=LEAD_S) + TAIL_S


def truth(walkers: Sequence[Walker], start_s: float = 0.0, end_s: float = float("inf")) -> Truth:
    """Return how many people were seen for the last time from `start_s` on and before `end_s`."""
    seen = [w for w in walkers if start_s <= w.seen_until_s < end_s]
    return Truth(len(seen), sum(w.masked for w in seen))
