"""Delivery reports of SMS: the URL for the report on one SMS, the meaning of a report, and which SMS were lost.

The URL names site, notification, recipient (a digest) and the time of sending. It ends with a secret of that SMS alone,
an HMAC-SHA256 (RFC 2104) of these. So anyone who learns one URL can forge no other report. If a report never comes, the
delivery stays at `sent`. The records say which SMS a gateway accepted and reports as lost. Each of these must be
handled once.
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
"""Number of steps in a report's path."""

KANNEL_MASK = 1 | 2 | 16
"""The reports requested from Kannel: on the telephone, not delivered, refused by the SMS centre (`dlr-mask`)."""
KANNEL: Mapping[str, State] = {"1": "delivered", "2": "failed", "16": "failed"}


@dataclass(frozen=True)
class Report:
    """The final status of an SMS that was sent."""

    site: SiteId
    notification: NotificationId
    recipient_sha256: Sha256
    state: State
    sent: int = 0
    """When it was sent, ns. A repeated sending is another SMS."""


def report_path(token: str, site: SiteId, notification: NotificationId, recipient_sha256: Sha256, sent: int = 0) -> str:
    """Return the path for the report on this SMS, without a leading slash."""
    named = f"{site}/{notification}/{recipient_sha256}/{sent:x}"
    return f"{named}/{hmac.new(token.encode(), named.encode(), sha256).hexdigest()[:32]}"


def named_by(path: str, token: str) -> tuple[SiteId, NotificationId, Sha256, int] | None:
    """Return site, notification, recipient and time of sending (ns) from a report's path; None if it is forged."""
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
class EarlierReports:
    """Earlier reports, so that a report that comes twice counts once; the oldest are forgotten.

    `delivered` is final: it counts after `failed`, but `failed` does not count after it.
    """

    most: int = 10_000
    _states: dict[tuple[str, str, int], State] = field(default_factory=dict)

    def is_news(self, report: Report) -> bool:
        """Return whether a report says anything new."""
        known = self._states.get((report.notification, report.recipient_sha256, report.sent))
        return known is None or (known == "failed" and report.state == "delivered")

    def remember(self, report: Report) -> None:
        """Note a report as known."""
        key = (report.notification, report.recipient_sha256, report.sent)
        self._states.pop(key, None)
        self._states[key] = report.state
        if len(self._states) > self.most:
            del self._states[next(iter(self._states))]

    def forget(self, report: Report) -> None:
        """Let a report count as new when it comes again, since it could not be recorded."""
        self._states.pop((report.notification, report.recipient_sha256, report.sent), None)


def reported(report: Report, records: Iterable[DeliveryV1]) -> list[DeliveryV1]:
    """Return the last record of each alert in the SMS, if it says that the gateway accepted the SMS."""
    about = (report.notification, report.recipient_sha256)
    mine = [one for one in records if (one.notification, one.recipient_sha256) == about]
    sent = [one for one in mine if one.outcome == "sent"]
    attempt = next((one.attempt for one in sent if one.at >= report.sent), sent[-1].attempt if sent else None)
    last = {(one.alert, one.state): one for one in mine if one.attempt == attempt}
    return [one for one in last.values() if one.outcome in {"sent", "delivered", "failed"} or one.reason == "lost"]


def is_news(report: Report, last: DeliveryV1) -> bool:
    """Return whether a report says more than the record, even if it comes again after a restart."""
    return last.outcome == "sent" or (report.state == "delivered" and last.outcome != "delivered")


Sms = tuple[NotificationId, Sha256, int]
"""Notification, recipient and attempt: one SMS, however many alerts it was about."""


@dataclass
class Losses:
    """The lost SMS that were handled; the oldest are forgotten.

    A loss is recorded as `failed` with the reason `lost`, once for each alert. Its handling is recorded as `dead`,
    once.
    """

    most: int = 10_000
    _done: dict[Sms, None] = field(default_factory=dict)

    def restore(self, records: Iterable[DeliveryV1]) -> list[DeliveryV1]:
        """Return one record of each lost SMS that the previous process had not handled when it died."""
        lost = [record for record in records if record.reason == "lost"]
        for record in lost:
            if record.outcome == "dead":
                self._note(record)
        return [record for record in lost if self.take(record)]

    def take(self, record: DeliveryV1) -> bool:
        """Return whether a record reports a loss that must be handled now."""
        return record.reason == "lost" and self._note(record) and record.outcome == "failed"

    def _note(self, record: DeliveryV1) -> bool:
        """Note an SMS; return whether it was not noted before."""
        sms = (record.notification, record.recipient_sha256, record.attempt)
        if sms in self._done:
            return False
        self._done[sms] = None
        if len(self._done) > self.most:
            del self._done[next(iter(self._done))]
        return True
