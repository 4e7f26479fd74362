"""The chart of `bench.scale`: each program's cores by cameras, and by sites. A hollow marker: it did not keep up."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.axes import COLOURS, tidy
from bench.scale_found import PROGRAMS, Fit, Found, lines, per_site, site_runs
from bench.scale_system import Measured

_MARKERS = "os^"


def chart(path: Path, found: Found) -> None:
    """Draw the chart as a PNG."""
    figure = Figure(figsize=(11, 4.6), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2)
    curve, shared = found.curve(), site_runs(found.runs)
    _draw(left, curve, lines(curve), lambda run: run.layout.load.cameras)
    left.set_xlabel("cameras of one site, five sightings a second each")
    left.set_title("By cameras", loc="left")
    _draw(right, shared, per_site(found.runs), lambda run: run.layout.load.sites)
    right.set_xlabel(f"sites that share {shared[0].layout.load.cameras} cameras")
    right.set_title("By sites", loc="left")
    figure.savefig(path)


def _draw(axes: Axes, runs: Sequence[Measured], fitted: Mapping[str, Fit], of: Callable[[Measured], int]) -> None:
    most = max(map(of, runs))
    for name, colour, marker in zip(PROGRAMS, COLOURS, _MARKERS, strict=False):
        for fair, fill in ((True, colour), (False, "none")):
            some = [run for run in runs if run.kept_up is fair]
            label = name if fair else None
            heights = [run.cores(name) for run in some]
            axes.scatter(list(map(of, some)), heights, edgecolors=colour, facecolors=fill, marker=marker, label=label)
        axes.plot([0, most], [fitted[name].at(0), fitted[name].at(most)], color=colour, linewidth=1)
    axes.set_ylabel("cores")
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.legend(frameon=False, fontsize=8)
    tidy(axes)
