"""The chart of `bench.scaling`: over its minutes, cameras off and by replica, pictures, processor time; and events."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.axes import COLOURS, tidy
from bench.scaling_autoscalers import SHED_SHARE, TARGET_CPU
from bench.scaling_found import Found
from bench.scaling_off import off_at

_MARKS = {"add": ("^", COLOURS[2]), "remove": ("v", COLOURS[1]), "kill": ("x", COLOURS[5])}
_LANES = {"ingest": 1, "inference": 0}


def chart(path: Path, found: Found) -> None:
    """Draw the chart as a PNG."""
    figure = Figure(figsize=(10, 9.5), dpi=100, layout="constrained")
    heights = [0.55, 1, 1.3, 1, 1]
    events, off, share, pictures, cores = figure.subplots(5, 1, sharex=True, height_ratios=heights)
    _events(events, found)
    _off(off, found)
    _shares(share, found)
    _pictures(pictures, found)
    _cores(cores, found)
    cores.set_xlabel("minutes")
    cores.set_xlim(0, (found.ran.ended - found.ran.began) / 60)
    figure.savefig(path)


def _minutes(found: Found, at: float) -> float:
    return (at - found.ran.began) / 60


def _events(axes: Axes, found: Found) -> None:
    for act, (marker, colour) in _MARKS.items():
        some = [one for one in found.ran.events if one.act == act]
        heights = [_LANES[one.service] for one in some]
        label = {"add": "added", "remove": "removed (SIGTERM)", "kill": "killed (SIGKILL), replaced"}[act]
        axes.scatter([_minutes(found, one.at) for one in some], heights, marker=marker, color=colour, s=22, label=label)
    axes.set_yticks(list(_LANES.values()), list(_LANES))
    axes.set_ylim(-0.6, 1.6)
    axes.legend(frameon=False, fontsize=8, ncols=3, loc="lower right", bbox_to_anchor=(1, 0.95))
    axes.set_title("One process", loc="left")
    tidy(axes)


def _off(axes: Axes, found: Found) -> None:
    ran = found.ran
    moments = [ran.began + second for second in range(int(ran.ended - ran.began) + 1)]
    counts = [off_at(found.off, moment) for moment in moments]
    axes.fill_between([_minutes(found, at) for at in moments], counts, step="post", color=COLOURS[5], linewidth=0)
    axes.set_ylim(bottom=0)
    axes.set_title(f"Cameras off, of {ran.plan.cameras}", loc="left")
    tidy(axes)


def _shares(axes: Axes, found: Found) -> None:
    shares = [one for one in found.ran.seen.shares if found.ran.began <= one.at <= found.ran.ended]
    minutes = [_minutes(found, one.at) for one in shares]
    for name in sorted({name for one in shares for name in one.cameras}):
        heights = [one.cameras.get(name, float("nan")) for one in shares]
        axes.plot(minutes, heights, drawstyle="steps-post", color=COLOURS[0], linewidth=0.6, alpha=0.7)
    axes.set_ylim(bottom=0)
    axes.set_title("Cameras of each replica of ingest", loc="left")
    tidy(axes)


def _pictures(axes: Axes, found: Found) -> None:
    minutes = [_minutes(found, at) for at, _ in found.rates]
    for outcome, label, colour in (("done", "analysed", COLOURS[0]), ("shed", "shed", COLOURS[1])):
        axes.plot(minutes, [of.get(outcome, 0.0) for _, of in found.rates], color=colour, linewidth=1, label=label)
    axes.axhline(found.ran.plan.due, color=COLOURS[6], linewidth=0.7, linestyle=":", label="due")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=8, ncols=3, loc="center right")
    axes.set_title("Pictures a second", loc="left")
    tidy(axes)


def _cores(axes: Axes, found: Found) -> None:
    times = [_minutes(found, at) for at, _, _ in found.busy]
    axes.plot(times, [own for _, own, _ in found.busy], color=COLOURS[6], linewidth=1, label="cores in use")
    minutes = [_minutes(found, one.at) for one in found.wishes]
    axes.plot(minutes, [one.cpu / TARGET_CPU for one in found.wishes], color=COLOURS[0], linewidth=1,
              label="HPA: processor time / target")  # fmt: skip
    axes.plot(minutes, [one.shed / SHED_SHARE for one in found.wishes], color=COLOURS[1], linewidth=1,
              label="KEDA: share shed / threshold")  # fmt: skip
    axes.axhline(1.0, color=COLOURS[6], linewidth=0.7, linestyle=":")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=8, ncols=3, loc="upper right")
    axes.set_title("Processor time, and what autoscalers would read: above 1 they want more", loc="left")
    tidy(axes)
