"""A wall with portraits, and people before it, as a detector would tell of them: what hangs, who walks, sits or sleeps.

Noise is the shipped model's, as measured (docs/adr/0042-faces-on-walls.md). Sizes and places are in picture widths; the
picture is 16:9.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import exp, pi, sin, sqrt
from typing import Any, NamedTuple

from proto.sightings import CODES, SightingsV1, SightingV1, TickV1
from proto.types import Verdict

ASPECT = 16 / 9
JITTER, MISSED = 0.01, 0.05
"""Of a still face: standard deviation of its middle and its size, in its size; share of the pictures that miss it."""
Seen = tuple[float, float, float, Verdict]
"""A face: its middle, its size, its verdict."""


def sighting(x: float, y: float, size: float, verdict: Verdict, score: float = 0.9) -> SightingV1:
    """Return a sighting of a face; x, y and size in picture widths."""
    half = size / 2
    box = (x - half, (y - half) * ASPECT, x + half, (y + half) * ASPECT)
    one, two, three, four = (min(1.0, max(0.0, side)) for side in box)
    return SightingV1((one, two, three, four), CODES[verdict], score, 0.95)


@dataclass
class Wander:
    """A number that wanders about 0 (an Ornstein-Uhlenbeck process): its spread, and how long it remembers, s."""

    rng: random.Random
    spread: float
    lasts_s: float
    value: float = 0.0
    _at: float | None = None

    def at(self, moment: float) -> float:
        """Return it at a moment; moments come in order."""
        stays = 0.0 if self._at is None else exp(-(moment - self._at) / self.lasts_s)
        self._at = moment
        self.value = stays * self.value + sqrt(1 - stays * stays) * self.rng.gauss(0, self.spread)
        return self.value


@dataclass
class Walker:
    """Somebody who walks past, and may stand for a while on the way."""

    start: float
    way: int
    speed: float
    y: float
    size: float
    verdict: Verdict
    stop_at: float = 2.0
    stop_s: float = 0.0
    hits: int = 0

    def x(self, at: float) -> float:
        """Return where they are, in picture widths; outside of 0..1 they are out of view."""
        passed = at - self.start
        before = self.stop_at / self.speed
        walked = passed if passed < before else max(before, passed - self.stop_s)
        return walked * self.speed if self.way > 0 else 1 - walked * self.speed


def walkers(rng: random.Random, seconds: float, per_minute: float, masked: float = 0.6) -> list[Walker]:
    """Return people who come at random, at the heights and sizes of the portraits or a bit nearer."""
    found, at = list[Walker](), 0.0
    while per_minute and (at := at + rng.expovariate(per_minute / 60)) < seconds - 15:
        size, way = rng.uniform(0.03, 0.07), rng.choice((-1, 1))
        verdict: Verdict = "masked" if rng.random() < masked else "unmasked"
        found.append(Walker(at, way, size * rng.uniform(1.5, 6.0), rng.uniform(0.12, 0.3), size, verdict))
    return found


def hides(walker: Walker, at: float, x: float, y: float, size: float) -> bool:
    """Return whether somebody's head or body is before a portrait."""
    apart, below = abs(walker.x(at) - x), y - walker.y
    is_head = apart < 0.6 * walker.size + 0.3 * size and abs(below) < 0.7 * walker.size + 0.3 * size
    return is_head or (below > 0 and apart < 1.2 * walker.size)


@dataclass
class Wall:
    """Portraits, and people who walk past them. `others` add faces of their own, by the moment."""

    seed: int
    seconds: float
    per_minute: float = 20.0
    portraits: list[Seen] = field(
        default_factory=lambda: [(0.1 + 0.2 * n, 0.2 + 0.01 * n, 0.035 + 0.004 * n, "unmasked") for n in range(5)]
    )
    missed: float = MISSED
    jitter: float = JITTER
    fps: float = 5.0
    more: list[Walker] = field(default_factory=list)
    others: list[Callable[[float], Seen | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Draw the people."""
        self.rng = random.Random(self.seed)
        people = [*walkers(random.Random(f"{self.seed}/people"), self.seconds, self.per_minute), *self.more]
        self.people = sorted(people, key=lambda one: one.start)

    def pictures(self) -> Iterator[tuple[float, list[SightingV1]]]:
        """Yield each picture's moment, s, and its faces."""
        here, coming = list[Walker](), list(self.people)
        for step in range(round(self.seconds * self.fps)):
            at = step / self.fps
            while coming and coming[0].start <= at:
                here.append(coming.pop(0))
            here = [one for one in here if 0 <= one.x(at) <= 1]
            faces = [self._person(one, at, here) for one in here]
            faces += [self._portrait(*one, at, here) for one in self.portraits]
            faces += [self._still(*one) for other in self.others if (one := other(at)) is not None]
            yield at, [face for face in faces if face is not None]

    def _person(self, one: Walker, at: float, here: list[Walker]) -> SightingV1 | None:
        x, jitter = one.x(at), 0.08 * one.size
        hidden = any(o.size > one.size and hides(o, at, x, one.y, one.size) for o in here if o is not one)
        if hidden or self.rng.random() < 0.1:
            return None
        one.hits += 1
        verdict = one.verdict if self.rng.random() < 0.95 else "unknown"
        return sighting(x + self.rng.gauss(0, jitter), one.y + self.rng.gauss(0, jitter), one.size, verdict)

    def _portrait(
        self, x: float, y: float, size: float, verdict: Verdict, at: float, here: list[Walker]
    ) -> SightingV1 | None:
        return None if any(hides(one, at, x, y, size) for one in here) else self._still(x, y, size, verdict)

    def _still(self, x: float, y: float, size: float, verdict: Verdict) -> SightingV1 | None:
        if self.rng.random() < self.missed:
            return None
        off = [self.rng.gauss(0, self.jitter * size) for _ in range(3)]
        return sighting(x + off[0], y + off[1], size + off[2], verdict)


def cashier(
    rng: random.Random, x: float, y: float, size: float, break_s: float = 1_200.0
) -> Callable[[float], Seen | None]:
    """Return somebody who sits at a till: leans, turns away, and leaves for minutes now and then."""
    leans = [Wander(rng, 0.3 * size, 5.0), Wander(rng, 0.15 * size, 5.0)]
    state = {"gone": 0.0, "turned": 0.0, "at": 0.0}

    def look(at: float) -> Seen | None:
        passed, state["at"] = at - state["at"], at
        if at >= state["gone"] and rng.random() < passed / break_s:
            state["gone"] = at + rng.uniform(60, 300)
        if at >= state["turned"] and rng.random() < passed / 15:
            state["turned"] = at + rng.uniform(0.5, 5)
        places = [lean.at(at) for lean in leans]
        return None if at < max(state["gone"], state["turned"]) else (x + places[0], y + places[1], size, "unmasked")

    return look


def sleeper(
    rng: random.Random, x: float, y: float, size: float, shift_s: float = 600.0, until: float = 1e9
) -> Callable[[float], Seen | None]:
    """Return somebody who sleeps on a bench: breathes, sinks a little, and shifts every ten minutes or so; at the end
    they get up and walk away.
    """
    sinks = [Wander(rng, 0.02 * size, 30.0), Wander(rng, 0.02 * size, 30.0)]
    state = {"x": x, "y": y, "at": 0.0, "hidden": 0.0}

    def look(at: float) -> Seen | None:
        passed, state["at"] = at - state["at"], at
        if rng.random() < passed / shift_s:
            state["x"], state["y"] = x + rng.gauss(0, 0.3 * size), y + rng.gauss(0, 0.3 * size)
        if rng.random() < passed / 120:
            state["hidden"] = at + rng.uniform(0.5, 5)
        breath = 0.02 * size * sin(2 * pi * at / 4)
        walked = max(0.0, at - until) * size * 3
        if at < state["hidden"] or state["x"] + walked > 1:
            return None
        return state["x"] + sinks[0].at(at) + walked, state["y"] + sinks[1].at(at) + breath, size, "masked"

    return look


SECOND = 1_000_000_000
START = 1_700_000_000 // 3_600 * 3_600 * SECOND
"""A full hour, at which the first picture comes."""


class Message(NamedTuple):
    """A stored message, as far as aggregate's core looks at it."""

    message: Any
    sequence: int
    time: int
    stream_created: int


def stream(wall: Wall, camera: str = "door", after_s: float = 10.0, first: int = 0) -> Iterator[Message]:
    """Yield a site's stream: a picture is stored 50 ms after its event, a tick comes every second, and some at the end.

    Sequences begin after `first`.
    """
    number, period = first, round(SECOND / wall.fps)
    for at, faces in wall.pictures():
        moment = START + round(at * SECOND)
        seen = SightingsV1(
            site="market", camera=camera, lease=1, sequence=number, at=moment, period=period, aspect=ASPECT,
            model="masks-1", model_sha256="a" * 64, faces=faces,
        )  # fmt: skip
        number += 1
        yield Message(seen, number, moment + SECOND // 20, START - SECOND)
        if at % 1 == 0:
            number += 1
            yield Message(TickV1(site="market"), number, moment + SECOND // 20, START - SECOND)
    for after in range(round(after_s)):
        number += 1
        yield Message(TickV1(site="market"), number, START + round((wall.seconds + after) * SECOND), START - SECOND)
