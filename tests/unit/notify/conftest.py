"""One ordinary alert and one ordinary recipient; a test changes what it is about."""

import pytest

from proto.public import AlertV1
from services.notify.core.recipient import Recipient
from services.sites.settings import SiteSettings, ZoneSettings

MINUTE = 60 * 10**9
TEN = 1_795_510_800 * 10**9  # 2026-11-24 10:00 in Cannes


@pytest.fixture(name="make_alert")
def _make_alert():
    """`make_alert(rate=0.5)`: an alert of 24 November 2026, 10:00 to 10:20 in Cannes, but for what is given."""

    def make(**changes: object) -> AlertV1:
        ordinary: dict[str, object] = {
            "site": "forville",
            "zone": "_site",
            "rule": "mask-rate",
            "profile": "alerting",
            "alert": "0123456789abcdef",
            "state": "firing",
            "severity": "warning",
            "since": TEN - 20 * MINUTE,
            "start": TEN,
            "end": TEN + 20 * MINUTE,
            "rate": 0.62,
            "interval": (0.54, 0.69),
            "persons": 143,
            "coverage": 0.97,
            "fire_below": 0.7,
            "clear_above": 0.75,
        }
        return AlertV1(**(ordinary | changes))

    return make


@pytest.fixture(name="site")
def _site() -> SiteSettings:
    return SiteSettings(
        id="forville",
        name="Market Forville",
        timezone="Europe/Paris",
        zones=[ZoneSettings(id="north", name="North entrance"), ZoneSettings(id="south")],
    )


@pytest.fixture(name="anna")
def _anna() -> Recipient:
    return Recipient("field-staff", "anna@example.org", "a" * 64)


@pytest.fixture(name="bob")
def _bob() -> Recipient:
    return Recipient("field-staff", "bob@example.org", "b" * 64)
