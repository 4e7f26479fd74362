"""Films of the demo's scenes, encoded at run time with PyAV."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from math import ceil
from pathlib import Path

import av
import numpy as np
from PIL import Image

from operate.simulation.demo.backdrop import backdrop
from operate.simulation.demo.people import Figure, Look
from operate.simulation.demo.scene import BOB, HEIGHT, WIDTH, Walker, length_s

FPS = 12
_OPTIONS = {"preset": "ultrafast", "crf": "20"}
_STANCES = 6
"""Pictures of a person's legs that are drawn; the nearest one is shown."""


class Cast:
    """The drawn people of one film, each drawn when first seen and forgotten when gone."""

    def __init__(self) -> None:
        self._figures: dict[Walker, Figure] = {}
        self._pictures: dict[tuple[Walker, int], Image.Image] = {}

    def picture(self, walker: Walker, at_s: float) -> Image.Image:
        """Return the walker as it looks at this time."""
        figure = self._figure(walker)
        stance = round((walker.stride(at_s) + 1) / 2 * (_STANCES - 1)) if figure.shows_legs else 0
        key = (walker, stance)
        if key not in self._pictures:
            self._pictures[key] = figure.picture(2 * stance / (_STANCES - 1) - 1)
        return self._pictures[key]

    def _figure(self, walker: Walker) -> Figure:
        if walker not in self._figures:
            look = Look.drawn(walker.seed, masked=walker.masked, flipped=walker.flipped)
            shown = ceil(HEIGHT - walker.lane.top + BOB * walker.lane.scale)
            self._figures[walker] = Figure(look, walker.lane.scale, shown)
        return self._figures[walker]

    def forget(self, at_s: float) -> None:
        """Drop everybody who has left."""
        self._figures = {w: f for w, f in self._figures.items() if w.leave_s > at_s}
        self._pictures = {k: p for k, p in self._pictures.items() if k[0].leave_s > at_s}


def pictures(walkers: Sequence[Walker], seed: int, fps: int = FPS) -> Iterator[Image.Image]:
    """Yield the film's pictures; nearer people stand before farther ones."""
    empty, cast = backdrop(seed), Cast()
    for index in range(round(length_s(walkers) * fps)):
        at = index / fps
        picture = empty.copy()
        for walker in sorted((w for w in walkers if w.is_visible(at)), key=lambda w: w.lane.scale):
            person = cast.picture(walker, at)
            x, y = walker.corner(at)
            picture.paste(person, (round(x), round(y)), person)
        if index % fps == 0:
            cast.forget(at)
        yield picture


def film(path: Path, walkers: Sequence[Walker], seed: int, advance: Callable[[int], None] | None = None) -> Path:
    """Encode the film of these people; see `encode`. The same seed, the same bytes."""
    return encode(path, pictures(walkers, seed), FPS, advance)


def encode(path: Path, drawn: Iterable[Image.Image], fps: float, advance: Callable[[int], None] | None = None) -> Path:
    """Encode pictures of the scene's size as H.264; returns the film's path. `advance` is told of each picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001), options=_OPTIONS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.thread_count = 1  # the films are made side by side, and to be the same bytes
        for picture in drawn:
            frame = av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")
            container.mux(stream.encode(frame))
            if advance is not None:
                advance(1)
        container.mux(stream.encode())
    return path
