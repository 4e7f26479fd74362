"""Who is lost where still scenes are analysed once a second? `python -m bench.unmoved [SCENARIO...] [--json]`.

The simulator's film of each scenario, with a sensor's grain, decides which pictures are left out (`when_still:
one-a-second`); its sightings of the others are counted as aggregate counts, beside all of them.
"""

import json
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
import typer
from msgspec import structs
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.counts import BEGAN, CAMERA, SITE, published
from operate import show
from operate.simulation.film import pictures
from operate.simulation.plan import Plan, truth
from operate.simulation.scenario import RATE, Scenario, load_scenario
from operate.simulation.sightings import PERIOD, plans, sightings
from proto.sightings import SightingsV1
from services.ingest.core.unmoved import EVERY_NS, Unmoved

SCENARIOS = ("sparse", "market", "queue", "turning", "distance", "lights", "meeting", "posters")
_GRAIN = 3.0
_LONGEST_S = 360.0
_WINDOW_S = 60.0


def kept(plan: Plan) -> Iterator[bool | None]:
    """Yield for each of the film's pictures whether it is analysed, and then for a second (True); None: left out."""
    unmoved, random = Unmoved(), np.random.default_rng(plan.scenario.seed)
    for number, picture in enumerate(pictures(plan)):
        luma = np.asarray(picture.convert("L"), np.int16)
        noisy = np.clip(luma + random.normal(0, _GRAIN, luma.shape), 0, 255).astype(np.uint8)
        yield None if unmoved.leaves_out(noisy, number * PERIOD) else unmoved.is_still


def compared(name: str, scenario: Scenario) -> dict[str, Any]:
    """Return the people of a scenario's windows by both ways and in truth, and the share of pictures analysed."""
    scenario = structs.replace(scenario, fps=float(RATE), seconds=min(scenario.length_s, _LONGEST_S))
    drawn = plans(scenario, [CAMERA])
    told = list(sightings(scenario, drawn, site=SITE, began=BEGAN, lease=1))
    still = list(track(kept(drawn[CAMERA]), name, int(scenario.length_s * RATE), console=Console(stderr=True)))
    few = [_vouching(one, is_still) for one in told if (is_still := still[_number(one)]) is not None]
    windows = [published(some, scenario, _WINDOW_S) for some in (told, few)]
    persons, masked = ([sum(getattr(w, what) or 0 for w in some) for some in windows] for what in ("persons", "masked"))
    true = len(truth(name, scenario, drawn).passages)
    return {"scenario": name, "analysed": len(few) / len(told), "truth": true, "persons": persons, "masked": masked}


def _number(one: SightingsV1) -> int:
    return round((one.at - BEGAN) / PERIOD)


def _vouching(one: SightingsV1, is_still: bool) -> SightingsV1:
    return structs.replace(one, period=EVERY_NS) if is_still else one


def table(rows: list[dict[str, Any]]) -> Table:
    """Return the comparison as a table."""
    shown = Table(
        "scenario", "analysed", "people: all", "one a second", "masks: all", "one a second", title="Still scenes"
    )
    for row in rows:
        shown.add_row(row["scenario"], show.percent(row["analysed"]), *map(str, (*row["persons"], *row["masked"])))
    return shown


def run(
    names: Annotated[list[str] | None, typer.Argument(metavar="SCENARIO", help="built-in scenarios or files")] = None,
    arrivals: Annotated[float | None, typer.Option(min=0, help="people a minute instead of each phase's own")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Count simulated people with every picture analysed, and with those of still scenes once a second."""
    rows = [compared(name, _with(load_scenario(name), arrivals)) for name in names or SCENARIOS]
    if as_json:
        print(json.dumps(rows))
    else:
        Console().print(table(rows))


def _with(scenario: Scenario, arrivals: float | None) -> Scenario:
    if arrivals is None:
        return scenario
    return structs.replace(
        scenario, phases=[structs.replace(phase, arrivals_per_minute=arrivals) for phase in scenario.phases]
    )


if __name__ == "__main__":
    typer.run(run)
