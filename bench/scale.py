"""The cost of the bus, aggregate and notify by cameras and sites, beyond one machine: `python -m bench.scale`.

It stores simulated sightings at the cameras' real rate on a real nats-server with its identities. It measures processor
time, because other work on the machine lengthens times by the clock. `--report FOLDER` writes numbers and chart.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import msgspec
import psutil
import typer
import uvloop
from rich.console import Console
from rich.table import Table

from bench.scale_found import PROGRAMS, Found, lines, per_site
from bench.scale_load import NOBODY, Load
from bench.scale_system import Layout, measure, restart
from bench.verdicts import Row, at_least, at_most
from services.kernel.log import LogSettings, configure

_MIB = 1 << 20


@dataclass(frozen=True)
class Plan:
    """The layouts to measure, and for how long."""

    cameras: tuple[int, ...] = (10, 100, 300, 1_000)
    """At one site, with the crowd of `medium`."""
    crowds: tuple[str, ...] = (NOBODY, "dense")
    """Other crowds, each with `beside` cameras."""
    sites: tuple[int, ...] = (10, 100)
    """The numbers of sites into which `beside` cameras are split."""
    beside: int = 100
    replicas: int = 2
    """Replicas of aggregate, at the first of `sites`."""
    seconds: float = 25.0
    warm_up_s: float = 8.0
    restart_cameras: int = 20
    restart_s: float = 1_200.0

    @property
    def layouts(self) -> list[Layout]:
        """All layouts, in the order of their measurement."""
        loads = [Load(cameras=n) for n in self.cameras]
        loads += [Load(cameras=self.beside, scenario=crowd) for crowd in self.crowds]
        loads += [Load(cameras=self.beside, sites=n) for n in self.sites]
        found = [Layout(load, seconds=self.seconds, warm_up_s=self.warm_up_s) for load in loads]
        return [*found, replace(found[-len(self.sites)], replicas=self.replicas)]


QUICK = Plan(cameras=(4, 20), crowds=(NOBODY,), sites=(5,), beside=20, seconds=12.0, warm_up_s=3.0, restart_s=60.0)


async def look(plan: Plan, told: Callable[[str, float], None]) -> Found:
    """Measure all layouts and a restart."""
    runs, layouts = [], plan.layouts
    for number, layout in enumerate(layouts):
        told(in_words(layout), number / (len(layouts) + 1))
        runs.append(await measure(layout))
    told("a restart", len(layouts) / (len(layouts) + 1))
    load = Load(cameras=plan.restart_cameras, at_once_s=plan.restart_s)
    return Found(runs, await restart(load, max(60.0, plan.restart_s)))


def in_words(layout: Layout) -> str:
    """Return a layout in words."""
    load = layout.load
    sites = f"{load.sites} sites" if load.sites > 1 else "one site"
    return f"{load.cameras} cameras, {sites}, {load.scenario}, {layout.replicas} aggregate"


def rows(found: Found) -> list[Row]:
    """Return the rows of the capacity table: those of the most cameras at one site, and of the restart."""
    most, again = found.curve()[-1], found.restart
    note = (
        f"{most.faces:.1f} faces a picture, {most.told_share:.0%} of what was due, {most.cores('aggregate'):.2f} cores"
    )
    where = f"{most.layout.load.cameras} cameras at one site: "
    held = f"{again.messages} sightings ({again.stream_bytes / _MIB:.0f} MiB), {again.passages} passages stored"
    read = f"{held}, {again.cpu_s:.1f} s of processor time"
    return [
        at_most(f"{where}aggregate, processor time per sighting", 0.2, [most.ms("aggregate")], " ms", note),
        at_most(f"{where}nats-server, processor time per sighting", 0.1, [most.ms("nats-server")], " ms"),
        at_most(f"{where}aggregate's lag", 1.0, [median(most.lags)], " s", f"at most {max(most.lags):.2f} s"),
        at_most(f"{where}from a window's end to its publication", 2.0, [max(most.closing, default=0.0)], " s"),
        at_least("sightings read a second after a restart", 3_000, [round(again.messages / again.seconds)], read),
    ]


def table(found: Found) -> Table:
    """Return a table of each run's costs."""
    shown = Table("", *(f"{name}: cores" for name in PROGRAMS), "MiB", "lag, s", "closing, s", "told", "faces")
    for run in found.runs:
        cores = (f"{run.cores(name):.3f}" for name in PROGRAMS)
        memory = " ".join(f"{run.rss[name] // _MIB}" for name in PROGRAMS)
        closing = f"{max(run.closing):.2f}" if run.closing else "-"
        lag, told = f"{median(run.lags):.3f}", f"{run.told_share:.0%}"
        shown.add_row(in_words(run.layout), *cores, memory, lag, closing, told, f"{run.faces:.2f}")
    return shown


def figures(found: Found) -> dict[str, Any]:
    """Return all results as JSON data."""
    fits = {"per_camera": lines(found.curve()), "per_site": per_site(found.runs)}
    return dict(msgspec.to_builtins({"found": found, **fits, "load_average": psutil.getloadavg()}))


def run(
    quick: Annotated[bool, typer.Option("--quick", help="one short round, to see that it works")] = False,
    report: Annotated[Path | None, typer.Option(metavar="FOLDER", help="write numbers and chart there")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Measure what sightings of up to 1000 cameras cost the bus, aggregate and notify; about eight minutes."""
    configure("bench", LogSettings(level="error"))
    write, console = _writer(report), Console(stderr=True)
    found = uvloop.run(look(QUICK if quick else Plan(), lambda what, _done: console.print(what, highlight=False)))
    write(found)
    if as_json:
        print(json.dumps(figures(found)))
        return
    Console(width=160).print(table(found))
    for row in rows(found):
        print(f"{row.name}: {row.measured} ({row.target}, {row.verdict}) {row.note}")


def _writer(folder: Path | None) -> Callable[[Found], None]:
    """Return a function that writes the report. Check now that it can, because measuring takes minutes."""
    if folder is None:
        return lambda _found: None
    try:
        from bench.scale_chart import chart
    except ModuleNotFoundError as error:
        hint = f"needs {error.name}; install it with: pip install 'moretta[eval]'"
        raise typer.BadParameter(hint, param_hint="--report") from None
    folder.mkdir(parents=True, exist_ok=True)

    def write(found: Found) -> None:
        (folder / "scale.json").write_text(json.dumps(figures(found), indent=1) + "\n", encoding="utf-8")
        chart(folder / "scale.png", found)

    return write


if __name__ == "__main__":
    typer.run(run)
