"""The folder that `moretta eval --report` writes: charts, crops of the worst errors, and a page that shows them.

It is the only place where pictures are ever written, and they are cut from the annotated folder that was measured.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from services.inference.annotations import InputError
from services.inference.core.mistakes import Mistake, mistakes, worst
from services.inference.evaluate import Measurement
from services.inference.pictures import read_rgb
from services.inference.report_charts import recall_chart, reliability_chart
from services.inference.report_crops import crop
from services.inference.report_page import GENERATOR, Shown, page

MOST_CROPS = 40
PAGE, RELIABILITY, BY_SIZE, CROPS = "index.html", "reliability.png", "by_size.png", "worst"

_CROP_NAME = re.compile(r"\d{2}-(wrong|missed|false-alarm)\.png")


def _strangers(folder: Path) -> Iterator[Path]:
    """What no report wrote: another name, or a link or folder where a report has a file."""
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
    """Makes the folder if it is missing.

    Raises InputError if it holds anything else than an earlier report, and if it cannot be made or read.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_anything_else(folder)
    except OSError as error:
        reason = "is a file" if isinstance(error, FileExistsError) else error.strerror
        raise InputError(f"{folder}: cannot take the report: {reason}; give a folder of your own") from error


def _clear(folder: Path) -> None:
    """Removes an earlier report's pictures, so that no crop of it is left beside the new ones."""
    for old in [folder / RELIABILITY, folder / BY_SIZE, *(folder / CROPS).glob("*.png")]:
        old.unlink(missing_ok=True)


def _name(number: int, mistake: Mistake) -> str:
    return f"{CROPS}/{number:02}-{mistake.kind}.png"


def _write_crop(path: Path, mistake: Mistake, measured: Measurement) -> None:
    photo = measured.photos[mistake.outcome.picture]
    picture = read_rgb(measured.folder / photo.file)
    crop(picture, mistake.outcome.box, (photo.width, photo.height)).save(path)


def write_report(folder: Path, measured: Measurement) -> None:
    """Writes index.html, reliability.png, by_size.png and at most 40 worst/*.png into `folder`, and nothing elsewhere.

    An earlier report there is replaced. Raises InputError as `prepare` does, and when something cannot be written.
    """
    prepare(folder)
    found = mistakes(measured.outcomes)
    named = [(_name(n, one), one) for n, one in enumerate(worst(found, MOST_CROPS), start=1)]
    shown = [Shown(name, one, measured.photos[one.outcome.picture].file) for name, one in named]
    try:
        # The page goes first: an interrupted report is then still known as one, and can be replaced.
        (folder / PAGE).write_text(page(measured.figures, shown, Counter(one.kind for one in found)), "utf-8")
        _clear(folder)
        (folder / CROPS).mkdir(exist_ok=True)
        reliability_chart(measured.figures, folder / RELIABILITY)
        recall_chart(measured.figures, folder / BY_SIZE)
        for name, mistake in named:
            _write_crop(folder / name, mistake, measured)
    except OSError as error:
        raise InputError(f"{error.filename or folder}: cannot be written: {error.strerror}") from error
