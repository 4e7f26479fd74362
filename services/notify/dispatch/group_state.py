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
from services.notify.dispatch.muting import OPEN_END, Inhibition, Silences, silenced_until
from services.notify.dispatch.notification_log import Alert, Last, NotificationLog, ReceiverState, hour_end
from services.notify.notification import Group, Notice
from services.notify.routing.plan import Route, RoutingPlan

_BY_AGE = attrgetter("notice.since", "notice.alert")
_UNKNOWN = ReceiverState()


@dataclass(slots=True)
class AlertGroup:
    """A group that has alerts."""

    group: Group
    key: str
    route: Route
    members: dict[str, Alert] = field(default_factory=dict)

    def receiver_state(self, alert: Alert) -> ReceiverState:
        """Return what the receiver knows of an alert."""
        return alert.receivers.get(self.group.receiver, _UNKNOWN)

    @property
    def incident(self) -> bool:
        """Whether the receiver was notified of an alert that, as far as the receiver knows, is not over."""
        return any(self.receiver_state(alert).last is not None for alert in self.members.values())

    def keeps(self, alert: Alert) -> bool:
        """Return whether an alert may still have to be reported: it fires, or the receiver must hear of its end."""
        known = self.receiver_state(alert)
        return alert.notice.firing or known.capped is not None or (known.last is not None and self.route.send_resolved)


@dataclass(frozen=True, slots=True)
class Hidden:
    """An alert that is not reported now."""

    notice: Notice
    reason: WithheldReason
    until: int
    ready: int
    """From when on it would have been reported."""
    recorded: bool
    """Whether a decision already says that it is withheld."""


@dataclass(slots=True)
class GroupState:
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


class Evaluation:
    """Looks at groups at one instant."""

    def __init__(
        self, plan: RoutingPlan, log: NotificationLog, silences: Silences, inhibition: Inhibition, now: int
    ) -> None:
        self._plan, self._log, self._inhibition, self._now = plan, log, inhibition, now
        self._silences = silences.in_force(now)
        self._muted: dict[tuple[int, SiteId], int] = {}

    def muted_until(self, alerts: AlertGroup) -> int:
        """Return when the route's times allow a notification, at most a week ahead; now if they allow it now."""
        key = (id(alerts.route), alerts.group.site)
        if key not in self._muted:
            zone = self._plan.place(alerts.group.site).zone
            self._muted[key] = alerts.route.schedule.muted_until(self._now, zone)
        return self._muted[key]

    def look(self, alerts: AlertGroup) -> GroupState:
        """Return what there is to report about a group, the oldest alerts first."""
        states = [alerts.receiver_state(alert) for alert in alerts.members.values()]
        state = GroupState(
            last=self._log.last(
                alerts.key,
                (known.last for known in states if known.last is not None),
            )
        )
        for alert in sorted(alerts.members.values(), key=_BY_AGE):
            state.over &= not alert.notice.firing
            reason, until = self._filter(alerts, alert.notice)
            if reason is None:
                self._show(state, alert.notice, alerts.receiver_state(alert))
            else:
                state.hidden.append(self._hide(alerts, alert, state.last, reason, until))
        return state

    def _filter(self, alerts: AlertGroup, notice: Notice) -> tuple[WithheldReason | None, int]:
        """Return why an alert is withheld, and until when."""
        place = self._plan.place(notice.site)
        inhibited = self._inhibition.until(notice, place, alerts.route.wait)
        if inhibited > self._now:
            return "inhibited", inhibited
        until = self._silences and silenced_until(self._silences, notice, place.zones(notice), alerts.group.receiver)
        return ("silenced", until) if until else (None, 0)

    def _show(self, state: GroupState, notice: Notice, known: ReceiverState) -> None:
        if not notice.firing:
            state.ended.append(notice)
        elif known.last is None:
            state.new.append(notice)
        else:
            state.known.append(notice)
        if known.capped is not None:
            state.capped = min(known.capped, state.capped or known.capped)

    def _hide(self, alerts: AlertGroup, alert: Alert, last: Last | None, reason: WithheldReason, until: int) -> Hidden:
        notice, known = alert.notice, alerts.receiver_state(alert)
        repeats = notice.firing and known.last is not None and last is not None
        ready = last.at + alerts.route.repeat if repeats and last is not None else notice.stored + alerts.route.wait
        return Hidden(notice, reason, until, ready, (reason, notice.state) in known.withheld)


def needs_update(state: GroupState, route: Route) -> tuple[NotificationReason | None, int]:
    """Return why the receiver must be notified of a group, and from when on (ns); None if there is no reason."""
    if state.capped is not None:
        return "digest", hour_end(state.capped)
    due = OPEN_END
    if state.changes:
        free = state.last.at + route.interval if state.last else 0
        due = max(min(notice.stored for notice in state.changes) + route.wait, free)
    due = min(due, _repeat(state, route))
    return (_reason(state), due) if due < OPEN_END else (None, OPEN_END)


def _reason(state: GroupState) -> NotificationReason:
    if state.new:
        return "new-alerts" if state.last else "first"
    if state.ended:
        return "all-resolved" if state.over else "some-resolved"
    return "repeat"


def held_back(state: GroupState, route: Route, now: int) -> list[Notice]:
    """Return what a withheld notification covers: changes that waited long enough, and alerts due to be repeated."""
    ready = [notice for notice in state.changes if notice.stored + route.wait <= now]
    return [*ready, *state.known] if _repeat(state, route) <= now else ready


def next_look(state: GroupState, route: Route, now: int, due: int, blocked: int) -> int | None:
    """Return when another look at the group could show a change without any input; None: never.

    `due` comes from `needs_update`. `blocked` is the time until which a due notification is withheld as a whole.
    """
    times = [due, *_hidden_times(state.hidden)]
    if due <= now or state.capped is not None:
        times += [_repeat(state, route), *(notice.stored + route.wait for notice in state.changes)]
    if due <= now:
        times.append(blocked)
    return min((at for at in times if now < at < OPEN_END), default=None)


def _repeat(state: GroupState, route: Route) -> int:
    return state.last.at + route.repeat if state.known and state.last else OPEN_END


def _hidden_times(hidden: Iterable[Hidden]) -> Iterable[int]:
    for one in hidden:
        yield one.until
        if not one.recorded:
            yield one.ready
