"""Draws the charts of a daily report as PNG with matplotlib. The same contents give the same bytes.

Each chart is a Figure of its own, so charts share no state. They are narrow, so they are readable on a phone.
"""

# Imported first: it says where matplotlib keeps its list of fonts.
from services.charts import periods as drawing  # isort: skip

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from proto.public import Suppression
from services.charts.periods import drawable, png
from services.notify.reports.day import DayReport, ZoneDay, day_of
from services.notify.reports.report_view import suppressed
from services.notify.texts.words import Words
from services.statistics.calendar import instant, local

WIDTH = 4.0
"""Inches. A mail shows it 540 pixels wide, a phone 330; the letters must still be readable there."""
_DPI, _FONT_PT, _SMALL_PT = 260, 9.5, 9.0
_TICK_H, _LONGEST = 6, 44
_WHY: tuple[Suppression, ...] = ("small-count", "nothing-observed", "not-under-this-profile")


def hours_chart(report: DayReport, words: Words, zone: tzinfo, zone_name: str) -> bytes:
    """Return a PNG of the whole site's rate and interval over the day, and of the coverage where it is known."""
    labels = _labels(words)
    observed = any(part.coverage is not None for part in report.parts)
    figure = _figure(3.8 if observed else 3.0)
    ratios = (3, 1) if observed else (1,)
    found = figure.subplots(len(ratios), 1, sharex=True, squeeze=False, height_ratios=ratios)[:, 0]
    upper, lower = found[0], found[-1]
    drawing.rates(upper, report.parts, labels)
    drawing.marks(upper, report.parts, labels)
    if observed:
        drawing.coverage(lower, report.parts, labels)
        lower.set_yticks([0, 50, 100])
    for axes in found:
        _percent_ticks(axes, words)
    _clock(lower, report, zone, words)
    lower.set_xlabel(words.gettext("time of {zone}", zone=zone_name), fontsize=_SMALL_PT)
    handles, names = upper.get_legend_handles_labels()
    look = {
        "frameon": False,
        "fontsize": _SMALL_PT,
        "handleheight": 1.1,
        "columnspacing": 1.2,
        "handletextpad": 0.6,
    }
    figure.legend(handles, names, loc="outside lower center", ncols=2, **look)
    return png(figure)


def zones_chart(zones: Sequence[ZoneDay], names: Sequence[str], words: Words) -> bytes:
    """Return a PNG with a bar for each zone's rate and a whisker for its interval.

    A zone without a rate gets a hatched bar with the reason.
    """
    figure = _figure(0.75 + 0.62 * len(zones))
    axes = figure.subplots()
    for row, (place, name) in enumerate(zip(zones, names, strict=True)):
        _zone(axes, row, place, words)
        label = axes.text(
            0, row - 0.36, _short(drawable(name, place.zone)), va="bottom", fontsize=_FONT_PT, parse_math=False
        )
        label.set_in_layout(False)  # a wide label must not make the chart narrow
    axes.set_ylim(len(zones) - 0.45, -0.85)
    axes.set_xlim(0, 100)
    axes.set_yticks([])
    axes.set_xticks(
        [0, 25, 50, 75, 100], [words.percent(share) for share in (0, 0.25, 0.5, 0.75, 1)], fontsize=_SMALL_PT
    )
    axes.get_xticklabels()[0].set_horizontalalignment("left")
    axes.get_xticklabels()[-1].set_horizontalalignment("right")
    axes.grid(axis="x", color="#dddddd", linewidth=0.7)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_axisbelow(True)
    return png(figure)


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def _zone(axes: Axes, row: int, place: ZoneDay, words: Words) -> None:
    total = place.total
    if total.rate is None:
        missing = not total.windows_published
        look = {"hatch": "xx" if missing else "//", "edgecolor": drawing.MISSING if missing else drawing.HIDDEN}
        axes.barh(row, 100, height=0.5, facecolor="white", linewidth=0, **look)  # type: ignore[arg-type]
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        axes.text(50, row, _why_not(place, words), va="center", ha="center", fontsize=_SMALL_PT, bbox=box)
        return
    share = 100 * total.rate
    axes.barh(row, share, height=0.5, color=drawing.BAND, linewidth=0)
    axes.text(2, row, words.percent(total.rate), va="center", fontsize=_FONT_PT, fontweight="bold", color="#0b2f47")
    axes.plot([share, share], [row - 0.25, row + 0.25], color=drawing.RATE, linewidth=2, solid_capstyle="butt")
    if total.interval is not None:
        low, high = (100 * bound for bound in sorted(total.interval))
        whisker = [[max(0.0, share - low)], [max(0.0, high - share)]]
        axes.errorbar([share], [row], xerr=whisker, color=drawing.RATE, capsize=4, linewidth=1.4, linestyle="none")


def _why_not(place: ZoneDay, words: Words) -> str:
    if not place.total.windows_published:
        return words.gettext("nothing published")
    if place.total.suppressed is not None:
        return suppressed(place.total.suppressed, words)
    return words.gettext("nobody could be judged")


def _labels(words: Words) -> drawing.Labels:
    gettext = words.gettext
    return drawing.Labels(
        rate=gettext("rate"),
        interval=gettext("margin of error"),
        missing=gettext("nothing published"),
        nobody=gettext("nobody could be judged"),
        suppressed={why: suppressed(why, words) for why in _WHY},
        rate_axis=gettext("wore a mask"),
        coverage_axis=gettext("observed"),
    )


def _figure(height: float) -> Figure:
    return Figure(figsize=(WIDTH, height), dpi=_DPI, layout="constrained", facecolor="white")


def _percent_ticks(axes: Axes, words: Words) -> None:
    at = [tick for tick in axes.get_yticks() if 0 <= tick <= 100]
    axes.set_yticks(at, [words.percent(tick / 100) for tick in at], fontsize=_SMALL_PT)
    axes.set_ylabel(axes.get_ylabel(), fontsize=_SMALL_PT)


def _clock(axes: Axes, report: DayReport, zone: tzinfo, words: Words) -> None:
    """Mark every sixth hour of the site's clock, at the instant when the clock shows it; of a day, to its end."""
    end = day_of(report.day, zone).end
    first = local(report.span.start, zone).replace(hour=0, minute=0, second=0)
    moments = [_shown(first, hour) for hour in range(0, 24, _TICK_H)]
    at = [drawing.days(instant(moment)) for moment in moments] + [drawing.days(end)]
    names = [words.time(moment) for moment in moments] + [words.time(local(end, zone))]
    axes.set_xticks(at, names, fontsize=_SMALL_PT)
    axes.set_xlim(drawing.days(report.span.start), drawing.days(end))


def _shown(first: datetime, hour: int) -> datetime:
    return first + timedelta(hours=hour)  # hours of the wall clock: datetime adds to the time that it shows
