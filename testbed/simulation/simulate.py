"""`moretta simulate`: writes the film or the truth, or publishes the sightings on the bus."""

import asyncio
import itertools
import math
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from modelling.evaluation.labelled import InputError
from operate import output
from services.kernel.settings import SettingsError
from testbed.simulation.crowd_plan import Plan, Truth, truth
from testbed.simulation.scenario import Scenario, load_scenario
from testbed.simulation.sightings import SECOND, plans

COMMAND = "moretta simulate"
CAMERA = "film"
"""The name of a film's one camera in the truth."""
_SUFFIXES = (".mp4", ".mkv", ".mov")
_STANDARD_OUTPUT = Path("-")


def require_one(
    out: Path | None, truth_file: Path | None, people: Path | None, config: Path | None, *, bus: bool
) -> None:
    """Raise SettingsError unless the options ask for one output and give everything that it needs."""
    if (bus and out is not None) or not (bus or out or truth_file):
        raise SettingsError(COMMAND, [("", "needs one of --out FILE.mp4, --bus and --truth FILE alone")])
    if bus and config is None:
        raise SettingsError(COMMAND, [("--bus", "needs -c FILE, which says where NATS is")])
    if people is not None and out is None:
        raise SettingsError(COMMAND, [("--people", "is for a film; give --out too")])


def load(name: str, seed: int | None) -> Scenario:
    """Return the scenario of that name or file, with another seed if one is given."""
    scenario = load_scenario(name)
    return scenario if seed is None else msgspec.structs.replace(scenario, seed=seed)


def film(name: str, scenario: Scenario, out: Path | None, truth_file: Path | None, people: Path | None) -> None:
    """Write the film, its truth, or both, and print the truth's sums."""
    if out is not None and out.suffix.lower() not in _SUFFIXES:
        raise SettingsError(COMMAND, [("--out", f"{str(out)!r} is no film; end it in {', '.join(_SUFFIXES)}")])
    plan = Plan.drawn(scenario)
    drawing = None if out is None else _drawing(plan, out, people)
    _touch("--out", out)
    _touch("--truth", truth_file)
    if drawing is not None:
        drawing()
    _print_truth(_reckon(name, scenario, {CAMERA: plan}), truth_file)


def _touch(option: str, file: Path | None) -> None:
    """Raise SettingsError for a file that can't be written, before the work."""
    if file is None or file == _STANDARD_OUTPUT:
        return
    try:
        file.touch()
    except OSError as error:
        why = f"{str(file)!r} cannot be written: {error.strerror}; name a file in a folder that is there"
        raise SettingsError(COMMAND, [(option, why)]) from None


def _drawing(plan: Plan, out: Path, people: Path | None) -> Callable[[], None]:
    """Return a function that draws the film; SettingsError if `people` can't be used."""
    from testbed.simulation import film as films
    from testbed.simulation.cutouts import Cutouts

    try:
        cutouts = None if people is None else Cutouts.of(people, plan.scenario)
    except InputError as error:
        raise SettingsError(COMMAND, [("--people", str(error))]) from None

    def draw() -> None:
        done = itertools.count(1)
        with output.progress("drawing", films.count(plan)) as progress:
            films.film(out, plan, cutouts, lambda: progress(next(done)))

    return draw


async def bus(
    name: str, scenario: Scenario, config: Path, site: str | None, truth_file: Path | None, speed: float
) -> None:
    """Publish the scenario on the bus, and write its truth if `truth_file` is given."""
    from testbed.simulation.publishing import ground

    _touch("--truth", truth_file)
    async with ground(config, site) as where:
        began = await where.began(scenario)
        found = await asyncio.to_thread(plans, scenario, where.cameras)
        with output.progress(f"simulating {where.site}", scenario.length_s) as progress:
            count = await where.run(scenario, found, began, speed, progress)
    summary = f"{where.site}: {count} messages of {len(found)} cameras, {scenario.length_s:g} s of event time"
    print(f"{summary}\n{_look(where.site, config, began, scenario.length_s)}", file=sys.stderr)
    if truth_file is not None:
        _print_truth(_reckon(name, scenario, found, began), truth_file)


def _look(site: str, config: Path, began: int, length_s: float) -> str:
    """Return the command that shows the published windows. It names whole hours: some windows are ahead of now."""
    end = began // SECOND + length_s
    hours = [began // SECOND // 3_600 * 3_600, math.ceil(end / 3_600) * 3_600]
    since, until = (f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%MZ}" for at in hours)
    return f"look at it: moretta stats {site} --from {since} --to {until} -c {config}"


def _reckon(name: str, scenario: Scenario, found: dict[str, Plan], began: int | None = None) -> Truth:
    with output.progress("reckoning the truth", None):
        return truth(name, scenario, found, began)


def _print_truth(true: Truth, truth_file: Path | None) -> None:
    """Write the truth to its file, if any, and show its sums; `-` writes the truth to standard output instead."""
    if truth_file == _STANDARD_OUTPUT:
        sys.stdout.buffer.write(true.encoded())
        return
    if truth_file is not None:
        truth_file.write_bytes(true.encoded())
    Console().print(table(true))


def table(true: Truth) -> Table:
    """Return the sums of a truth: the people who count as seen, beside the rate of the process of arrivals."""
    counts, persons = true.counts, len(true.passages)
    shown = Table(title=f"{persons} people who count as seen in {true.seconds:g} s, seed {true.seed}")
    row: list[Any] = [*counts.values(), output.percent(counts["masked"] / persons if persons else None)]
    for heading in (*counts, "rate", "rate of those who come"):
        shown.add_column(heading, justify="right")
    shown.add_row(*map(str, row), output.percent(true.masked_share))
    return shown
