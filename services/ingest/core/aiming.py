"""Aiming reports: where and how large a camera's faces are, and how good its picture is; no verdict, no count.

A report says nothing about faces until there was a face in MIN_SEEN different seconds. The number of people and of
pictures does not matter. So a person who passes once is not measured, and the time of the first figures does not show
how many people there are. The figures change only every 5 s, so two reports differ by seconds and not by the picture in
which somebody came. Shares have steps of five percent and the heat map has ten levels: multiplying the faces changes
nothing. Faces are never kept, only added up.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from msgspec import Struct, structs
from numpy.typing import NDArray

from proto.aiming import (
    HEAT_COLUMNS,
    HEAT_ROWS,
    Advice,
    AimEnd,
    AimReportV1,
    PictureSize,
    Quantiles,
)
from proto.frames import FrameQualityV1
from proto.types import Box, Profile
from services.sites.profiles import PROFILES

SECOND_NS = 1_000_000_000
MIN_SEEN = 10
"""Seconds with a face in them."""
_RENEWED_NS = 5 * SECOND_NS
_FRESH_NS = SECOND_NS
"""Light and sharpness are means over this time: a person who turns the lens sees the effect."""
_SILENT_NS = 3 * SECOND_NS
_LARGEST_PX = 2_048
_TOP_STEP = 9
_SHARES = 20
_DARK, _BRIGHT = 0.18, 0.85
_GLARE, _SHADE = 0.1, 0.3
"""Shares of white and of nearly black pixels. Both occur together when somebody stands in front of a window."""
_BLURRED = 0.05
_GOOD_PX = 24.0
"""The size of a face to aim at, in the analysed picture: of those that have 16 to 24 pixels the model misses 30 of 100,
of larger ones 5 to 13 (docs/cameras.md). The few that are found stand for more."""
LESS_PX = 480
"""A `long_side` at which inference has a third less to do than at 640 (docs/model/speed.md)."""
_MANY = 0.25
"""The share of faces from which the operator should do something."""


class Looked(Struct, frozen=True):
    """One analysed picture: its quality, its size, and that of the camera's own picture."""

    quality: FrameQualityV1
    analysed: PictureSize
    picture: PictureSize


@dataclass
class _Faces:
    """Sums over all faces since the start."""

    heat: NDArray[np.float64] = field(default_factory=lambda: np.zeros((HEAT_ROWS, HEAT_COLUMNS)))
    sizes: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_LARGEST_PX, np.int64))
    too_small: int = 0
    unsure: int = 0
    seen: int = 0
    """Seconds with a face in them."""
    last: int = -1
    """The last of these seconds."""

    def add(self, second: int, quality: FrameQualityV1) -> None:
        if quality.faces and second != self.last:
            self.seen, self.last = self.seen + 1, second
        for face in quality.faces:
            self.heat += painted(face.box)
            self.sizes[min(int(face.size), _LARGEST_PX - 1)] += 1
            self.too_small += face.unknown == "too-small"
            self.unsure += face.unknown == "unsure"

    def under(self, px: float) -> float:
        """Return the share of the faces that are smaller than `px`."""
        return _stepped(int(self.sizes[: math.ceil(px)].sum()) / max(1, int(self.sizes.sum())))


def painted(box: Box) -> NDArray[np.float64]:
    """Return how much of each cell of the heat map a box covers, [rows, columns], 0 to 1."""
    x1, y1, x2, y2 = box
    cover: NDArray[np.float64] = _overlap(y1, y2, HEAT_ROWS)[:, None] * _overlap(x1, x2, HEAT_COLUMNS)
    return cover


def _overlap(low: float, high: float, cells: int) -> NDArray[np.float64]:
    edges = np.arange(cells + 1)
    lengths: NDArray[np.float64] = np.minimum(edges[1:], high * cells) - np.maximum(edges[:-1], low * cells)
    return lengths.clip(0.0, 1.0)


class Aiming:
    """One order to aim, from `start` (ns, monotonic) for `seconds`; `since` is its start in UTC.

    `hidden` is the share of the picture that privacy areas blacken, `period_ns` the time between two pictures. A
    `profile` that allows nothing finer than the whole site withholds everything about faces.
    """

    def __init__(
        self,
        site: str,
        camera: str,
        *,
        profile: Profile,
        start: int,
        since: int,
        seconds: float,
        hidden: float = 0.0,
        period_ns: int = 0,
    ) -> None:
        self._place, self.withheld = (site, camera), not PROFILES[profile].cameras  # no figures of one camera's faces
        self._start, self.since, self._end = start, since, start + round(seconds * SECOND_NS)
        self._seeing = max(1e-6, 1.0 - hidden)
        self._silent_ns = max(_SILENT_NS, 3 * period_ns)
        self._faces, self._steps = _Faces(), 0
        self._face_figures: dict[str, Any] = {}
        self._small = Advice("move-closer")
        self._last: Looked | None = None
        self._fresh: list[tuple[int, FrameQualityV1]] = []

    def add(self, now: int, looked: Looked) -> None:
        """Add one analysed picture."""
        self._renew(now)
        if not self.withheld:
            self._faces.add((now - self._start) // SECOND_NS, looked.quality)
        faceless = structs.replace(looked.quality, faces=[])
        self._last = structs.replace(looked, quality=faceless)
        self._fresh = [*((at, quality) for at, quality in self._fresh if now - at < _FRESH_NS), (now, faceless)]

    def report(self, now: int, ended: AimEnd | None = None) -> AimReportV1:
        """Return the current report; the last one, with `ended`, when the time is over or somebody ended the order."""
        self._renew(now)
        left = max(0, self._end - now)
        report = AimReportV1(
            site=self._place[0],
            camera=self._place[1],
            since=self.since,
            at=self.since + max(0, now - self._start),
            left=0 if ended else left,
            ended=ended or (None if left else "time"),
            **self._of_picture(),
            **self._face_figures,
        )
        advice = advice_of(report, self._small, silent=self._is_silent(now), withheld=self.withheld)
        return structs.replace(report, advice=advice)

    def _renew(self, now: int) -> None:
        """Update the face figures at each step to the faces seen up to it; an end between two steps is no step."""
        steps = (min(now, self._end) - self._start) // _RENEWED_NS
        if steps > self._steps and self._last is not None and self._faces.seen >= MIN_SEEN:
            self._face_figures = self._of_faces(self._last)
            self._small = Advice("move-closer", self._faces.under(_GOOD_PX), _GOOD_PX)
        self._steps = max(steps, self._steps)

    def _is_silent(self, now: int) -> bool:
        return now - (self._fresh[-1][0] if self._fresh else self._start) > self._silent_ns

    def _of_picture(self) -> dict[str, Any]:
        if self._last is None:
            return {}
        seen = [quality for _, quality in self._fresh]
        hidden = 1.0 - self._seeing
        sharp = [quality.sharpness for quality in seen if quality.sharpness is not None]
        return {
            "picture": self._last.picture,
            "analysed": self._last.analysed,
            "brightness": self._visible(_mean([quality.brightness for quality in seen])),
            "dark": self._visible(_mean([quality.dark for quality in seen]) - hidden),
            "clipped": self._visible(_mean([quality.clipped for quality in seen])),
            "sharpness": round(_mean(sharp), 3) if sharp else None,
        }

    def _visible(self, share: float) -> float:
        """Convert a share of the picture into a share of the part that privacy areas leave visible."""
        return round(min(1.0, max(0.0, share / self._seeing)), 3)

    def _of_faces(self, last: Looked) -> dict[str, Any]:
        faces = self._faces
        count = int(faces.sizes.sum())
        ratio = (last.picture.width * last.picture.height / (last.analysed.width * last.analysed.height)) ** 0.5
        return {
            "heat": heat_of(faces.heat),
            "sizes": _quantiles(faces.sizes, 1.0),
            "picture_sizes": _quantiles(faces.sizes, ratio),
            "smallest": last.quality.smallest,
            "too_small": _stepped(faces.too_small / count),
            "unsure": _stepped(faces.unsure / count),
        }


def heat_of(sums: NDArray[np.float64]) -> str:
    """Return the heat map's digits, row after row: each cell's share of the maximum in steps of a ninth."""
    top = float(sums.max())
    steps = np.rint((sums / top * _TOP_STEP).round(6)).astype(int) if top > 0 else np.zeros(sums.shape, int)
    return "".join(map(str, steps.ravel()))


def _quantiles(histogram: NDArray[np.int64], ratio: float) -> Quantiles:
    """Quantiles by nearest rank, in whole pixels."""
    ranks = np.cumsum(histogram)
    places = [int(np.searchsorted(ranks, -(-tenths * int(ranks[-1]) // 10))) for tenths in (1, 5, 9)]
    return Quantiles(*(float(round(place * ratio)) for place in places))


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _stepped(share: float) -> float:
    return round(share * _SHARES) / _SHARES


def advice_of(report: AimReportV1, small: Advice, *, silent: bool, withheld: bool) -> list[Advice]:
    """Return advice, the most important first: a missing picture, light, sharpness, face sizes.

    `small` holds the share of faces that are hardly found; with `withheld` the advice says nothing about faces.
    """
    if silent or report.brightness is None:
        return [Advice("no-picture")]
    found = [*_of_light(report)]
    if report.sharpness is not None and report.sharpness < _BLURRED:
        found.append(Advice("blurred"))
    if withheld:
        return [*found, Advice("faces-withheld")]
    if report.unsure is None:
        return [*found, Advice("no-face")]
    if small.share >= _MANY:
        found.append(small)
    if report.unsure >= _MANY:
        found.append(Advice("turn-to-faces", report.unsure))
    return found or [Advice("fine", limit=LESS_PX if _is_larger_than_needed(report) else 0)]


def _is_larger_than_needed(report: AimReportV1) -> bool:
    if report.sizes is None or report.analysed is None:
        return False
    return would_do_with_less(max(report.analysed.width, report.analysed.height), report.sizes.p10)


def would_do_with_less(long_side: float, smallest_px: float) -> bool:
    """Return whether faces would be of a good size in a picture of LESS_PX, too.

    `smallest_px` is the size that nine of ten faces exceed in the analysed picture, whose longer side is `long_side`.
    """
    return long_side > LESS_PX and smallest_px * LESS_PX / long_side >= _GOOD_PX


def less_in_words(long_side: float) -> str:
    """Return what an analysed picture of this longer side (px) saves and costs beside 640 (docs/model/speed.md)."""
    costs = "a third less work for inference than at 640, about one face of 100 fewer found"
    return f"`long_side: {long_side:g}` would do: {costs}"


def _of_light(report: AimReportV1) -> Iterator[Advice]:
    assert report.brightness is not None
    if (report.clipped or 0.0) >= _GLARE and (report.dark or 0.0) >= _SHADE:
        yield Advice("against-light")
    elif report.brightness < _DARK:
        yield Advice("too-dark")
    elif report.brightness > _BRIGHT:
        yield Advice("too-bright")
