"""The capacity table as Markdown, the numbers as JSON, and a chart."""

import json
from pathlib import Path
from statistics import median
from typing import Any

import services.charts.plotting  # noqa: F401 - before matplotlib  # isort: skip

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench.axes import COLOURS, tidy
from bench.rows import Bench
from bench.system import PROGRAMS, Run

# Okabe and Ito's colours, told apart by colour-blind people; the markers differ too.
_MARKERS = "os^Dv"
_BEYOND_MS = 110.0
"""The height at which the chart shows a percentile beyond the last bound, 100 ms."""


def write(folder: Path, figures: dict[str, Any], bench: Bench) -> None:
    """Write capacity.md, capacity.json and, if there is something to draw, capacity.png."""
    runs = {form: [run_figures(n, one) for n, one in tried] for form, tried in bench.searched.items()}
    before = bench.earlier
    runs = {**(before.runs if before else {}), **runs}
    costs = {**(before.cpu_ms if before else {}), **bench.costs}
    everything = {**figures, "runs": runs, "cpu_ms": costs}
    (folder / "capacity.json").write_text(json.dumps(everything, indent=1) + "\n", encoding="utf-8")
    has_chart = bool(runs or costs)
    (folder / "capacity.md").write_text(markdown(figures, has_chart=has_chart), encoding="utf-8")
    if has_chart:
        chart(folder / "capacity.png", runs, costs)


def run_figures(cameras: int, run: Run) -> dict[str, Any]:
    """Return the report's figures of a run; None for a percentile beyond 100 ms."""
    finite = {name: 1e3 * run.lifetime.quantile(share) for name, share in (("p50_ms", 0.5), ("p99_ms", 0.99))}
    return {
        "cameras": cameras,
        **{name: None if ms == float("inf") else round(ms, 1) for name, ms in finite.items()},
        "shed_share": round(run.shed_share, 4),
        "analysed_share": round(run.analysed_share, 4),
        "outcomes": run.outcomes,
        "cores": round(run.cores, 3),
        "others_cores": round(run.others, 3),
        "cpu_ms": {name: round(ms, 3) for name, ms in run.cpu_ms.items()},
    }


def markdown(figures: dict[str, Any], *, has_chart: bool) -> str:
    """Return the table."""
    machine = figures["machine"]
    place = f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}"
    lines = [f"{place}; {machine['idle']:.0%} idle before the run.", ""]
    lines += [f"**{text[0].upper()}{text[1:]}.**\n" for text in figures["warnings"]]
    lines += ["| row | target | measured | | runs | note |", "|---|---|---|---|---|---|"]
    for row in figures["rows"]:
        runs = ", ".join(f"{value:.4g}" for value in row["runs"])
        cells = (row["name"], row["target"], row["measured"], row["verdict"], runs, row["note"])
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*lines, "", *(["![capacity](capacity.png)"] if has_chart else []), ""])


def chart(path: Path, runs: dict[str, list[dict[str, Any]]], costs: dict[str, dict[str, list[float]]]) -> None:
    """Draw p99 by number of cameras beside the processor time of one analysed picture; a PNG."""
    figure = Figure(figsize=(11, 4.6), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    _lifetimes(left, runs)
    _costs(right, costs)
    figure.savefig(path)


def _lifetimes(axes: Axes, runs: dict[str, list[dict[str, Any]]]) -> None:
    for (form, tried), colour, marker in zip(runs.items(), COLOURS, _MARKERS, strict=False):
        for passed, fill in ((True, colour), (False, "none")):
            some = [one for one in tried if _is_good(one) is passed]
            heights = [min(_BEYOND_MS, one["p99_ms"] or _BEYOND_MS) for one in some]
            label = form if passed else f"{form}, pictures dropped or late"
            axes.scatter(
                [one["cameras"] for one in some],
                heights,
                marker=marker,
                edgecolors=colour,
                facecolors=fill,
                label=label,
            )
    axes.axhline(100, color="#666666", linestyle="--", linewidth=1)
    axes.set_ylim(0, 1.08 * _BEYOND_MS)
    axes.set_xlabel("cameras")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("pixel lifetime, p99 (ms)")
    axes.set_title("How long pixels live", loc="left")
    if runs:
        axes.legend(frameon=False, fontsize=8)
    tidy(axes)


def _is_good(one: dict[str, Any]) -> bool:
    return one["p99_ms"] is not None and one["shed_share"] <= 0.01 and one["analysed_share"] >= 0.98


def _costs(axes: Axes, costs: dict[str, dict[str, list[float]]]) -> None:
    """Draw two bars a stream: the system by program, and the same work in one process."""
    for place, by_program in enumerate(costs.values()):
        base = 0.0
        for name, colour in zip(PROGRAMS, COLOURS, strict=False):
            ms = median(by_program.get(name, [0.0]))
            label = name if place == 0 else None
            axes.bar(place - 0.2, ms, bottom=base, color=colour, label=label, width=0.36)
            base += ms
        alone, label = median(by_program.get("in one process", [0.0])), "in one process" if place == 0 else None
        axes.bar(place + 0.2, alone, color=COLOURS[-1], label=label, width=0.36)
    axes.set_xticks(range(len(costs)), list(costs))
    if costs:
        axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    axes.set_ylabel("processor ms per analysed picture")
    axes.set_title("What one picture costs", loc="left")
    tidy(axes)
