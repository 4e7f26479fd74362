"""Draws the chart of an alert as PNG with matplotlib. The same contents give the same bytes.

Agg draws each chart as a Figure of its own, so charts share no state. They have dark ink on white, so they are readable
on a page of any colour.
"""

from collections.abc import Iterator

# Imported first: it says where matplotlib keeps its list of fonts.
from services.charts.periods import png  # isort: skip

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.text import Text

from services.notify.texts.chart import Chart, ZoneLine

_SIZE_IN = (4.6, 2.5)
_DPI = 200
"""Twice the pixels that a desktop shows, for high-resolution screens."""
_COLOURS = ("#0b57d0", "#b45309", "#7b2d8b", "#2f6f4f")
"""Distinct for colour-blind readers, and in grey on white."""
_INK, _SOFT, _GRID, _ALARM = "#1b1f24", "#57606a", "#e3e7eb", "#b3261e"
_LONGEST_NAME = 52
_NARROW = 24
"""Names with up to this many letters stand two in a row."""
_APART = 0.09
"""Height of a label, as a share of the axis."""
_FONT = "DejaVu Sans"  # comes with matplotlib


def draw(chart: Chart) -> bytes:
    """Return the chart as PNG on white; the same chart gives the same bytes."""
    figure = Figure(figsize=_SIZE_IN, dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    rows = _legend(figure, chart)
    axes = figure.add_axes((0.13, 0.11, 0.755, 0.84 - 0.075 * rows))
    _axes(axes, chart)
    _thresholds(axes, chart)
    for line, colour in zip(chart.lines, _COLOURS, strict=False):
        _line(axes, line, colour)
    return png(figure)


def _axes(axes: Axes, chart: Chart) -> None:
    axes.set_xlim(0, chart.length_s)
    axes.set_ylim(0, 1)
    axes.set_xticks([tick.at for tick in chart.times], [tick.label for tick in chart.times])
    axes.set_yticks([tick.at for tick in chart.rates], [tick.label for tick in chart.rates])
    axes.tick_params(labelsize=9.5, colors=_SOFT, length=0, labelfontfamily=_FONT)
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)


def _thresholds(axes: Axes, chart: Chart) -> None:
    """Draw the thresholds. Their labels stand at the right end and do not overlap."""
    free = 0.0
    for threshold in chart.thresholds:
        axes.axhline(threshold.at, color=_ALARM, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
        free = max(free, threshold.at)
        axes.text(
            1.015, free, threshold.label, color=_ALARM, fontsize=9, va="center", transform=axes.get_yaxis_transform()
        )
        free += _APART


def _line(axes: Axes, line: ZoneLine, colour: str) -> None:
    for run in line.runs:
        at = [point.at_s for point in run]
        low, high = [point.low for point in run], [point.high for point in run]
        axes.fill_between(at, low, high, color=colour, alpha=0.16, linewidth=0)
        if len(run) == 1:
            axes.vlines(at, low, high, color=colour, alpha=0.3, linewidth=3)
        axes.plot(at, [point.rate for point in run], color=colour, linewidth=1.8, marker="o", markersize=3)
    axes.plot(line.withheld_s, [0.03] * len(line.withheld_s), "x", color=colour, markersize=5, markeredgewidth=1.2)


def _legend(figure: Figure, chart: Chart) -> int:
    """Return the number of rows. Names are set afterwards: matplotlib gives a leading "_" and "$" a meaning."""
    named = [(_handle("o", colour), _name(line)) for line, colour in zip(chart.lines, _COLOURS, strict=False)]
    if chart.withheld:
        named.append((_handle("x", _SOFT), chart.withheld))
    columns = 2 if all(len(name) <= _NARROW for _, name in named) else 1
    legend = figure.legend(
        [handle for handle, _ in named], ["."] * len(named), ncols=columns, loc="upper left",
        bbox_to_anchor=(0.115, 1.0), frameon=False, fontsize=9.5, handlelength=1.2, columnspacing=1.2,
        handletextpad=0.5, borderpad=0.2,
    )  # fmt: skip
    for text, (_, name) in zip(_texts(legend.get_texts()), named, strict=True):
        text.set_text(name)
    return -(-len(named) // columns)


def _texts(texts: list[Text]) -> Iterator[Text]:
    for text in texts:
        text.set_parse_math(False)
        text.set_color(_INK)
        yield text


def _handle(marker: str, colour: str) -> Line2D:
    return Line2D([], [], color=colour, marker=marker, markersize=4, linewidth=1.8 if marker == "o" else 0)


def _name(line: ZoneLine) -> str:
    """Return the zone's name, or its id if the font lacks a letter of the name."""
    letters = get_font(findfont(FontProperties(family=_FONT))).get_charmap()
    name = line.name if all(ord(sign) in letters for sign in line.name) else line.zone
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
