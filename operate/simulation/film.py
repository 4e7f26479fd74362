"""The film of a simulation: the demo's hall and figures, drawn where the plan has them."""

from collections.abc import Iterator
from dataclasses import replace
from math import log

from PIL import Image

from operate.simulation.cutouts import Cutouts
from operate.simulation.demo.backdrop import backdrop
from operate.simulation.demo.people import Figure, Look
from operate.simulation.demo.scene import HEIGHT, WIDTH
from operate.simulation.plan import Plan
from operate.simulation.walkers import Seen, Walker

_STANCES = 6
_STEP = 1.03
"""Figures are drawn at sizes this factor apart, so that one who comes nearer is not drawn for every picture."""
_MARGIN = 80
"""A figure reaches this far below the picture, since its top may be above it."""


class Cast:
    """The drawn people; each is drawn once per size and stance, and forgotten when gone. `cutouts` are their heads."""

    def __init__(self, cutouts: Cutouts | None) -> None:
        self._cutouts = cutouts
        self._figures: dict[tuple[Walker, int], Figure] = {}
        self._pictures: dict[tuple[Walker, int, int], Image.Image] = {}

    def put(self, picture: Image.Image, one: Seen, at_s: float) -> None:
        """Draw a person into the picture."""
        step = round(log(one.scale) / log(_STEP))
        drawn = Seen(one.walker, one.distance_m, one.x, one.y, one.size * _STEP**step / one.scale)
        person = self._picture(one.walker, step, drawn.scale, at_s)
        x, y = drawn.corner()
        picture.paste(person, (round(x), round(y)), person)

    def _picture(self, walker: Walker, step: int, scale: float, at_s: float) -> Image.Image:
        figure = self._figure(walker, step, scale)
        stance = round((walker.stride(at_s) + 1) / 2 * (_STANCES - 1)) if figure.shows_legs else 0
        key = (walker, step, stance)
        if key not in self._pictures:
            self._pictures[key] = figure.picture(2 * stance / (_STANCES - 1) - 1)
        return self._pictures[key]

    def _figure(self, walker: Walker, step: int, scale: float) -> Figure:
        key = (walker, step)
        if key not in self._figures:
            head = self._cutouts.head(walker) if self._cutouts is not None and walker.shows_face else None
            self._figures[key] = Figure(look(walker), scale, HEIGHT + _MARGIN, head)
        return self._figures[key]

    def forget(self, at_s: float) -> None:
        """Drop everybody who has left."""
        self._figures = {k: figure for k, figure in self._figures.items() if k[0].leave_s > at_s}
        self._pictures = {k: picture for k, picture in self._pictures.items() if k[0].leave_s > at_s}


def look(walker: Walker) -> Look:
    """Return how a person looks; what is worn is all that the verdict changes."""
    worn = Look.drawn(walker.seed, masked=walker.verdict != "unmasked", flipped=walker.flipped)
    return replace(worn, low=walker.verdict == "incorrect", turned=not walker.shows_face)


def pictures(plan: Plan, cutouts: Cutouts | None = None) -> Iterator[Image.Image]:
    """Yield the film's pictures; nearer people stand before farther ones."""
    scenario = plan.scenario
    empty, cast = backdrop(scenario.seed), Cast(cutouts)
    for index in range(count(plan)):
        at = index / scenario.fps
        if scenario.is_out(at):
            yield Image.new("RGB", (WIDTH, HEIGHT))
            continue
        shown = scenario.shown_s(at)
        picture = empty.copy()
        for one in plan.people(shown):
            cast.put(picture, one, shown)
        if index % 32 == 0:
            cast.forget(shown)
        yield _lit(picture, scenario.light(at))


def count(plan: Plan) -> int:
    """Return how many pictures the film has."""
    return round(plan.scenario.length_s * plan.scenario.fps)


def _lit(picture: Image.Image, level: float) -> Image.Image:
    return picture if level == 1 else picture.point([min(255, round(value * level)) for value in range(256)] * 3)
