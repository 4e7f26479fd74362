"""The chart of `moretta stats --chart`: the rate over time with its interval, drawn without a screen."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

from services.charts import periods as drawing
from services.charts.periods import Axes, Figure

# After services.charts.periods, which sets where matplotlib keeps its list of fonts.
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # isort: skip

from operate.live_state import SUPPRESSED
from proto.stats import PeriodV1, StatsReplyV1
from proto.types import WHOLE_SITE
from services.statistics.calendar import local

_DPI = 150
_FIRST = ("rate", "95 % interval")
"""The first entries of the legend; the others follow in the order in which they are drawn."""
_BEFORE = 1 / 3
"""The most that is shown of the time before the first published window, as a share of the time after it."""
_LABELS = drawing.Labels(
    rate="rate",
    interval="95 % interval",
    missing="no window published",
    nobody="nobody judged",
    suppressed=SUPPRESSED,
    rate_axis="wear a mask (%)",
    coverage_axis="observed (%)",
)


def chart(reply: StatsReplyV1, path: Path) -> None:
    """Write a PNG: the rate with its 95 % interval above, the coverage below, each period drawn to its length.

    No line crosses a period without a rate. A period that shows no figures is hatched; a period without a published
    window is cross-hatched. The time before the first published window takes a quarter of the picture at most; a note
    tells of the rest.
    """
    figure = Figure(figsize=(10, 5.6), dpi=_DPI, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    drawing.rates(upper, reply.periods, _LABELS)
    drawing.marks(upper, reply.periods, _LABELS)
    drawing.coverage(lower, reply.periods, _LABELS)
    _times(lower, reply)
    _cut(upper, reply)
    place = "the whole site" if reply.zone == WHOLE_SITE else f"zone {reply.zone}"
    upper.set_title(f"{reply.site}, {place}: share of people who wear a mask, {_dates(reply)}", loc="left")
    named = dict(zip(*reversed(upper.get_legend_handles_labels()), strict=True))
    labels = sorted(named, key=lambda label: _FIRST.index(label) if label in _FIRST else len(_FIRST))
    handles = [named[label] for label in labels]
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels) or 1, frameon=False)
    figure.savefig(path)


def _times(axes: Axes, reply: StatsReplyV1) -> None:
    zone = ZoneInfo(reply.timezone)
    locator = AutoDateLocator(tz=zone)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=zone, show_offset=False))  # type: ignore[no-untyped-call]
    axes.set_xlim(_begin(reply.periods), drawing.days(reply.periods[-1].end))
    axes.set_xlabel(f"time of {reply.timezone}")


def _begin(periods: list[PeriodV1]) -> float:
    """Return where the picture begins, in matplotlib's days: not long before the first published window."""
    first, last = drawing.days(periods[0].start), drawing.days(periods[-1].end)
    published = next((drawing.days(period.start) for period in periods if period.windows_published), first)
    return max(first, published - _BEFORE * (last - published))


def _cut(axes: Axes, reply: StatsReplyV1) -> None:
    """Write since when nothing was published, if the picture begins later."""
    first = reply.periods[0].start
    if _begin(reply.periods) > drawing.days(first):
        label = f" ◂ none since\n {local(first, ZoneInfo(reply.timezone)):%Y-%m-%d %H:%M} "
        look = {"boxstyle": "square,pad=0.3", "facecolor": "white", "edgecolor": "none"}
        axes.text(0.01, 0.5, label, transform=axes.transAxes, va="center", color=drawing.MISSING, bbox=look)


def _dates(reply: StatsReplyV1) -> str:
    zone = ZoneInfo(reply.timezone)
    first, last = local(reply.periods[0].start, zone), local(reply.periods[-1].end - 1, zone)
    return f"{first:%Y-%m-%d}" if first.date() == last.date() else f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"
