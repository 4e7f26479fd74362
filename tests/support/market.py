"""Films of people who cross as in the demo's market, with other phases."""

from pathlib import Path

from msgspec import structs

from testbed.simulation.crowd_plan import Plan
from testbed.simulation.film import film
from testbed.simulation.scenario import Phase, Scenario, load_scenario

PEOPLE_PER_MINUTE, LEAVING_S = 40, 6


def market(*phases: tuple[float, float], seed: int = 1, **changes) -> Scenario:
    """The demo's scenario with these phases, each with seconds and masked share; then the last people leave."""
    coming = [Phase(seconds=s, arrivals_per_minute=PEOPLE_PER_MINUTE, masked=masked) for s, masked in phases]
    return structs.replace(load_scenario("market"), phases=[*coming, Phase(seconds=LEAVING_S)], seed=seed, **changes)


def market_film(path: Path, *phases: tuple[float, float], seed: int = 1) -> Path:
    """Write what one camera sees of it; return its path."""
    return film(path, Plan.drawn(market(*phases, seed=seed)))
