"""The folder that `moretta eval --report` writes: charts, crops of the worst errors, and a page that shows them.

No other code writes pictures. The crops come from the annotated folder that was measured. The page is static HTML.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from modelling.evaluation.charts import recall_chart, reliability_chart
from modelling.evaluation.labelled import InputError, read_rgb
from modelling.evaluation.measuring import Measurement
from modelling.evaluation.outcomes import KINDS, Kind, Mistake, mistakes, worst
from modelling.evaluation.scoring import Corners, box_px

GENERATOR = "moretta eval --report"
"""The mark by which an earlier report is recognised."""

_WORDS = {"mask": "mask", "no_mask": "no mask", "incorrect": "worn incorrectly", "unknown": "unknown"}
_HEADINGS: dict[Kind, tuple[str, str]] = {
    "wrong": (
        "Wrong verdicts",
        "A face was judged otherwise than annotated. The verdicts it was surest of come first.",
    ),
    "missed": ("Missed faces", "No face was found where one is annotated. Those that left the least trace come first."),
    "false-alarm": (
        "False alarms",
        "A face was found where none is annotated. Surest boxes come first; some may be faces that nobody annotated.",
    ),
}

_JINJA = Environment(
    loader=PackageLoader("modelling.evaluation", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Shown:
    """A crop on the page: its path below the report's folder, the error, and the picture that it is cut from."""

    path: str
    mistake: Mistake
    file: str

    @property
    def caption(self) -> str:
        """The error in words."""
        outcome = self.mistake.outcome
        truth, said = _WORDS.get(outcome.truth or ""), _WORDS.get(outcome.said or "")
        if self.mistake.kind == "wrong":
            sure = f"{100 * outcome.confidence:.0f} % sure"
            told = f"; {sure} that it is not masked" if outcome.is_side_right else f", {sure}"
            return f"annotated: {truth}; judged: {said}{told}"
        if self.mistake.kind == "missed":
            trace = f"the best box there scored {outcome.score:.2f}" if outcome.score else "no box there"
            return f"annotated: {truth}; {trace}"
        return f"found: {said}; score {outcome.score:.2f}"

    @property
    def size_px(self) -> float:
        """The face's size in the annotated picture."""
        return box_px(self.mistake.outcome.box)


@dataclass(frozen=True)
class Section:
    """The crops of one kind of error."""

    heading: str
    text: str
    total: int
    shown: Sequence[Shown]


def _section(kind: Kind, total: int, shown: Sequence[Shown]) -> Section:
    return Section(*_HEADINGS[kind], total, [one for one in shown if one.mistake.kind == kind])


def page(figures: dict[str, Any], shown: Sequence[Shown], totals: Mapping[Kind, int]) -> str:
    """Return the page as HTML, without script, names of files escaped. `totals`: the number of errors of each kind."""
    sections = [_section(kind, totals.get(kind, 0), shown) for kind in KINDS]
    return _JINJA.get_template("report.html").render(generator=GENERATOR, figures=figures, sections=sections)


AROUND = 3.0
"""The crop's size as a multiple of the box's longer side, so that one sees what the face is part of."""
LEAST_PX = 48
SHOWN_PX = 320

Sides = tuple[int, int]


def region(box: Corners, width: int, height: int) -> tuple[int, int, int, int]:
    """Return the square around a box, cut at the picture's edges: left, top, right, bottom in pixels, never empty."""
    half = max(AROUND * max(box[2] - box[0], box[3] - box[1]), LEAST_PX) / 2
    x = min(max((box[0] + box[2]) / 2, 0.0), width - 1.0)
    y = min(max((box[1] + box[3]) / 2, 0.0), height - 1.0)
    left, top = max(0, int(x - half)), max(0, int(y - half))
    return left, top, min(width, round(x + half)), min(height, round(y + half))


def crop(picture: NDArray[np.uint8], box: Corners, annotated: Sides) -> Image.Image:
    """Return the surroundings of a box, with the longer side scaled to 320 px and the box drawn.

    `picture` is RGB [H, W, 3], `box` in pixels of a picture of the `annotated` width and height.
    """
    height, width = picture.shape[:2]
    x, y = width / annotated[0], height / annotated[1]
    own = (box[0] * x, box[1] * y, box[2] * x, box[3] * y)
    left, top, right, bottom = region(own, width, height)
    scale = SHOWN_PX / max(right - left, bottom - top)
    sides = (max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale)))
    part = Image.fromarray(np.ascontiguousarray(picture[top:bottom, left:right]))
    shown = part.resize(sides, Image.Resampling.BICUBIC)
    _outline(shown, tuple((own[place] - (left, top)[place % 2]) * scale for place in range(4)))
    return shown


def _outline(picture: Image.Image, corners: tuple[float, ...]) -> None:
    """Draw the box in yellow on black, which is visible on every picture."""
    draw = ImageDraw.Draw(picture)
    draw.rectangle((corners[0] - 1, corners[1] - 1, corners[2] + 1, corners[3] + 1), outline="black", width=4)
    draw.rectangle(corners, outline="yellow", width=2)


MOST_CROPS = 40
PAGE, RELIABILITY, BY_SIZE, CROPS = "index.html", "reliability.png", "by_size.png", "worst"

_CROP_NAME = re.compile(r"\d{2}-(wrong|missed|false-alarm)\.png")


def _strangers(folder: Path) -> Iterator[Path]:
    """Yield the entries that no report wrote: another name, or a link or folder in the place of a report's file."""
    for entry in sorted(folder.iterdir()):
        if entry.name == CROPS and entry.is_dir() and not entry.is_symlink():
            yield from (one for one in sorted(entry.iterdir()) if not _CROP_NAME.fullmatch(one.name) or _is_odd(one))
        elif entry.name not in {PAGE, RELIABILITY, BY_SIZE} or _is_odd(entry):
            yield entry


def _is_odd(entry: Path) -> bool:
    return entry.is_symlink() or not entry.is_file()


def _refuse_anything_else(folder: Path) -> None:
    for entry in _strangers(folder):
        raise InputError(f"{folder}: holds {entry.relative_to(folder)}, which no report wrote; give a new folder")
    made_here = (folder / PAGE).is_file() and GENERATOR.encode() in (folder / PAGE).read_bytes()[:1000]
    if any(folder.iterdir()) and not made_here:
        raise InputError(f"{folder}: holds files, but no {PAGE} of an earlier report; give a new folder")


def prepare(folder: Path) -> None:
    """Make the folder if it is missing.

    Raises InputError if it holds anything else than an earlier report, or if it cannot be made or read.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_anything_else(folder)
    except OSError as error:
        reason = "is a file" if isinstance(error, FileExistsError) else error.strerror
        raise InputError(f"{folder}: cannot take the report: {reason}; give a folder of your own") from error


def _clear(folder: Path) -> None:
    """Remove an earlier report's pictures, so that none of its crops is left beside the new ones."""
    for old in [folder / RELIABILITY, folder / BY_SIZE, *(folder / CROPS).glob("*.png")]:
        old.unlink(missing_ok=True)


def _name(number: int, mistake: Mistake) -> str:
    return f"{CROPS}/{number:02}-{mistake.kind}.png"


def _write_crop(path: Path, mistake: Mistake, measured: Measurement) -> None:
    photo = measured.photos[mistake.outcome.picture]
    picture = read_rgb(measured.folder / photo.file)
    crop(picture, mistake.outcome.box, (photo.width, photo.height)).save(path)


def write_report(folder: Path, measured: Measurement) -> None:
    """Write index.html, reliability.png, by_size.png and at most 40 worst/*.png into `folder`, and nothing elsewhere.

    An earlier report there is replaced. Raises InputError as `prepare` does, and when something cannot be written.
    """
    prepare(folder)
    found = mistakes(measured.outcomes)
    named = [(_name(n, one), one) for n, one in enumerate(worst(found, MOST_CROPS), start=1)]
    shown = [Shown(name, one, measured.photos[one.outcome.picture].file) for name, one in named]
    try:
        # The page goes first: an interrupted report is then still recognised as one, and can be replaced.
        (folder / PAGE).write_text(page(measured.figures, shown, Counter(one.kind for one in found)), "utf-8")
        _clear(folder)
        (folder / CROPS).mkdir(exist_ok=True)
        reliability_chart(measured.figures, folder / RELIABILITY)
        recall_chart(measured.figures, folder / BY_SIZE)
        for name, mistake in named:
            _write_crop(folder / name, mistake, measured)
    except OSError as error:
        raise InputError(f"{error.filename or folder}: cannot be written: {error.strerror}") from error
