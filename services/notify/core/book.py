"""What each receiver was told of each alert: a fold over the stored decisions, and nothing else.

The running dispatcher books its own decisions in the same way as one that starts reads those of another, so that both
know the same (ADR 17).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from proto.notifications import NotificationV1, WithheldReason
from proto.types import AlertId, AlertState, NotificationId, ReceiverId, SiteId
from services.notify.core.notification import Notice

_HOUR = 3_600_000_000_000
_OTHERS = frozenset({"report", "test"})


@dataclass(frozen=True, slots=True, order=True)
class Last:
    """The last notification of an incident: when, which, and the one that began it."""

    at: int
    number: int
    root: NotificationId

    def not_after(self, now: int) -> "Last":
        """Return it as told at `now` (ns) at the latest."""
        return replace(self, at=min(self.at, now))


@dataclass(slots=True)
class Fact:
    """What one receiver knows of one alert."""

    last: Last | None = None
    """The last notification that said it fires; None: none did, or its end was told."""
    withheld: set[tuple[WithheldReason, AlertState]] = field(default_factory=set)
    """What was said to be withheld since."""
    capped: int | None = None
    """Since when it waits for a digest, ns; None: it doesn't."""

    def tell(self, last: Last | None) -> None:
        """Note that the receiver was told that the alert fires, by this notification, or that it is over: None."""
        self.last, self.capped = last, None
        self.withheld.clear()

    def put_back(self, now: int) -> None:
        """Take nothing to be later than now (ns)."""
        self.last = self.last and self.last.not_after(now)
        self.capped = None if self.capped is None else min(self.capped, now)

    def withhold(self, reason: WithheldReason, state: AlertState, at: int) -> None:
        """Note that it was said to be withheld."""
        self.withheld.add((reason, state))
        if reason == "capped" and self.capped is None:
            self.capped = at


@dataclass(slots=True)
class Alert:
    """An alert that is not forgotten yet."""

    origin: Notice
    """As it was first seen: what it is routed by, so that its end takes the way of its beginning."""
    notice: Notice
    facts: dict[ReceiverId, Fact] = field(default_factory=dict)
    groups: dict[ReceiverId, str] = field(default_factory=dict)
    """The key of the group that it is in, for each receiver."""

    def fact(self, receiver: ReceiverId) -> Fact:
        """Return what a receiver knows of it, to be changed."""
        return self.facts.setdefault(receiver, Fact())


class Book:
    """The alerts that are alive, what was told of them, and how much in this hour."""

    def __init__(self) -> None:
        self.alerts: dict[AlertId, Alert] = {}
        self._threads: dict[str, Last] = {}
        self._seen: dict[tuple[str, ...], tuple[tuple[int, int], int]] = {}
        self._sent: dict[tuple[ReceiverId, SiteId], tuple[int, int]] = {}

    def see(self, notice: Notice) -> Alert | None:
        """Take an alert's state in; None if it is an old one, or the end of an alert that was forgotten."""
        place, order = (notice.site, notice.zone, notice.rule, notice.audience), (notice.order, notice.stored)
        if order < self._seen.get(place, order):
            return None
        self._seen[place] = order
        alert = self.alerts.get(notice.alert)
        if alert is not None:
            alert.notice = notice.as_begun(alert.origin)
        elif notice.firing:
            alert = self.alerts[notice.alert] = Alert(notice, notice)
        return alert

    def take(self, record: NotificationV1) -> None:
        """Book a decision."""
        if record.withheld is not None:
            for alert in self._known(record.firing):
                alert.fact(record.receiver).withhold(record.withheld, "firing", record.at)
            for alert in self._known(record.resolved):
                alert.fact(record.receiver).withhold(record.withheld, "resolved", record.at)
        elif record.reason not in _OTHERS:
            self._tell(record, Last(record.at, record.number, record.root))

    def _tell(self, record: NotificationV1, last: Last) -> None:
        for ids, known in ((record.firing, last), (record.resolved, None)):
            for alert in self._known(ids):
                alert.fact(record.receiver).tell(known)
                if (group := alert.groups.get(record.receiver)) is not None:
                    self._threads[group] = last
        key, hour = (record.receiver, record.site), record.at // _HOUR
        self._sent[key] = (hour, self.sent(*key, record.at) + 1)

    def _known(self, ids: Iterable[AlertId]) -> Iterable[Alert]:
        return (self.alerts[name] for name in ids if name in self.alerts)

    def sent(self, receiver: ReceiverId, site: SiteId, at: int) -> int:
        """Return how many notifications a receiver got of a site in the clock hour (UTC) of an instant."""
        hour, count = self._sent.get((receiver, site), (0, 0))
        return count if hour == at // _HOUR else 0

    def last(self, group: str, told: Iterable[Last]) -> Last | None:
        """Return the last notification of a group, given those that told what of it still counts; None: no incident."""
        newest = max(told, default=None)
        return None if newest is None else max(newest, self._threads.get(group, newest))

    def put_back(self, now: int) -> None:
        """Take nothing to be later than now (ns): clocks were put back since it was stored."""
        for alert in self.alerts.values():
            alert.notice = alert.notice.not_after(now)
            for fact in alert.facts.values():
                fact.put_back(now)
        self._threads = {group: last.not_after(now) for group, last in self._threads.items()}
        self._sent = {key: (min(hour, now // _HOUR), count) for key, (hour, count) in self._sent.items()}

    def close(self, group: str) -> None:
        """Forget a group that has no alert any more."""
        self._threads.pop(group, None)


def hour_end(at: int) -> int:
    """Return when the clock hour (UTC) of an instant ends."""
    return (at // _HOUR + 1) * _HOUR
