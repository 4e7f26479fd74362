"""What each receiver was notified of: a fold over the stored decisions.

A running dispatcher records its own decisions as a starting one reads those of another. So both know the same (ADR 17).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from operator import attrgetter

from proto.notifications import NotificationReason, NotificationV1, WithheldReason
from proto.types import AlertId, AlertState, NotificationId, ReceiverId, SiteId
from services.notify.notification import Group, Notice, Notification, Withheld, notification_id

_HOUR = 3_600_000_000_000
_OTHERS = frozenset({"report", "test"})


@dataclass(frozen=True, slots=True, order=True)
class Last:
    """The last notification of an incident: its time, its number, and the one that began the incident."""

    at: int
    number: int
    root: NotificationId

    def not_after(self, now: int) -> "Last":
        """Return it with its time set to `now` (ns), if that is earlier."""
        return replace(self, at=min(self.at, now))


@dataclass(slots=True)
class ReceiverState:
    """What one receiver knows of one alert."""

    last: Last | None = None
    """The last notification that said that the alert fires; None: there was none, or the receiver knows of the end."""
    withheld: set[tuple[WithheldReason, AlertState]] = field(default_factory=set)
    """Reason and state of each decision to withhold it since then."""
    capped: int | None = None
    """Since when it waits for a digest, ns; None: it does not wait."""

    def notified(self, last: Last | None) -> None:
        """Note that this notification said that the alert fires; None: the receiver was told that it is over."""
        self.last, self.capped = last, None
        self.withheld.clear()

    def clock_stepped_back(self, now: int) -> None:
        """Move every time after `now` (ns) to `now`."""
        self.last = self.last and self.last.not_after(now)
        self.capped = None if self.capped is None else min(self.capped, now)

    def withhold(self, reason: WithheldReason, state: AlertState, at: int) -> None:
        """Note a decision to withhold it."""
        self.withheld.add((reason, state))
        if reason == "capped" and self.capped is None:
            self.capped = at


@dataclass(slots=True)
class Alert:
    """An alert that is not forgotten yet."""

    origin: Notice
    """The alert as first seen. Routing uses it, so that the alert's end takes the same route as its beginning."""
    notice: Notice
    receivers: dict[ReceiverId, ReceiverState] = field(default_factory=dict)
    groups: dict[ReceiverId, str] = field(default_factory=dict)
    """The key of the group that it is in, for each receiver."""

    def receiver_state(self, receiver: ReceiverId) -> ReceiverState:
        """Return what a receiver knows of it; the caller may change it."""
        return self.receivers.setdefault(receiver, ReceiverState())


class NotificationLog:
    """The live alerts, what receivers were notified of, and the number of notifications in this hour."""

    def __init__(self) -> None:
        self.alerts: dict[AlertId, Alert] = {}
        self._threads: dict[str, Last] = {}
        self._seen: dict[tuple[str, ...], tuple[tuple[int, int], int]] = {}
        self._sent: dict[tuple[ReceiverId, SiteId], tuple[int, int]] = {}

    def update(self, notice: Notice) -> Alert | None:
        """Take in an alert's state and return the alert; None for an old state, or for the end of a forgotten alert."""
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
        """Take in a stored decision."""
        if record.withheld is not None:
            for alert in self._known(record.firing):
                alert.receiver_state(record.receiver).withhold(record.withheld, "firing", record.at)
            for alert in self._known(record.resolved):
                alert.receiver_state(record.receiver).withhold(record.withheld, "resolved", record.at)
        elif record.reason not in _OTHERS:
            self._notified(record, Last(record.at, record.number, record.root))

    def _notified(self, record: NotificationV1, last: Last) -> None:
        for ids, known in ((record.firing, last), (record.resolved, None)):
            for alert in self._known(ids):
                alert.receiver_state(record.receiver).notified(known)
                if (group := alert.groups.get(record.receiver)) is not None:
                    self._threads[group] = last
        key, hour = (record.receiver, record.site), record.at // _HOUR
        self._sent[key] = (hour, self.sent(*key, record.at) + 1)

    def _known(self, ids: Iterable[AlertId]) -> Iterable[Alert]:
        return (self.alerts[name] for name in ids if name in self.alerts)

    def sent(self, receiver: ReceiverId, site: SiteId, at: int) -> int:
        """Return how many notifications about a site a receiver got in the clock hour (UTC) of an instant."""
        hour, count = self._sent.get((receiver, site), (0, 0))
        return count if hour == at // _HOUR else 0

    def last(self, group: str, others: Iterable[Last]) -> Last | None:
        """Return a group's last notification; `others` are the last ones about its alerts. None: no incident."""
        newest = max(others, default=None)
        return None if newest is None else max(newest, self._threads.get(group, newest))

    def clock_stepped_back(self, now: int) -> None:
        """Move every time after `now` (ns) to `now`: clocks were put back since it was stored."""
        for alert in self.alerts.values():
            alert.notice = alert.notice.not_after(now)
            for receiver_state in alert.receivers.values():
                receiver_state.clock_stepped_back(now)
        self._threads = {group: last.not_after(now) for group, last in self._threads.items()}
        self._sent = {key: (min(hour, now // _HOUR), count) for key, (hour, count) in self._sent.items()}

    def close(self, group: str) -> None:
        """Forget a group that has no alerts any more."""
        self._threads.pop(group, None)


def hour_end(at: int) -> int:
    """Return when the clock hour (UTC) of an instant ends."""
    return (at // _HOUR + 1) * _HOUR


_BY_AGE = attrgetter("since", "alert")


def next_notification(
    group: Group,
    reason: NotificationReason,
    last: Last | None,
    at: int,
    new: list[Notice],
    known: list[Notice],
    ended: list[Notice],
) -> Notification:
    """Return the decision to notify of these, as the one after `last` in its incident, or as an incident's first."""
    firing, resolved = sorted([*new, *known], key=_BY_AGE), sorted(ended, key=_BY_AGE)
    root, number = (last.root, last.number + 1) if last else (None, 1)
    name = notification_id(group.key, root, number, _states([*firing, *resolved]))
    return Notification(
        name, group, reason, number, root or name, at, tuple(firing), tuple(resolved), frozenset(n.alert for n in new)
    )


def withhold(group: Group, reason: WithheldReason, last: Last | None, at: int, held: list[Notice]) -> Withheld:
    """Return the decision to hold these back, after `last` in their incident."""
    root, number = (last.root, last.number) if last else (None, 0)
    name = notification_id(group.key, root, number, (reason, *_states(held)))
    firing, resolved = tuple(n for n in held if n.firing), tuple(n for n in held if not n.firing)
    return Withheld(name, group, reason, root or name, at, firing, resolved)


def _states(notices: list[Notice]) -> tuple[str, ...]:
    return tuple(f"{notice.alert}/{notice.state}" for notice in notices)
