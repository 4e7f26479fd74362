"""Charts of published periods: `moretta stats` and notify's reports look alike (ADR 19).

A chart shows the rate over time with its interval, and the coverage. It is a PNG, with text only in letters that the
font has. It uses matplotlib's Figure alone: no screen, no pyplot.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from threading import Lock
from typing import Any

import services.charts.plotting  # noqa: F401 - before matplotlib  # isort: skip

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont
from matplotlib.ft2font import FT2Font

from proto.public import Suppression
from proto.stats import PeriodV1

__all__ = [
    "BAND", "COVERAGE", "HIDDEN", "MISSING", "RATE",
    "Axes", "Figure", "Labels", "coverage", "days", "marks", "rates", "runs", "tidy",
]  # fmt: skip

# Okabe and Ito's colours, told apart by colour-blind people; areas differ in their hatching too.
RATE, BAND, COVERAGE, MISSING, HIDDEN = "#0072B2", "#b8d4e8", "#66C4A9", "#D55E00", "#999999"
Piece = tuple[float, float, float]
"""Start and end in matplotlib's days, and a share in percent."""


@dataclass(frozen=True)
class Labels:
    """The texts of a chart."""

    rate: str
    interval: str
    missing: str
    """No window was published."""
    nobody: str
    """Nobody could be judged."""
    suppressed: Mapping[Suppression, str]
    rate_axis: str
    coverage_axis: str


def days(at: int) -> float:
    """Return an instant, ns, as matplotlib counts time: days since 1970."""
    return at / 86_400e9


def runs(periods: Iterable[PeriodV1]) -> Iterator[list[Piece]]:
    """Yield the periods that one line joins: they have a rate and follow each other without a gap."""
    run: list[Piece] = []
    end = None
    for period in periods:
        if run and (period.rate is None or period.start != end):
            yield run
            run = []
        if period.rate is not None:
            run.append((days(period.start), days(period.end), 100 * period.rate))
        end = period.end
    if run:
        yield run


def rates(axes: Axes, periods: Iterable[PeriodV1], labels: Labels) -> None:
    """Draw each rate as long as its period was, with its interval as a band; no line crosses a gap."""
    periods = list(periods)
    bands = [(days(p.start), days(p.end), p.interval) for p in periods if p.rate is not None and p.interval]
    if bands:
        axes.bar(
            [start for start, _, _ in bands],
            [100 * (high - low) for _, _, (low, high) in bands],
            bottom=[100 * low for _, _, (low, _) in bands],
            width=[end - start for start, end, _ in bands],
            align="edge",
            color=BAND,
            linewidth=0,
            label=labels.interval,
        )
    for number, run in enumerate(runs(periods)):
        times = [at for start, end, _ in run for at in (start, end)]
        shares = [share for _, _, share in run for _ in range(2)]
        name = "_" if number else labels.rate
        axes.plot(times, shares, color=RATE, linewidth=1.8, label=name, solid_capstyle="butt")
    axes.set_ylim(0, 100)
    axes.set_ylabel(labels.rate_axis)
    tidy(axes)


def marks(axes: Axes, periods: Iterable[PeriodV1], labels: Labels) -> None:
    """Hatch the periods that show no figures, and cross-hatch those that were not published; name each kind once."""
    named: set[str] = set()
    for period in periods:
        kind = _kind(period, labels)
        if kind is None:
            continue
        missing = not period.windows_published
        look: dict[str, Any] = {"hatch": "xx" if missing else "//", "edgecolor": MISSING if missing else HIDDEN}
        label = "_" if kind in named else kind
        axes.axvspan(days(period.start), days(period.end), facecolor="none", linewidth=0, label=label, **look)
        named.add(kind)


def _kind(period: PeriodV1, labels: Labels) -> str | None:
    if not period.windows_published:
        return labels.missing
    if period.suppressed is not None:
        return labels.suppressed[period.suppressed]
    return labels.nobody if period.rate is None else None


def coverage(axes: Axes, periods: Iterable[PeriodV1], labels: Labels) -> None:
    """Draw how much of each period was observed."""
    periods = list(periods)
    known = [(days(p.start), days(p.end), 100 * p.coverage) for p in periods if p.coverage is not None]
    starts, widths = [start for start, _, _ in known], [end - start for start, end, _ in known]
    axes.bar(starts, [share for _, _, share in known], width=widths, align="edge", color=COVERAGE, linewidth=0)
    published = [p for p in periods if p.windows_published]
    if published and all(p.coverage is None for p in published):
        withheld = labels.suppressed["not-under-this-profile"]
        axes.text(0.5, 0.5, withheld, ha="center", va="center", transform=axes.transAxes)
    axes.set_ylim(0, 105)
    axes.set_ylabel(labels.coverage_axis)
    tidy(axes)


def tidy(axes: Axes) -> None:
    """Keep only the lines that are needed."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)


_ONE_AT_A_TIME = Lock()
"""matplotlib shares its fonts and text measurements between threads."""
_FONT = "DejaVu Sans"
"""The font that comes with matplotlib, and that it writes with."""


def png(figure: Figure) -> bytes:
    """Return the PNG; the same figure gives the same bytes with the same matplotlib. Threads take turns."""
    out = BytesIO()
    with _ONE_AT_A_TIME:
        figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


def drawable(name: str, otherwise: str) -> str:
    """Return the name, or `otherwise` if the font lacks letters for it."""
    return name if all(ord(sign) in _letters() for sign in name) else otherwise


@cache
def _letters() -> frozenset[int]:
    return frozenset(FT2Font(findfont(FontProperties(family=_FONT))).get_charmap())
