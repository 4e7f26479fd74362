"""Notifications as the dispatcher makes them: of 24 November 2026, 10:00 to 10:20 in Cannes, but for what is given."""

from collections.abc import Iterable
from functools import partial

from messages import MINUTE, TEN, alert, fault

from proto.public import AlertV1, OperationalAlertV1
from services.notify.notification import Group, Notification, notice_of
from services.notify.recipient import Recipient
from services.sites.settings import RuleSettings, SiteSettings, ZoneSettings

__all__ = ["FEW", "MINUTE", "NUMBER", "SITE", "TEN", "fault", "message_at", "notification", "rate", "recipient"]

NUMBER = "+12025550123"
"""One of those that are kept for fiction."""

SITE = SiteSettings(
    id="forville", name="Marché Forville", timezone="Europe/Paris",
    zones=[ZoneSettings(id="north", name="Entrée nord"), ZoneSettings(id="south", name="Hall 12")],
)  # fmt: skip

FEW = RuleSettings(
    id="mask-rate",
    zone="north",
    fire_below=0.7,
    clear_above=0.75,
    name="Few masks",
    action="Hand out masks at the door.",
)
"""The rule of `rate`, with what people call it and do about it."""

rate = partial(alert, zone="north")
"""An ordinary alert of the northern entrance, but for what is given."""


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
