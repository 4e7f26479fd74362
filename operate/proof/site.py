"""The settings of the proof's box: one lab site, two cameras, a rule that fires, a mail and an SMS for it."""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proto.types import WHOLE_SITE
from services.sites.profiles import TRIAL

SITE = "proof"
NETWORK, FILE = "network", "film"
"""The cameras: one that sends over the network, one that is a file played over and over."""
LONG_SIDE = 480
_ADDRESS, _NUMBER = "field-staff@market.example", "+33612345678"


@dataclass(frozen=True)
class Surroundings:
    """What the box is given: cameras and gateways."""

    camera: str
    film: Path
    smtp_port: int
    sms: str


def settings(around: Surroundings) -> dict[str, Any]:
    """Return the settings file's content; logs are as detailed as they can be, so that more of them is searched."""
    cameras = [
        {"id": NETWORK, "url": around.camera, "long_side": LONG_SIDE},
        {"id": FILE, "url": str(around.film), "long_side": LONG_SIDE, "loop": True},
    ]
    thresholds = {"fire_below": 0.8, "clear_above": 0.9, "for_windows": 1, "min_persons": 1}
    site = {
        "id": SITE,
        "profile": TRIAL,
        "window_s": 4.0,
        "lateness_s": 1.0,
        "cameras": cameras,
        "rules": [{"id": "few-masks", "zone": WHOLE_SITE, **thresholds}],
    }
    provider = {"url": around.sms, "json": {"to": "$to", "text": "$text"}}
    notify = {
        "smtp": {
            "host": "127.0.0.1",
            "port": around.smtp_port,
            "security": "none",
            "sender": "moretta@market.example",
        },
        "sms": {"provider": provider, "allow_http": True},
        "receivers": [{"id": "staff", "email": [_ADDRESS], "sms": [_NUMBER], "sites": [SITE], "max_per_hour": 100}],
        "routes": [{"receiver": "staff", "group_wait_s": 0, "group_interval_s": 1}],
        "salt": secrets.token_hex(16),
    }
    return {"sites": [site], "notify": notify, "log": {"level": "debug"}, "aggregate": {"tick_s": 0.5}}
