"""The film of a simulation: a market hall and figures, drawn at the positions of the plan, encoded by PyAV."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from math import log
from pathlib import Path

import av
import numpy as np
from PIL import Image

from testbed.simulation.backdrop import backdrop
from testbed.simulation.crowd_plan import Plan
from testbed.simulation.cutouts import Cutouts
from testbed.simulation.people import Appearance, PersonDrawing
from testbed.simulation.walkers import HEIGHT, WIDTH, PersonInPicture, Walker

_OPTIONS = {"preset": "ultrafast", "crf": "20"}
_STANCES = 6
_STEP = 1.03
"""Figures are drawn at sizes this factor apart, so that a figure that comes nearer isn't drawn for every picture."""
FRAME = (76, 0, 348, 300)
"""What a portrait shows of a figure at scale 1."""
PAPER = (222, 216, 200)
_MARGIN = 80
"""A figure reaches this far below the picture, because its top may be above the picture."""


class Cast:
    """The drawn people; each is drawn once per size and stance, and forgotten when gone. `cutouts` are their heads."""

    def __init__(self, cutouts: Cutouts | None = None) -> None:
        self._cutouts = cutouts
        self._figures: dict[tuple[Walker, int], PersonDrawing] = {}
        self._pictures: dict[tuple[Walker, int, int], Image.Image] = {}

    def put(self, picture: Image.Image, one: PersonInPicture, at_s: float) -> None:
        """Draw a person into the picture, or a portrait with its frame."""
        step = round(log(one.scale) / log(_STEP))
        drawn = PersonInPicture(one.walker, one.distance_m, one.x, one.y, one.size * _STEP**step / one.scale)
        person = self._picture(one.walker, step, drawn.scale, at_s)
        left, top = (round(corner) for corner in drawn.corner())
        if one.walker.hangs:
            frame = [round(side * drawn.scale) for side in FRAME]
            picture.paste(_framed(person, frame), (left + frame[0], top + frame[1]))
        else:
            picture.paste(person, (left, top), person)

    def _picture(self, walker: Walker, step: int, scale: float, at_s: float) -> Image.Image:
        figure = self._figure(walker, step, scale)
        stance = round((walker.stride(at_s) + 1) / 2 * (_STANCES - 1)) if figure.shows_legs else 0
        key = (walker, step, stance)
        if key not in self._pictures:
            self._pictures[key] = figure.picture(2 * stance / (_STANCES - 1) - 1)
        return self._pictures[key]

    def _figure(self, walker: Walker, step: int, scale: float) -> PersonDrawing:
        key = (walker, step)
        if key not in self._figures:
            head = self._cutouts.head(walker) if self._cutouts is not None and walker.shows_face else None
            self._figures[key] = PersonDrawing(look(walker), scale, HEIGHT + _MARGIN, head)
        return self._figures[key]

    def forget(self, at_s: float) -> None:
        """Drop everybody who has left."""
        self._figures = {k: figure for k, figure in self._figures.items() if k[0].leave_s > at_s}
        self._pictures = {k: picture for k, picture in self._pictures.items() if k[0].leave_s > at_s}


def _framed(person: Image.Image, frame: Sequence[int]) -> Image.Image:
    """Return the part of a figure that a portrait shows, on paper."""
    left, top, right, bottom = frame
    part, paper = person.crop((left, top, right, bottom)), Image.new("RGB", (right - left, bottom - top), PAPER)
    paper.paste(part, (0, 0), part)
    return paper


def look(walker: Walker) -> Appearance:
    """Return a person's look. The verdict changes only the mask."""
    worn = Appearance.drawn(walker.seed, masked=walker.verdict != "unmasked", flipped=walker.flipped)
    return replace(worn, low=walker.verdict == "incorrect", turned=not walker.shows_face)


def pictures(plan: Plan, cutouts: Cutouts | None = None) -> Iterator[Image.Image]:
    """Yield the film's pictures; nearer people stand before farther ones."""
    scenario = plan.scenario
    empty, cast = backdrop(scenario.seed + plan.camera), Cast(cutouts)
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


def film(path: Path, plan: Plan, cutouts: Cutouts | None = None, advance: Callable[[], None] = lambda: None) -> Path:
    """Encode the film of a plan; see `encode`. The same plan gives the same bytes."""
    return encode(path, pictures(plan, cutouts), plan.scenario.fps, advance)


def encode(path: Path, drawn: Iterable[Image.Image], fps: float, advance: Callable[[], None] = lambda: None) -> Path:
    """Encode pictures of the plan's size as H.264; return the film's path. `advance` is called after each picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001), options=_OPTIONS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.thread_count = 1  # films are made in parallel, and must be the same bytes
        for picture in drawn:
            frame = av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")
            container.mux(stream.encode(frame))
            advance()
        container.mux(stream.encode())
    return path
