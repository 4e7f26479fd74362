"""A group at an instant: what to report to its receiver, whether to do it now, and if not, when to look again.

The decision to report follows Alertmanager's `DedupStage.needsUpdate` (notify/notify.go), with two differences. First,
an alert that was reported and is silenced now still counts as reported, so its end is not lost. Second, the time of the
next look follows from stored data and not from a timer, so it is the same after a crash.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter

from proto.notifications import NotificationReason, WithheldReason
from proto.types import SiteId
from services.notify.core.dispatch.book import Alert, Book, Fact, Last, hour_end
from services.notify.core.dispatch.muting import OPEN_END, Inhibition, Silences, silenced_until
from services.notify.core.dispatch.routing import Plan, Route
from services.notify.core.notification import Group, Notice

_BY_AGE = attrgetter("notice.since", "notice.alert")
_UNKNOWN = Fact()


@dataclass(slots=True)
class Cell:
    """A group that has alerts."""

    group: Group
    key: str
    route: Route
    members: dict[str, Alert] = field(default_factory=dict)

    def fact(self, alert: Alert) -> Fact:
        """Return what the receiver knows of an alert."""
        return alert.facts.get(self.group.receiver, _UNKNOWN)

    @property
    def incident(self) -> bool:
        """Whether the receiver was notified of an alert that, as far as the receiver knows, is not over."""
        return any(self.fact(alert).last is not None for alert in self.members.values())

    def keeps(self, alert: Alert) -> bool:
        """Return whether an alert may still have to be reported: it fires, or the receiver must hear of its end."""
        fact = self.fact(alert)
        return alert.notice.firing or fact.capped is not None or (fact.last is not None and self.route.send_resolved)


@dataclass(frozen=True, slots=True)
class Hidden:
    """An alert that is not reported now."""

    notice: Notice
    reason: WithheldReason
    until: int
    ready: int
    """From when on it would have been reported."""
    said: bool
    """Whether a decision already says that it is withheld."""


@dataclass(slots=True)
class Outlook:
    """What there is to report about a group."""

    new: list[Notice] = field(default_factory=list)
    """Firing, and the receiver doesn't know."""
    known: list[Notice] = field(default_factory=list)
    """Firing, as the receiver knows."""
    ended: list[Notice] = field(default_factory=list)
    """Over, and the receiver doesn't know."""
    hidden: list[Hidden] = field(default_factory=list)
    capped: int | None = None
    """Since when something waits for a digest, ns; None: nothing does."""
    over: bool = True
    """Whether nothing of the group fires, hidden or not."""
    last: Last | None = None

    @property
    def changes(self) -> list[Notice]:
        """What the receiver doesn't know."""
        return [*self.new, *self.ended]


class Viewpoint:
    """Looks at groups at one instant."""

    def __init__(self, plan: Plan, book: Book, silences: Silences, inhibition: Inhibition, now: int) -> None:
        self._plan, self._book, self._inhibition, self._now = plan, book, inhibition, now
        self._silences = silences.in_force(now)
        self._muted: dict[tuple[int, SiteId], int] = {}

    def muted_until(self, cell: Cell) -> int:
        """Return when the route's times allow a notification, at most a week ahead; now if they allow it now."""
        key = (id(cell.route), cell.group.site)
        if key not in self._muted:
            zone = self._plan.place(cell.group.site).zone
            self._muted[key] = cell.route.schedule.muted_until(self._now, zone)
        return self._muted[key]

    def look(self, cell: Cell) -> Outlook:
        """Return what there is to report about a group, the oldest alerts first."""
        facts = [cell.fact(alert) for alert in cell.members.values()]
        seen = Outlook(last=self._book.last(cell.key, (fact.last for fact in facts if fact.last is not None)))
        for alert in sorted(cell.members.values(), key=_BY_AGE):
            seen.over &= not alert.notice.firing
            reason, until = self._filter(cell, alert.notice)
            if reason is None:
                self._show(seen, alert.notice, cell.fact(alert))
            else:
                seen.hidden.append(self._hide(cell, alert, seen.last, reason, until))
        return seen

    def _filter(self, cell: Cell, notice: Notice) -> tuple[WithheldReason | None, int]:
        """Return why an alert is withheld, and until when."""
        place = self._plan.place(notice.site)
        inhibited = self._inhibition.until(notice, place, cell.route.wait)
        if inhibited > self._now:
            return "inhibited", inhibited
        until = self._silences and silenced_until(self._silences, notice, place.zones(notice), cell.group.receiver)
        return ("silenced", until) if until else (None, 0)

    def _show(self, seen: Outlook, notice: Notice, fact: Fact) -> None:
        if not notice.firing:
            seen.ended.append(notice)
        elif fact.last is None:
            seen.new.append(notice)
        else:
            seen.known.append(notice)
        if fact.capped is not None:
            seen.capped = min(fact.capped, seen.capped or fact.capped)

    def _hide(self, cell: Cell, alert: Alert, last: Last | None, reason: WithheldReason, until: int) -> Hidden:
        notice, fact = alert.notice, cell.fact(alert)
        repeats = notice.firing and fact.last is not None and last is not None
        ready = last.at + cell.route.repeat if repeats and last is not None else notice.stored + cell.route.wait
        return Hidden(notice, reason, until, ready, (reason, notice.state) in fact.withheld)


def needs_update(seen: Outlook, route: Route) -> tuple[NotificationReason | None, int]:
    """Return why the receiver must be notified of a group, and from when on (ns); None if there is no reason."""
    if seen.capped is not None:
        return "digest", hour_end(seen.capped)
    due = OPEN_END
    if seen.changes:
        free = seen.last.at + route.interval if seen.last else 0
        due = max(min(notice.stored for notice in seen.changes) + route.wait, free)
    due = min(due, _repeat(seen, route))
    return (_reason(seen), due) if due < OPEN_END else (None, OPEN_END)


def _reason(seen: Outlook) -> NotificationReason:
    if seen.new:
        return "new-alerts" if seen.last else "first"
    if seen.ended:
        return "all-resolved" if seen.over else "some-resolved"
    return "repeat"


def held_back(seen: Outlook, route: Route, now: int) -> list[Notice]:
    """Return what a withheld notification covers: changes that waited long enough, and alerts due to be repeated."""
    ready = [notice for notice in seen.changes if notice.stored + route.wait <= now]
    return [*ready, *seen.known] if _repeat(seen, route) <= now else ready


def next_look(seen: Outlook, route: Route, now: int, due: int, blocked: int) -> int | None:
    """Return when another look at the group could show a change without any input; None: never.

    `due` comes from `needs_update`. `blocked` is the time until which a due notification is withheld as a whole.
    """
    times = [due, *_hidden_times(seen.hidden)]
    if due <= now or seen.capped is not None:
        times += [_repeat(seen, route), *(notice.stored + route.wait for notice in seen.changes)]
    if due <= now:
        times.append(blocked)
    return min((at for at in times if now < at < OPEN_END), default=None)


def _repeat(seen: Outlook, route: Route) -> int:
    return seen.last.at + route.repeat if seen.known and seen.last else OPEN_END


def _hidden_times(hidden: Iterable[Hidden]) -> Iterable[int]:
    for one in hidden:
        yield one.until
        if not one.said:
            yield one.ready
