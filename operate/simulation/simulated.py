"""`moretta up --simulate`: cameras that never were and windows of seconds, for whoever writes a subscriber."""

import asyncio
from pathlib import Path

from rich.console import Console

from services.kernel.settings import SettingsError


def simulated(folder: Path) -> Path:
    """Make the demo's films below `folder`, shown again and again, and return the settings file.

    SettingsError where what draws them is not installed.
    """
    try:
        from operate.simulation.demo import films, site
    except ModuleNotFoundError as error:
        why = f"needs {error.name} to draw people; pip install 'moretta[demo]'"
        raise SettingsError("moretta up", [("--simulate", why)]) from None

    walkers = films.plans(films.SEED)
    made = asyncio.run(films.make(folder, walkers, films.SEED, Console(stderr=True)))
    return site.write(site.looped({name: (file, films.CAMERAS[name][0]) for name, file in made.items()}), folder)
