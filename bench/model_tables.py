"""The tables of the model's bench, for a terminal and for docs/model/speed.md."""

from collections.abc import Iterator, Sequence
from math import radians, tan

import msgspec
from rich.table import Table

from bench.model_accuracy import LIMITS_PX, Accuracy, Found
from bench.model_sessions import DEFAULT_SIZE, SIZES
from bench.model_speed import FACES_PX, HEADLINE_PX, Speed, Timing

BAR = 0.2
QUIET = 0.02
"""Up to this share, the waiting is the operating system's own."""
FACE_M = 0.17
"""A face from forehead to chin and from ear to ear, as the side of a square, in metres."""
LENSES_DEG = (60, 90)
_FLOAT = "float32"


class Report(msgspec.Struct, frozen=True):
    """All results of a run; `ratio` is float32 at the default size over `folded`, the target's figure.

    `waited` is the share of the timed part in which the process did not run: other work had the processor.
    """

    model: str
    processor: str
    onnxruntime: str
    rounds: int
    waited: float
    reference: dict[str, Timing]
    speed: list[Speed]
    accuracy: list[Accuracy]
    found: list[Found]
    bar: float
    ratio: float


class Lines(msgspec.Struct, frozen=True):
    """One table: every cell is text, the first column names the row."""

    title: str
    columns: list[str]
    rows: list[list[str]]


def headline(speeds: Sequence[Speed], reference: Timing) -> float:
    """Return the ratio that the target is about."""
    default = next(s for s in speeds if s.size == DEFAULT_SIZE and s.dtype == _FLOAT)
    return default.total.over(reference)


def tables(report: Report, px: Sequence[int] = (16, 24)) -> list[Lines]:
    """Return all tables; `px` are the sizes of a face that the table of distances is for."""
    return [_reference(report), _time(report), _accuracy(report.accuracy), _found(report.found), _distances(px)]


def markdown(report: Report) -> str:
    """Return the section `Tables` of docs/model/speed.md."""
    head = (
        f"Model `{report.model}`, {report.processor}, onnxruntime {report.onnxruntime}, one thread, {report.rounds}"
        " rounds in turn after a warm-up. Times are minimum / median."
    )
    return "\n\n".join(["## Tables", head, _waited(report), *(_markdown(table) for table in tables(report))]) + "\n"


def _waited(report: Report) -> str:
    meant = "" if report.waited <= QUIET else "; **the machine was busy, these times are not to be relied on**"
    return f"Other work had the processor for {_percent(report.waited)} of the timed part{meant}."


def terminal(report: Report) -> Iterator[Table | str]:
    """Yield the same tables for rich, and a note on how reliable their times are."""
    for lines in tables(report):
        table = Table(title=lines.title, title_justify="left")
        for number, name in enumerate(lines.columns):
            table.add_column(name, justify="right" if number else "left", no_wrap=not number)
        for row in lines.rows:
            table.add_row(*row)
        yield table
    yield _waited(report).replace("**", "")


def _markdown(table: Lines) -> str:
    rule = ["---", *("--:" for _ in table.columns[1:])]
    rows = (f"| {' | '.join(row)} |" for row in (table.columns, rule, *table.rows))
    return "\n".join([f"**{table.title}**", "", *rows])


def _ms(timing: Timing) -> str:
    return f"{timing.min_ms:.1f} / {timing.median_ms:.1f}"


def _percent(share: float) -> str:
    return f"{share:.1%}".replace("%", " %")


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _reference(report: Report) -> Lines:
    rows = [[f"CenterFace 640x384, {name}", _ms(timing)] for name, timing in report.reference.items()]
    verdict = "met" if report.ratio <= report.bar else "missed"
    verdict = verdict if report.waited <= QUIET else "busy machine: not judged"
    rows.append([f"ours at {_size(DEFAULT_SIZE)} / CenterFace folded", f"{report.ratio:.3f}"])
    rows.append(["bar", f"{report.bar} ({verdict})"])
    return Lines("The target", ["what", "ms, ratio"], rows)


def _time(report: Report) -> Lines:
    ratios = [f"/ {name}" for name in report.reference]
    faces = [f"6 faces of {px} px" for px in FACES_PX]
    columns = ["size, dtype", "detector", *faces, f"detector + {HEADLINE_PX} px", *ratios]
    rows = [
        [
            f"{_size(speed.size)} {speed.dtype}",
            _ms(speed.detector),
            *(_ms(speed.classifier[px]) for px in FACES_PX),
            _ms(speed.total),
            *(f"{speed.total.over(timing):.3f}" for timing in report.reference.values()),
        ]
        for speed in report.speed
    ]
    return Lines("Time in ms, and as a share of CenterFace's", columns, rows)


def _accuracy(accuracies: Sequence[Accuracy]) -> Lines:
    columns = [
        "source, long side, dtype",
        "faces",
        "F1",
        "precision",
        "found masked",
        "found bare",
        "mask right",
        "unknown",
    ]
    rows = [
        [
            f"{a.source}, {a.long_side}, {a.dtype}",
            str(a.faces),
            *(
                _percent(share)
                for share in (a.f1, a.precision, a.recall_masked, a.recall_bare, a.mask_right, a.unknown)
            ),
        ]
        for source in dict.fromkeys(a.source for a in accuracies)
        for a in sorted((a for a in accuracies if a.source == source), key=lambda a: a.long_side)
    ]
    return Lines("Accuracy on the validation part, faces of 12 px or more in the photo", columns, rows)


def _found(found: Sequence[Found]) -> Lines:
    columns = ["face in the analysed picture", *(f"found at {width}" for width, _ in SIZES), "unknown of the found"]
    rows = []
    for limits in dict.fromkeys(f.px for f in found):
        here = [f for f in found if f.px == limits]
        cells = [f"{_percent(f.found / f.faces)} of {f.faces}" if f.faces else "–" for f in here]
        hits = sum(f.found for f in here)
        unknown = _percent(sum(f.unknown for f in here) / hits) if hits else "–"
        rows.append([_range(limits), *cells, unknown])
    return Lines(f"Found by size of the face, {_FLOAT}, both sources", columns, rows)


def _range(limits: tuple[int, int]) -> str:
    low, high = limits
    return f"{low} px and more" if high == LIMITS_PX[-1] else f"{low}–{high} px"


def _distances(sizes_px: Sequence[int]) -> Lines:
    columns = ["size", *(f"{px} px, lens {lens}°" for px in sizes_px for lens in LENSES_DEG)]
    rows = [
        [_size(size), *(f"{distance_m(size[0], px, lens):.1f} m" for px in sizes_px for lens in LENSES_DEG)]
        for size in SIZES
    ]
    return Lines(f"How far away a face of {FACE_M * 100:.0f} cm is so many pixels large", columns, rows)


def distance_m(width: int, px: float, lens_deg: float) -> float:
    """Return how far a face may be to cover `px` pixels in the middle of a picture of this width and angle of view."""
    return FACE_M * width / (2 * tan(radians(lens_deg) / 2) * px)
