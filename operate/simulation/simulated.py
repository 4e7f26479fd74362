"""`moretta up --simulate`: simulated cameras and windows of seconds, to try out a subscriber."""

import asyncio
from pathlib import Path

from rich.console import Console

from services.kernel.settings import SettingsError


def simulated(folder: Path) -> Path:
    """Make the demo's films below `folder`, and return a settings file whose cameras show them in a loop.

    SettingsError if a package that draws them is not installed.
    """
    try:
        from operate.simulation.demo import films, site
    except ModuleNotFoundError as error:
        why = f"needs {error.name} to draw people; pip install 'moretta[demo]'"
        raise SettingsError("moretta up", [("--simulate", why)]) from None

    made = asyncio.run(films.make(folder, films.plans(), Console(stderr=True)))
    return site.write(site.looped(made), folder)
