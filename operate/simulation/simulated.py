"""`moretta up --simulate`: simulated cameras and windows of seconds, to try out a subscriber."""

import asyncio
from pathlib import Path

from rich.console import Console


def simulated(folder: Path) -> Path:
    """Make the demo's films below `folder`, and return a settings file whose cameras show them in a loop."""
    from operate.simulation.demo import films, site

    made = asyncio.run(films.make(folder, films.plans(), Console(stderr=True)))
    return site.write(site.looped(made), folder)
