"""One ordinary alert, notification and recipient; a test changes what it is about."""

from collections.abc import Iterable

import pytest
from messages import MINUTE, SITE, TEN, alert, fault, window

from proto.public import AlertV1, OperationalAlertV1, WindowV1
from services.notify.notification import Group, Notification, notice_of
from services.notify.recipient import Recipient
from services.sites.settings import SiteSettings, ZoneSettings


@pytest.fixture(name="make_alert")
def _make_alert():
    """`make_alert(rate=0.5)`: an alert of 24 November 2026, 10:00 to 10:20 in Cannes, but for what is given."""
    return alert


@pytest.fixture(name="make_fault")
def _make_fault():
    """`make_fault(kind="no-data", name="north")`: an operational alert of the same morning."""
    return fault


@pytest.fixture(name="notify")
def _notify():
    """`notify("first", alert, ..., new=[alert])`: a notification of these alerts, grouped by site unless told so."""

    def make(
        reason: str,
        *messages: AlertV1 | OperationalAlertV1,
        new: Iterable[AlertV1] | None = None,
        by_rule: bool = False,
        **changes: object,
    ) -> Notification:
        notices = [notice_of(message, TEN + 21 * MINUTE) for message in messages]
        audience = notices[0].audience if notices else "field"
        zone, rule = (notices[0].zone, notices[0].rule) if by_rule else (None, None)
        firing = tuple(notice for notice in notices if notice.firing)
        ordinary: dict[str, object] = {
            "id": "f" * 16, "group": Group("field-staff", SITE, audience, zone, rule), "reason": reason,
            "number": 1, "root": "f" * 16, "at": TEN + 21 * MINUTE, "firing": firing,
            "resolved": tuple(notice for notice in notices if not notice.firing),
            "new": frozenset(n.alert for n in firing) if new is None else frozenset(alert.alert for alert in new),
        }  # fmt: skip
        return Notification(**(ordinary | changes))

    return make


@pytest.fixture(name="make_window")
def _make_window():
    """`make_window(-1, rate=0.8)`: the published window that began so many windows of 20 minutes after ten."""

    def make(number: int, **changes: object) -> WindowV1:
        shown: dict[str, object] = {"rate": 0.8, "interval": (0.7, 0.9), "persons": 50, "coverage": 0.9}
        return window(TEN + 20 * MINUTE * number, **shown | changes)

    return make


@pytest.fixture(name="site")
def _site() -> SiteSettings:
    return SiteSettings(
        id=SITE,
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
