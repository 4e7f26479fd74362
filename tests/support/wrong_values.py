"""Values of the chart with nearly everything in their settings, and over two hundred ways to get one thing wrong.

A wrong file is a good one in which each path of `WRONG` has another value, or is gone (`GONE`).
"""

import re
from copy import deepcopy
from typing import Any

from chart import given, merged
from chart_values import EVERYTHING

GONE = object()
FILE = "/etc/moretta/secrets/x"
AREA = [[0, 0], [0.3, 0], [0.3, 0.4]]
FLAT = [[0, 0], [0.1, 0.1], [0.3, 0.3]]
SITE = {
    "id": "forville",
    "name": "Marché Forville",
    "timezone": "Europe/Paris",
    "profile": "alerting",
    "window_s": 1200,
    "lateness_s": 5,
    "zones": [{"id": "gate", "name": "North gate"}, {"id": "hall"}],
    "cameras": [
        {
            "id": "gate-1",
            "zone": "gate",
            "url": "rtsp://10.20.0.5/stream",
            "zone_areas": [{"zone": "hall", "area": AREA}],
            "ignore": [AREA],
            "line": {"start": [0, 0.5], "end": [1, 0.5], "counts": "leftwards"},
            "privacy": {"drawn_for": [1920, 1080], "areas": [AREA]},
            "rests": [{"start": "20:00", "end": "07:00", "days": ["mon", "tue"]}],
            "fps": 5,
        },
        {"id": "hall-1", "zone": "hall", "url_file": FILE, "ca_file": "system"},
    ],
    "rules": [
        {"id": "low", "zone": "hall", "fire_below": 0.7, "clear_above": 0.75, "min_persons": 20, "name": "Few masks"},
        {"id": "all", "fire_below": 0.5, "clear_above": 0.5, "severity": "critical"},
    ],
    "rests": [{"start": "01:00", "end": "02:00"}],
    "tracking": {"min_hits": 3, "max_gap_s": 3},
    "operations": {"camera_down_windows": 2},
}
PROVIDER = {
    "url": "https://sms.example.org/send",
    "headers": {"Authorization": "Basic $basic"},
    "json": {"to": "$to", "body": "$text"},
    "user": "m",
    "password_file": FILE,
    "success": {"status": [200]},
}
NOTIFY = {
    "smtp": {"host": "mail.example.org", "user": "m", "password_file": FILE, "sender": "m@example.org"},
    "sms": {"region": "FR", "provider": PROVIDER},
    "salt_file": FILE,
    "receivers": [
        {"id": "field-staff", "email": ["staff@example.org"], "sites": ["forville"], "language": "fr"},
        {
            "id": "operators",
            "email": ["it@example.org"],
            "sms": ["+33 6 12 34 56 78"],
            "audience": "operators",
            "webhooks": [{"url": "https://hooks.example.org/a", "secret_file": FILE, "max_alerts": 10}],
        },
    ],
    "reports": [{"receivers": ["field-staff"], "at": "07:00", "sites": ["forville"]}],
    "times": [
        {"id": "office", "days": ["mon", "tue"], "start": "08:00", "end": "18:00", "timezone": "Europe/Paris"},
        {"id": "fair", "dates": [{"first": "2026-12-01", "last": "2026-12-24"}]},
    ],
    "routes": [
        {"receiver": "field-staff", "zones": ["hall"], "rules": ["low"], "active_times": ["office"]},
        {"receiver": "field-staff", "group_by": ["zone"], "repeat_interval_s": 600},
        {"receiver": "operators", "rules": ["camera-down"], "continue": True},
        {"receiver": "operators"},
    ],
}
GOOD: dict[str, Any] = merged(
    given(),
    {
        "settings": {
            "log": {"level": "info"},
            "sites": [SITE, {"id": "palais", "cameras": [{"id": "door", "url": "https://10.20.0.6/a"}]}],
            "ingest": {"report_s": 2},
            "inference": {"threads": "auto"},
            "aggregate": {"publish_metrics": True},
            "notify": NOTIFY,
            "transparency": {
                "controller": "Ville de Cannes",
                "objection": {"en": "South entrance", "fr": "Entrée sud"},
            },
        }
    },
)
"""The base of each wrong file."""
WEB = {"ingest": {"web": {"certificate": FILE, "key": FILE, "names": ["cams.example.org"], "ice_addresses": []}}}
PHONES: dict[str, Any] = merged(given(), EVERYTHING | {"settings": EVERYTHING["settings"] | WEB})
"""The base of those with phones, NATS of three servers, TLS and everything else."""


def changed(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return values in which each of these paths has another value; a path ends in a key, or in an index."""
    values = deepcopy(base)
    for path, value in changes.items():
        *steps, last = [int(index) if index else key for key, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path)]
        place = values
        for step in steps:
            place = place[step] if isinstance(step, int) else place.setdefault(step, {})
        if value is GONE:
            del place[last]
        elif last == len(place) and isinstance(place, list):
            place.append(value)
        else:
            place[last] = value
    return values
