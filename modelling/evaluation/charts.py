"""The charts of the report. Matplotlib draws them without a screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import services.sites.plotting  # noqa: F401 - before matplotlib  # isort: skip

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from services.sites.proportions import wilson

# Okabe and Ito's colours, told apart by colour-blind people; the markers differ too.
MASKED, BARE, GREY = "#0072B2", "#D55E00", "#666666"
_DPI = 150


def _error_bars(share: float, faces: int) -> tuple[float, float]:
    """Return how far the 95 % interval reaches below and above a share, in percent."""
    low, high = wilson(round(share * faces), faces) or (share, share)
    return 100 * max(0.0, share - low), 100 * max(0.0, high - share)


def _points(axes: Axes, points: list[tuple[float, float, int]], **look: Any) -> None:
    """Draws (x, share, faces) with intervals."""
    bars = [_error_bars(share, faces) for _, share, faces in points]
    axes.errorbar(
        [x for x, _, _ in points],
        [100 * share for _, share, _ in points],
        yerr=([low for low, _ in bars], [high for _, high in bars]),
        linestyle="none",
        capsize=3,
        **look,
    )


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)


def _honesty(axes: Axes, bins: list[dict[str, Any]], low: float) -> None:
    axes.plot([low, 100], [low, 100], color=GREY, linestyle="--", linewidth=1, label="as right as it is sure")
    points = [(100 * one["mean_confidence"], one["share_right"], one["faces"]) for one in bins]
    _points(axes, points, color=MASKED, marker="o", label="the model, with 95 % interval")
    axes.set_ylim(-3, 103)
    axes.set_ylabel("of these faces, right (%)")
    _tidy(axes)


def _counts(axes: Axes, bins: list[dict[str, Any]]) -> None:
    centres = [50 * (one["low"] + one["high"]) for one in bins]
    bars = axes.bar(centres, [one["faces"] for one in bins], width=9, color="#b8cfe0")
    axes.bar_label(bars, padding=2, fontsize=8)
    axes.margins(y=0.25)
    axes.set_ylabel("faces")
    axes.set_xlabel("how sure the model is of mask or no mask (%)")
    _tidy(axes)


def reliability_chart(figures: dict[str, Any], path: Path) -> None:
    """Write the reliability diagram (Guo et al. 2017) as a PNG, with the number of faces in each bin below."""
    bins = [one for one in figures["calibration"]["bins"] if one["faces"]]
    # The likelier of mask and no mask has a confidence of at least one half.
    low = 100 * min([0.5, *(one["low"] for one in bins)])
    figure = Figure(figsize=(7, 6.4), dpi=_DPI, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    _honesty(upper, bins, low)
    _counts(lower, bins)
    for axes in (upper, lower):
        axes.axvspan(low, 100 * figures["unknown_below"], color="#eeeeee", zorder=0)
    upper.text(low + 1, 99, "unknown: not sure\nenough to be judged", color=GREY, va="top", fontsize=9)
    upper.set_xlim(low, 100)
    upper.legend(loc="lower right", frameon=False)
    ece = figures["calibration"]["ece"]
    off = "no face found" if ece is None else f"on average {100 * ece:.1f} points off"
    upper.set_title(f"Is the model as right as it is sure? {off[0].upper()}{off[1:]}", loc="left")
    figure.savefig(path)


def _recalls(rows: list[dict[str, Any]], name: str, shift: float) -> list[tuple[float, float, int]]:
    classes = [(place + shift, one["classes"][name]) for place, one in enumerate(rows)]
    return [(x, counts["recall"], counts["faces"]) for x, counts in classes if counts["faces"]]


def _size_label(one: dict[str, Any]) -> str:
    low, _, high = one["size"].partition("-")
    size = f"{low} to {high} px" if high else f"{low} px and more"
    masked, bare = (one["classes"][name]["faces"] for name in ("mask", "no_mask"))
    return f"{size}\n{masked} masked\n{bare} bare"


def recall_chart(figures: dict[str, Any], path: Path) -> None:
    """Write a PNG: the share of masked and of bare faces found, by size of the face, with 95 % intervals."""
    rows = figures["by_size"]
    figure = Figure(figsize=(max(5.0, 1 + 1.2 * len(rows)), 5.2), dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    _points(axes, _recalls(rows, "mask", -0.1), color=MASKED, marker="o", label="masked")
    _points(axes, _recalls(rows, "no_mask", 0.1), color=BARE, marker="s", label="bare")
    axes.set_ylim(-3, 103)
    axes.set_xlim(-0.5, max(0.5, len(rows) - 0.5))
    axes.set_xticks(range(len(rows)), [_size_label(one) for one in rows])
    axes.set_ylabel("found (%), with 95 % interval")
    axes.set_title("Which faces are found, by size", loc="left")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, borderaxespad=0.2)
    _tidy(axes)
    figure.savefig(path)
