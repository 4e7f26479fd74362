"""The demo's settings file: one lab site, short windows, one rule, and the sink as its mail server."""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from operate.settings_file import require
from proto.types import WHOLE_SITE
from services.ingest.sources.address import SourceError, address_of
from services.ingest.sources.source import open_source
from services.kernel.settings import SettingsError
from services.sites.profiles import TRIAL
from services.sites.settings import CameraSettings

SITE, RULE = "demo", "few-masks"
WINDOW_S, LATENESS_S = 10.0, 3.0
ZONES = {"gate": "Gate", "hall": "Market hall"}
CAMERAS = {"gate-in": "gate", "gate-out": "gate", "hall": "hall"}
"""The simulated cameras, and each one's zone."""
_ADDRESS = "field-staff@market.example"


def simulated(films: Mapping[str, Path], smtp_port: int) -> dict[str, Any]:
    """Return the settings with a paced camera for each film, named as in `CAMERAS`."""
    cameras = [{"id": name, "zone": CAMERAS[name], "url": str(file)} for name, file in films.items()]
    return _settings(cameras, smtp_port, close_on_end=True)


def looped(films: Mapping[str, Path]) -> dict[str, Any]:
    """Return the settings with cameras that show their films again and again, without a receiver."""
    settings = simulated(films, smtp_port=25)
    del settings["notify"]
    (site,) = settings["sites"]
    site["close_on_end"] = False
    site["cameras"] = [camera | {"loop": True} for camera in site["cameras"]]
    return settings


def real(url: str, smtp_port: int) -> dict[str, Any]:
    """Return the settings with one camera, looped if it is a file; SettingsError if no such source is allowed."""
    path = Path(url)
    camera = {"id": "camera", "zone": "gate", "url": str(path.resolve()) if path.exists() else url, "loop": True}
    try:
        address = address_of(CameraSettings(id="camera", url=url))
        if address.kind != "network" and (not url or not path.exists() or path.is_dir()):
            raise SettingsError("--camera", [(address.label, "no such file or device")])
        if address.kind == "file":  # a live camera may come later, but a file never becomes a film
            open_source(CameraSettings(id="camera", url=url)).close()
    except SourceError as error:
        raise SettingsError("--camera", [("", error.message)]) from None
    return _settings([camera], smtp_port, close_on_end=False)


def _settings(cameras: list[dict[str, Any]], smtp_port: int, *, close_on_end: bool) -> dict[str, Any]:
    rule: dict[str, Any] = {"fire_below": 0.6, "clear_above": 0.7, "for_windows": 1, "min_persons": 5}
    rule |= {"name": "Few masks", "action": "Hand out masks at the gate."}
    site = {
        "id": SITE,
        "name": "Demo market",
        "profile": TRIAL,
        "window_s": WINDOW_S,
        "lateness_s": LATENESS_S,
        "close_on_end": close_on_end,
        "zones": [{"id": zone, "name": name} for zone, name in ZONES.items()],
        "cameras": cameras,
        "rules": [{"id": RULE, "zone": WHOLE_SITE, **rule}],
    }
    receiver = {"id": "field-staff", "email": [_ADDRESS], "sites": [SITE]}
    smtp = {"host": "127.0.0.1", "port": smtp_port, "security": "none", "sender": "moretta@market.example"}
    at_once = {"receiver": "field-staff", "group_wait_s": 0, "group_interval_s": 1}
    notify = {"smtp": smtp, "receivers": [receiver], "routes": [at_once], "salt": secrets.token_hex(16)}
    return {
        "sites": [site],
        "notify": notify,
        "log": {"level": "warning"},
        "aggregate": {"tick_s": 0.5, "page": {"port": 0}},
    }


def write(settings: dict[str, Any], folder: Path) -> Path:
    """Write the settings file, readable by its owner alone, and check it as all four services do."""
    file = folder / "settings.yaml"
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    require(file)
    return file
