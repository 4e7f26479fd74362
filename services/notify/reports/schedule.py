"""The schedule of daily reports. Pure: it takes the time and the reports already done, and returns the reports due.

A report about a day is due at a local time of the next day. Each is decided once per site, receiver and day. Its name
follows from these three, so a decision that is repeated after a crash is the same.
"""

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

from proto.notifications import NotificationV1
from proto.types import AlertState, NotificationId, ReceiverId, RuleId, SiteId
from services.notify.notification import Group, Notification, notification_id
from services.statistics.calendar import SECOND, day_start, instant, local

STATE: AlertState = "resolved"
"""The state of a report in delivery records: its day is over. Its `alert` there is the notification."""
_RULE: RuleId = "daily-report"
"""What stands in a report's group, where alerts have a rule."""
CATCH_UP = 24 * 3_600 * SECOND
"""A report that could not be decided for this long is left out."""
PUBLISHING = 60 * SECOND
"""This long after a day's last window has closed, everything about the day is published."""


@dataclass(frozen=True, slots=True)
class ReportPlan:
    """The daily report that one receiver gets about one site."""

    site: SiteId
    receiver: ReceiverId
    zone: tzinfo
    """The site's time zone."""
    at: time
    """Time of day by the site's clock. Where clocks skip that time, it is later by as much as they skip."""
    lateness: int = 0
    """How long after its end a window closes, ns."""
    zone_detail: bool = True

    def due(self, day: date) -> int:
        """Return when the report about a day is due, ns: never before all of the day is published."""
        after = day + timedelta(days=1)
        return max(instant(datetime.combine(after, self.at, self.zone)), self._over(after) + PUBLISHING)

    def _over(self, after: date) -> int:
        return day_start(after, self.zone) + self.lateness


@dataclass(frozen=True, slots=True)
class ReportKey:
    """One report: who gets it, and about which day of which site."""

    site: SiteId
    receiver: ReceiverId
    day: date
    due: int
    zone_detail: bool = True

    @property
    def id(self) -> NotificationId:
        """The notification's name; it follows from site, receiver and day alone."""
        return notification_id(self.group.key, None, 1, (self.day.isoformat(),))

    @property
    def group(self) -> Group:
        """What all reports of a site to a receiver have in common."""
        return Group(self.receiver, self.site, "field", rule=_RULE)


def due(now: int, schedule: Iterable[ReportPlan], done: Container[NotificationId]) -> list[ReportKey]:
    """Return the reports that are due at `now` (ns) and whose names are not among `done`, the oldest first.

    After a downtime, these are the reports that were due within the last 24 hours: the last day's, or two of them where
    a day was shorter. A new plan is treated the same: its receiver gets the last day's report at once.
    """
    keys = {key for plan in schedule for key in _keys(plan, now) if key.due <= now < key.due + CATCH_UP}
    return sorted((key for key in keys if key.id not in done), key=lambda key: (key.due, key.site, key.receiver))


def next_due(now: int, schedule: Iterable[ReportPlan]) -> int | None:
    """Return when the next report will be due, ns, after `now`; None without any."""
    return min((key.due for plan in schedule for key in _keys(plan, now) if key.due > now), default=None)


def notification_of(key: ReportKey, at: int) -> Notification:
    """Return the decision to send a report, made at `at` (ns); each report is an incident of its own."""
    return Notification(key.id, key.group, "report", 1, key.id, at, firing=())


def notification_again(record: NotificationV1) -> Notification:
    """Return the decision to send a report that was stored as this record (with the reason `report`)."""
    group = Group(record.receiver, record.site, "field", rule=_RULE)
    return Notification(record.notification, group, "report", record.number, record.root, record.at, firing=())


def day_of_report(notification: Notification, zone: tzinfo) -> date:
    """Return the day of the site's calendar that a report decision is about; LookupError if it is no report.

    The decision's name identifies the day, so a decision that is read back from its record needs nothing else.
    """
    decided = local(notification.at, zone).date()
    for day in (decided - timedelta(days=days) for days in range(-1, 5)):
        if ReportKey(notification.group.site, notification.group.receiver, day, notification.at).id == notification.id:
            return day
    raise LookupError(notification.id)


def _keys(plan: ReportPlan, now: int) -> Iterator[ReportKey]:
    """Yield the reports that are due around now."""
    today = local(now, plan.zone).date()
    for day in (today + timedelta(days=days) for days in range(-3, 3)):
        if day_start(day, plan.zone) < day_start(day + timedelta(days=1), plan.zone):  # Samoa had no 30 December 2011
            yield ReportKey(plan.site, plan.receiver, day, plan.due(day), plan.zone_detail)
