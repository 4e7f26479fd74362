"""How often a window's interval holds the truth at a source that had no part in estimating the model's errors (ADR 41).

From each source scenes of people are drawn, and the interval of each scene is made with the errors that all other
sources tell. There are two truths to hold:

- `passed`: whole photos are drawn, false alarms included; the truth is the share of masked people among those drawn.
- `place`: people are drawn one at a time, masked with a given probability; the truth is that probability.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from statistics import mean, median
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelling.evaluation.errors import LEAST_JUDGED, PhotoCounts, Sources, estimate
from proto.model_errors import ModelErrors
from services.statistics.proportions import Interval, wilson
from services.statistics.rate_interval import Judged, interval

Truth = Literal["passed", "place"]


class Scene(NamedTuple):
    """People judged masked, people judged, and the true share of masked people, 0 to 1."""

    masked: int
    judged: int
    truth: float


class Draw(NamedTuple):
    """A kind of scenes: which truth, how many people, and at `place` the share of masked ones; None: the source's."""

    truth: Truth
    people: int
    share: float | None = None


class Held(NamedTuple):
    """Scenes of one kind: the share whose interval holds the truth, and the interval's median width, 0 to 1.

    The same of Wilson's interval, which knows of no errors.
    """

    source: str
    draw: Draw
    held: float
    width: float
    held_by_chance: float
    width_by_chance: float


def passed(photos: Sequence[PhotoCounts], people: int, rng: np.random.Generator) -> Scene:
    """Return a scene of whole photos, drawn with replacement until they have so many annotated people."""
    drawn: list[PhotoCounts] = []
    here = 0
    while here < people:
        drawn.append(photos[int(rng.integers(len(photos)))])
        here += drawn[-1].masked.people + drawn[-1].others.people
    masked = sum(one.masked.right + one.others.judged - one.others.right + one.false_masked for one in drawn)
    judged = sum(one.masked.judged + one.others.judged + one.false_masked + one.false_others for one in drawn)
    return Scene(masked, judged, sum(one.masked.people for one in drawn) / here)


def at_place(photos: Sequence[PhotoCounts], share: float, people: int, rng: np.random.Generator) -> Scene:
    """Return a scene of people who are masked with this probability, and fare as those of the photos do."""
    masked = rng.binomial(people, share)
    ones = rng.multinomial(masked, fates(photos, masked=True))
    others = rng.multinomial(people - masked, fates(photos, masked=False))
    return Scene(int(ones[0] + others[0]), int(ones[:2].sum() + others[:2].sum()), share)


def fates(photos: Sequence[PhotoCounts], *, masked: bool) -> NDArray[np.float64]:
    """Return the shares of people of one kind who are judged masked, judged not masked, and not judged."""
    kinds = [one.masked if masked else one.others for one in photos]
    people, judged, right = (sum(kind[which] for kind in kinds) for which in range(3))
    ways = (right, judged - right) if masked else (judged - right, right)
    return np.array([*ways, people - judged]) / people if people else np.array([0.0, 0.0, 1.0])


def share_of(photos: Sequence[PhotoCounts]) -> float:
    """Return the share of masked people in the photos, 0 to 1."""
    masked = sum(one.masked.people for one in photos)
    return masked / (masked + sum(one.others.people for one in photos))


def has_both(photos: Sequence[PhotoCounts]) -> bool:
    """Return whether there are enough people of both kinds that any mixture of them can be drawn."""
    kinds = ([one.masked for one in photos], [one.others for one in photos])
    return all(sum(one.people for one in kind) >= LEAST_JUDGED for kind in kinds)


def _scene(photos: Sequence[PhotoCounts], draw: Draw, rng: np.random.Generator) -> Scene:
    if draw.truth == "passed":
        return passed(photos, draw.people, rng)
    return at_place(photos, share_of(photos) if draw.share is None else draw.share, draw.people, rng)


def _figures(scenes: Sequence[Scene], ends: Sequence[Interval | None]) -> tuple[float, float]:
    """Return the share of intervals that hold the truth, and their median width; a scene without any is left out."""
    rows = [(end, scene.truth) for end, scene in zip(ends, scenes, strict=True) if end is not None]
    return mean(low <= true <= high for (low, high), true in rows), median(high - low for (low, high), _ in rows)


def held(source: str, draw: Draw, scenes: Sequence[Scene], errors: ModelErrors) -> Held:
    """Return how often the intervals of these scenes, with these errors, hold their truth."""
    ends = cache(lambda masked, judged: interval(masked, [Judged(judged, errors)]))
    whole = _figures(scenes, [ends(scene.masked, scene.judged) for scene in scenes])
    return Held(source, draw, *whole, *_figures(scenes, [wilson(scene.masked, scene.judged) for scene in scenes]))


def check(sources: Sources, draws: Sequence[Draw], scenes: int, seed: int) -> Iterator[Held]:
    """Yield how often the intervals hold at each source, with the errors that the others tell, for each kind of scenes.

    A source without both kinds of people is left out where a share of masked people is given.
    """
    for number, (name, photos) in enumerate(sources.items()):
        errors = estimate({other: some for other, some in sources.items() if other != name})
        rng = np.random.default_rng([seed, number])
        for draw in draws:
            if draw.share is None or has_both(photos):
                yield held(name, draw, [_scene(photos, draw, rng) for _ in range(scenes)], errors)


def pooled(rows: Sequence[Held]) -> list[Held]:
    """Return the means over the sources, which weigh the same, for each kind of scenes; the width is a mean, too."""
    draws = dict.fromkeys(row.draw for row in rows)
    return [
        Held("all", draw, *map(mean, zip(*(row[2:] for row in rows if row.draw == draw), strict=True)))
        for draw in draws
    ]
