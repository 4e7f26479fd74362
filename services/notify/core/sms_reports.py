"""Delivery reports: the address at which an SMS centre reports on one SMS, and what a report says.

The address names site, notification, recipient (a digest) and when it was sent, and ends with a secret of that SMS
alone, an HMAC-SHA256 (RFC 2104) of them, so that who learns one address can forge no other report. A report that never
comes leaves the delivery at `sent`.
"""

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal

from proto.public import DeliveryV1
from proto.types import NotificationId, Sha256, SiteId

State = Literal["delivered", "failed"]
STEPS = 5
"""Of an address."""

KANNEL_MASK = 1 | 2 | 16
"""Which reports Kannel is asked for: on the telephone, not delivered, refused by the SMS centre (`dlr-mask`)."""
KANNEL: Mapping[str, State] = {"1": "delivered", "2": "failed", "16": "failed"}


@dataclass(frozen=True)
class Report:
    """What became of an SMS that was sent; final."""

    site: SiteId
    notification: NotificationId
    recipient_sha256: Sha256
    state: State
    sent: int = 0
    """When it was sent, ns: one that is sent again is another one."""


def report_path(token: str, site: SiteId, notification: NotificationId, recipient_sha256: Sha256, sent: int = 0) -> str:
    """Return the path, without a slash at its front, at which this SMS is reported on."""
    named = f"{site}/{notification}/{recipient_sha256}/{sent:x}"
    return f"{named}/{hmac.new(token.encode(), named.encode(), sha256).hexdigest()[:32]}"


def named_by(path: str, token: str) -> tuple[SiteId, NotificationId, Sha256, int] | None:
    """Return whose report comes to this path, and when that SMS was sent; None if it is forged."""
    parts = path.split("/")
    if len(parts) != STEPS or not path.isascii():
        return None
    site, notification, recipient, sent = parts[:4]
    try:
        named = (site, notification, recipient, int(sent, 16))
    except ValueError:
        return None
    return named if hmac.compare_digest(report_path(token, *named).encode(), path.encode()) else None


@dataclass
class Seen:
    """Reports that came before, so that one that comes twice counts once; the oldest are forgotten.

    `delivered` is the last word: it counts after `failed`, and not the other way round.
    """

    most: int = 10_000
    _states: dict[tuple[str, str, int], State] = field(default_factory=dict)

    def is_news(self, report: Report) -> bool:
        """Return whether this says anything that was not known."""
        known = self._states.get((report.notification, report.recipient_sha256, report.sent))
        return known is None or (known == "failed" and report.state == "delivered")

    def remember(self, report: Report) -> None:
        """Take it as known from now on."""
        key = (report.notification, report.recipient_sha256, report.sent)
        self._states.pop(key, None)
        self._states[key] = report.state
        if len(self._states) > self.most:
            del self._states[next(iter(self._states))]

    def forget(self, report: Report) -> None:
        """Take it as news when it comes again: it could not be recorded."""
        self._states.pop((report.notification, report.recipient_sha256, report.sent), None)


def reported(report: Report, records: Iterable[DeliveryV1]) -> list[DeliveryV1]:
    """Return what is recorded last, of each alert that the SMS told of, if it says that the gateway took it."""
    about = (report.notification, report.recipient_sha256)
    mine = [one for one in records if (one.notification, one.recipient_sha256) == about]
    sent = [one for one in mine if one.outcome == "sent"]
    attempt = next((one.attempt for one in sent if one.at >= report.sent), sent[-1].attempt if sent else None)
    last = {(one.alert, one.state): one for one in mine if one.attempt == attempt}
    return [one for one in last.values() if one.outcome in {"sent", "delivered", "failed"} or one.reason == "lost"]


def says_more(report: Report, last: DeliveryV1) -> bool:
    """Return whether a report says more than the record, also where it comes again after a restart."""
    return last.outcome == "sent" or (report.state == "delivered" and last.outcome != "delivered")
