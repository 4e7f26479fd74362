"""The demo's films: its scenario, seen by three cameras."""

import asyncio
import itertools
from pathlib import Path

from rich.console import Console

from operate import show
from operate.simulation import sightings
from operate.simulation.demo.site import CAMERAS
from operate.simulation.film import count, film
from operate.simulation.plan import Plan
from operate.simulation.scenario import load_scenario


def plans() -> dict[str, Plan]:
    """Return the plan of each camera."""
    return sightings.plans(load_scenario("market"), list(CAMERAS))


async def make(folder: Path, plans: dict[str, Plan], console: Console) -> dict[str, Path]:
    """Make each camera's film below `folder`, in threads: encoding and drawing release Python's GIL for long."""
    films, done = {name: folder / f"{name}.mp4" for name in plans}, itertools.count(1)
    with show.progress("making three films", sum(map(count, plans.values()))) as progress:
        making = [
            asyncio.to_thread(film, films[name], plan, advance=lambda: progress(next(done)))
            for name, plan in plans.items()
        ]
        await asyncio.gather(*making)
    seconds = max(plan.scenario.length_s for plan in plans.values())
    console.print(f"made three films of {seconds:.0f} s; their people are drawn")
    return films
