"""The simulated market: the films of its three cameras, and the settings of its site.

`moretta demo` shows the films once, `moretta up --simulate` again and again.
"""

import asyncio
import itertools
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from operate import output
from operate.settings_file import require
from proto.types import WHOLE_SITE
from services.sites.profiles import TRIAL
from testbed.simulation import sightings
from testbed.simulation.crowd_plan import Plan
from testbed.simulation.film import count, film
from testbed.simulation.scenario import load_scenario

SITE, WINDOW_S = "demo", 10.0
ZONES = {"gate": "Gate", "hall": "Market hall"}
CAMERAS = {"gate-in": "gate", "gate-out": "gate", "hall": "hall"}
"""The simulated cameras, and each one's zone."""
_ADDRESS = "field-staff@market.example"


def plans() -> dict[str, Plan]:
    """Return the plan of each camera."""
    return sightings.plans(load_scenario("market"), list(CAMERAS))


async def films(folder: Path, drawn: Mapping[str, Plan], console: Console) -> dict[str, Path]:
    """Make each camera's film below `folder`, in threads: encoding and drawing release Python's GIL for long."""
    made, done = {name: folder / f"{name}.mp4" for name in drawn}, itertools.count(1)
    with output.progress("making three films", sum(map(count, drawn.values()))) as progress:
        making = [
            asyncio.to_thread(film, made[name], plan, advance=lambda: progress(next(done)))
            for name, plan in drawn.items()
        ]
        await asyncio.gather(*making)
    seconds = max(plan.scenario.length_s for plan in drawn.values())
    console.print(f"made three films of {seconds:.0f} s; their people are drawn")
    return made


def looped(folder: Path, page_host: str | None = None) -> Path:
    """Make the films below `folder`, and return a settings file whose cameras show them again and again.

    With `page_host` other machines see its page there.
    """
    made = asyncio.run(films(folder, plans(), Console(stderr=True)))
    found = settings(cameras(made, loop=True))
    if page_host is not None:
        found["aggregate"]["page"] = {"host": page_host}
    return write(found, folder)


def cameras(made: Mapping[str, Path], *, loop: bool = False) -> list[dict[str, Any]]:
    """Return the settings of a camera for each film, named as in `CAMERAS`."""
    return [{"id": name, "zone": CAMERAS[name], "url": str(file), "loop": loop} for name, file in made.items()]


def settings(shown: list[dict[str, Any]], smtp_port: int | None = None, *, ends: bool = False) -> dict[str, Any]:
    """Return the settings of the site with these cameras; without a mail server it has no receiver.

    With `ends` the last window closes with the films.
    """
    rule: dict[str, Any] = {"fire_below": 0.6, "clear_above": 0.7, "for_windows": 1, "min_persons": 5}
    rule |= {"name": "Few masks", "action": "Hand out masks at the gate."}
    site = {
        "id": SITE,
        "name": "Demo market",
        "profile": TRIAL,
        "window_s": WINDOW_S,
        "lateness_s": 3.0,
        "close_on_end": ends,
        "zones": [{"id": zone, "name": name} for zone, name in ZONES.items()],
        "cameras": shown,
        "rules": [{"id": "few-masks", "zone": WHOLE_SITE, **rule}],
    }
    found = {"sites": [site], "log": {"level": "warning"}, "aggregate": {"tick_s": 0.5, "page": {"port": 0}}}
    return found if smtp_port is None else found | {"notify": _notify(smtp_port)}


def _notify(smtp_port: int) -> dict[str, Any]:
    receiver = {"id": "field-staff", "email": [_ADDRESS], "sites": [SITE]}
    smtp = {"host": "127.0.0.1", "port": smtp_port, "security": "none", "sender": "moretta@market.example"}
    at_once = {"receiver": "field-staff", "group_wait_s": 0, "group_interval_s": 1}
    return {"smtp": smtp, "receivers": [receiver], "routes": [at_once], "salt": secrets.token_hex(16)}


def write(found: dict[str, Any], folder: Path) -> Path:
    """Write the settings file, readable by its owner alone, and check it as all four services do."""
    file = folder / "settings.yaml"
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(found, sort_keys=False), encoding="utf-8")
    require(file)
    return file
