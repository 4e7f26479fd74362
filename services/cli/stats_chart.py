"""The chart of `moretta stats --chart`: the rate over time with its interval, drawn without a screen."""

from __future__ import annotations

import atexit
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

# matplotlib keeps a list of fonts in the home directory. A chart is written where it was asked for, and nothing else.
os.environ.setdefault("MPLCONFIGDIR", (_SCRATCH := tempfile.TemporaryDirectory(prefix="moretta-")).name)

# Only now: it reads the variable while it is imported.
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from proto.stats import PeriodV1, StatsReplyV1
from proto.types import WHOLE_SITE
from services.cli.view import SUPPRESSED
from services.history import local

atexit.register(_SCRATCH.cleanup)

# Okabe and Ito's colours, told apart by colour-blind people; areas differ in their hatching too.
RATE, COVERAGE, MISSING, HIDDEN = "#0072B2", "#66C4A9", "#D55E00", "#999999"
_DPI = 150
_FIRST = ("rate", "95 % interval")
"""The legend's order; the other kinds come as they are drawn."""
_BEFORE = 1 / 3
"""What is shown at most of the time before anything was published, as a share of the time after."""
Piece = tuple[float, float, float]
"""Start and end in matplotlib's days, and a share in percent."""


def chart(reply: StatsReplyV1, path: Path) -> None:
    """Write a PNG: the rate with its 95 % interval above, the coverage below, each period as long as it was.

    No line crosses a period without a rate: one that shows no figures is hatched, one of which no window was published
    is crossed. The time before anything was published takes a quarter of the picture at most, with a word on the rest.
    """
    figure = Figure(figsize=(10, 5.6), dpi=_DPI, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    _rates(upper, reply.periods)
    _marks(upper, reply.periods)
    _coverage(lower, reply.periods)
    _times(lower, reply)
    _cut(upper, reply)
    place = "the whole site" if reply.zone == WHOLE_SITE else f"zone {reply.zone}"
    upper.set_title(f"{reply.site}, {place}: share of people who wear a mask, {_dates(reply)}", loc="left")
    named = dict(zip(*reversed(upper.get_legend_handles_labels()), strict=True))
    labels = sorted(named, key=lambda label: _FIRST.index(label) if label in _FIRST else len(_FIRST))
    handles = [named[label] for label in labels]
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels) or 1, frameon=False)
    figure.savefig(path)


def _days(at: int) -> float:
    """Return an instant as matplotlib counts time: days since 1970."""
    return at / 86_400e9


def runs(periods: Iterable[PeriodV1]) -> Iterator[list[Piece]]:
    """Yield what is drawn in one line: periods with a rate that follow each other without a gap."""
    run: list[Piece] = []
    end = None
    for period in periods:
        if run and (period.rate is None or period.start != end):
            yield run
            run = []
        if period.rate is not None:
            run.append((_days(period.start), _days(period.end), 100 * period.rate))
        end = period.end
    if run:
        yield run


def _rates(axes: Axes, periods: list[PeriodV1]) -> None:
    bands = [(_days(p.start), _days(p.end), p.interval) for p in periods if p.rate is not None and p.interval]
    if bands:
        axes.bar(
            [start for start, _, _ in bands],
            [100 * (high - low) for _, _, (low, high) in bands],
            bottom=[100 * low for _, _, (low, _) in bands],
            width=[end - start for start, end, _ in bands],
            align="edge",
            color="#b8d4e8",
            linewidth=0,
            label="95 % interval",
        )
    for number, run in enumerate(runs(periods)):
        times = [at for start, end, _ in run for at in (start, end)]
        shares = [share for _, _, share in run for _ in range(2)]
        axes.plot(times, shares, color=RATE, linewidth=1.8, label="_" if number else "rate", solid_capstyle="butt")
    axes.set_ylim(0, 100)
    axes.set_ylabel("wear a mask (%)")
    _tidy(axes)


def _marks(axes: Axes, periods: list[PeriodV1]) -> None:
    """Mark the periods without a rate, each kind named once."""
    named: set[str] = set()
    for period in periods:
        kind = _kind(period)
        if kind is None:
            continue
        missing = not period.windows_published
        look = {"hatch": "xx", "edgecolor": MISSING} if missing else {"hatch": "//", "edgecolor": HIDDEN}
        label = "_" if kind in named else kind
        axes.axvspan(_days(period.start), _days(period.end), facecolor="none", linewidth=0, label=label, **look)  # type: ignore[arg-type]
        named.add(kind)


def _kind(period: PeriodV1) -> str | None:
    if not period.windows_published:
        return "no window published"
    if period.suppressed is not None:
        return SUPPRESSED[period.suppressed]
    return "nobody judged" if period.rate is None else None


def _coverage(axes: Axes, periods: list[PeriodV1]) -> None:
    known = [(_days(p.start), _days(p.end), 100 * p.coverage) for p in periods if p.coverage is not None]
    starts, widths = [start for start, _, _ in known], [end - start for start, end, _ in known]
    axes.bar(starts, [share for _, _, share in known], width=widths, align="edge", color=COVERAGE, linewidth=0)
    if all(p.coverage is None for p in periods if p.windows_published):
        axes.text(0.5, 0.5, SUPPRESSED["not-under-this-profile"], ha="center", va="center", transform=axes.transAxes)
    axes.set_ylim(0, 105)
    axes.set_ylabel("observed (%)")
    _tidy(axes)


def _times(axes: Axes, reply: StatsReplyV1) -> None:
    zone = ZoneInfo(reply.timezone)
    locator = AutoDateLocator(tz=zone)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=zone, show_offset=False))  # type: ignore[no-untyped-call]
    axes.set_xlim(_begin(reply.periods), _days(reply.periods[-1].end))
    axes.set_xlabel(f"time of {reply.timezone}")


def _begin(periods: list[PeriodV1]) -> float:
    """Return where the picture begins, in matplotlib's days: not long before the first published window."""
    first, last = _days(periods[0].start), _days(periods[-1].end)
    published = next((_days(period.start) for period in periods if period.windows_published), first)
    return max(first, published - _BEFORE * (last - published))


def _cut(axes: Axes, reply: StatsReplyV1) -> None:
    """Say since when nothing was published, where the picture begins later."""
    first = reply.periods[0].start
    if _begin(reply.periods) > _days(first):
        told = f" ◂ none since\n {local(first, ZoneInfo(reply.timezone)):%Y-%m-%d %H:%M} "
        look = {"boxstyle": "square,pad=0.3", "facecolor": "white", "edgecolor": "none"}
        axes.text(0.01, 0.5, told, transform=axes.transAxes, va="center", color=MISSING, bbox=look)


def _dates(reply: StatsReplyV1) -> str:
    zone = ZoneInfo(reply.timezone)
    first, last = local(reply.periods[0].start, zone), local(reply.periods[-1].end - 1, zone)
    return f"{first:%Y-%m-%d}" if first.date() == last.date() else f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
