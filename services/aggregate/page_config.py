"""What config.json tells the page: where NATS is, what profiles allow, and what people call sites, zones and rules."""

import hashlib
from collections.abc import Sequence
from typing import Any

from services.aggregate.settings import PageSettings
from services.bus.nkey import Seed
from services.sites.profiles import PROFILES
from services.sites.settings import SiteSettings
from services.statistics.columns import COLUMNS
from services.statistics.gap_reasons import page_gaps


def config(settings: PageSettings) -> dict[str, Any]:
    """Return what every page needs, whoever looks at it: NATS's address, profiles, CSV's columns, words for gaps."""
    profiles = [
        {"name": name, "rules": terms.rules, "zones": terms.zones, "trial": terms.is_trial}
        for name, terms in PROFILES.items()
    ]
    gaps = page_gaps()
    return {"server": settings.server, "key": settings.ask_key, "profiles": profiles, "columns": COLUMNS, "gaps": gaps}


def known(settings: PageSettings, sites: Sequence[SiteSettings]) -> dict[str, Any]:
    """Return what only those who may see the numbers need: names, and the link to the camera page."""
    return {"cameras": settings.cameras, "names": {one.id: _names(one) for one in sites}}


def proof(seed: Seed) -> bytes:
    """Return what a browser sends to show that it has the seed, which it keeps: its SHA-256 in hexadecimal."""
    return hashlib.sha256(seed.reveal().encode()).hexdigest().encode()


def _names(site: SiteSettings) -> dict[str, Any]:
    """Return what people call a site, its zones and rules, when a rule fires and what to do, its clock and language."""
    rules = {
        f"{rule.zone}/{rule.id}": {"name": rule.name or None, "action": rule.action or None, "below": rule.fire_below}
        for rule in site.rules
    }
    zones = {zone.id: zone.name for zone in site.zones}
    return {"name": site.name, "timezone": site.timezone, "language": site.language, "zones": zones, "rules": rules}
