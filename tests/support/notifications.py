"""Notifications as the dispatcher makes them: of 24 November 2026, 10:00 to 10:20 in Cannes, but for what is given."""

from collections.abc import Iterable

import msgspec

from proto.public import AlertV1, OperationalAlertV1
from services.notify.core.notification import Group, Notification, notice_of
from services.notify.core.recipient import Recipient
from services.sites.settings import SiteSettings, ZoneSettings

MINUTE = 60 * 10**9
TEN = 1_795_510_800 * 10**9
NUMBER = "+12025550123"
"""One of those that are kept for fiction."""

SITE = SiteSettings(
    id="forville", name="Marché Forville", timezone="Europe/Paris",
    zones=[ZoneSettings(id="north", name="Entrée nord"), ZoneSettings(id="south", name="Hall 12")],
)  # fmt: skip

ALERT = AlertV1(
    site="forville", zone="north", rule="mask-rate", profile="alerting", alert="0123456789abcdef", state="firing",
    severity="warning", since=TEN - 20 * MINUTE, start=TEN, end=TEN + 20 * MINUTE, rate=0.62, interval=(0.54, 0.69),
    persons=143, coverage=0.97, fire_below=0.7, clear_above=0.75,
)  # fmt: skip
FAULT = OperationalAlertV1(
    site="forville", kind="camera-down", name="gate", state="firing", since=TEN, at=TEN + 20 * MINUTE,
    reason="camera-down", coverage=0.1,
)  # fmt: skip


def rate(**changes: object) -> AlertV1:
    """An ordinary alert, but for what is given."""
    return msgspec.structs.replace(ALERT, **changes)


def fault(**changes: object) -> OperationalAlertV1:
    """An ordinary operational alert, but for what is given."""
    return msgspec.structs.replace(FAULT, **changes)


def notification(
    *messages: AlertV1 | OperationalAlertV1, reason: str = "first", new: Iterable[str] = (), number: int = 1
) -> Notification:
    """The notification of these alerts; what is over is told as over."""
    notices = [notice_of(message, message_at(message)) for message in messages]
    return Notification(
        id=f"{number:016x}", group=Group("field-staff", "forville", "field"), reason=reason, number=number,
        root=f"{1:016x}", at=TEN + 20 * MINUTE, firing=tuple(n for n in notices if n.firing),
        resolved=tuple(n for n in notices if not n.firing), new=frozenset(new),
    )  # fmt: skip


def message_at(message: AlertV1 | OperationalAlertV1) -> int:
    """When a message was stored: a second after its window."""
    return (message.end if isinstance(message, AlertV1) else message.at) + 10**9


def recipient(address: str = NUMBER, language: str = "en") -> Recipient:
    """A recipient of that address."""
    return Recipient("field-staff", address, "d" * 64, language)
