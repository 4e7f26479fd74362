"""The dispatcher: alerts in, decisions to notify or to withhold out (ADR 17). Alertmanager's terms and semantics."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter

from proto.notifications import NotificationReason, NotificationV1, SilenceV1, WithheldReason
from proto.types import ReceiverId, Severity, SilenceId, SiteId
from services.notify.deadlines import Deadlines
from services.notify.dispatch.group_state import AlertGroup, Evaluation, GroupState, held_back, needs_update, next_look
from services.notify.dispatch.muting import Inhibition, Silences
from services.notify.dispatch.notification_log import Alert, NotificationLog, hour_end, next_notification, withhold
from services.notify.notification import Decision, Group, Notice, record_of
from services.notify.routing.plan import RoutingPlan
from services.statistics.calendar import SECOND

_RANK: dict[Severity, int] = {"critical": 0, "warning": 1, "info": 2}
_STEPPED_BACK = SECOND
"""A clock that is earlier than before by more than this was put back. The dispatcher waits out NTP's small steps."""
_DAY = 86_400 * SECOND


@dataclass(frozen=True, slots=True)
class SilenceGone:
    """An operator removed a silence, or the bus forgot it."""

    silence: SilenceId


Input = Notice | SilenceV1 | SilenceGone | RoutingPlan
"""An alert in a new state; a silence that was set or changed; a silence that is gone; new settings."""


@dataclass(slots=True)
class _DueGroup:
    """A group that is ready to be reported now."""

    alerts: AlertGroup
    state: GroupState
    reason: NotificationReason

    @property
    def urgency(self) -> tuple[int, int, str]:
        """Sort key for a cap that leaves no room for all: the most severe first, then the oldest."""
        notices = self.state.changes or self.state.known
        return min(_RANK[n.severity] for n in notices), min(n.stored for n in notices), self.alerts.key


class Dispatcher:
    """Decides for one site or for several. Instants are ns; the same inputs give the same decisions."""

    def __init__(self, plan: RoutingPlan) -> None:
        self._plan = plan
        self._log, self._silences, self._inhibition = NotificationLog(), Silences(), Inhibition()
        self._groups: dict[str, AlertGroup] = {}
        self._deadlines = Deadlines()
        self._now = 0

    def restore(
        self, notices: Iterable[Notice], records: Iterable[NotificationV1], silences: Iterable[SilenceV1], now: int
    ) -> None:
        """Continue where an earlier one stopped, from all stored alerts and decisions, each in its stream's order.

        The next `step` repeats decisions that were not stored, with the same ids.
        """
        self._now = now
        for notice in sorted(notices, key=attrgetter("order", "stored")):
            if self._log.update(notice) is not None:
                self._inhibition.take(notice)
        for silence in silences:
            self._silences.put(silence)
        for alert in self._log.alerts.values():
            self._place(alert)
        for record in records:
            self._log.take(record)
        self._clock_stepped_back(now)
        self._prune_all()

    def step(self, now: int, *inputs: Input) -> list[Decision]:
        """Take in inputs. Return the decisions that follow from them and from the time, in the order to store them."""
        if now < self._now - _STEPPED_BACK:
            self._clock_stepped_back(now)
        begun = self._silences.next_start(self._now)
        self._now = max(self._now, now)
        if begun is not None and begun <= self._now:
            self._touch(self._groups)
        for one in inputs:
            if not isinstance(one, Notice):
                self._change(one)
        notices = [one.not_after(self._now) for one in inputs if isinstance(one, Notice)]
        self._take(sorted(notices, key=lambda n: (n.order, n.stored, n.alert, not n.firing)))
        decisions = self._decide()
        self._forget()
        return decisions

    def _clock_stepped_back(self, now: int) -> None:
        """Continue with a clock that was put back: nothing waits for a time that only the wrong clock made late."""
        self._now = now
        self._log.clock_stepped_back(now)
        self._inhibition.clock_stepped_back(now)
        self._touch(self._groups)

    def next_deadline(self) -> int | None:
        """Return when `step` must be called at the latest if no input comes; None: only when an input comes."""
        times = (self._deadlines.first(), self._silences.next_start(self._now))
        return min((at for at in times if at is not None), default=None)

    def _change(self, change: SilenceV1 | SilenceGone | RoutingPlan) -> None:
        if isinstance(change, RoutingPlan):
            self._plan = change
            self._regroup()
            return
        if isinstance(change, SilenceV1):
            self._silences.put(change)
        else:
            self._silences.remove(change.silence)
        self._touch(self._groups)

    def _take(self, notices: Iterable[Notice]) -> None:
        blind = set[SiteId]()
        for notice in notices:
            new = notice.alert not in self._log.alerts
            alert = self._log.update(notice)
            if alert is None:
                continue
            if self._inhibition.take(notice):
                blind.add(notice.site)
            if new:
                self._place(alert)
            for key in alert.groups.values():  # only after its wait: a look costs more, the larger the group
                self._deadlines.hasten(key, max(self._now, notice.stored + self._groups[key].route.wait))
            self._prune(alert)
        if blind:
            self._touch([key for key, alerts in self._groups.items() if alerts.group.site in blind])

    def _touch(self, groups: Iterable[str]) -> None:
        """Look at these groups now."""
        for key in groups:
            self._deadlines.set(key, self._now)

    def _place(self, alert: Alert) -> None:
        """Put an alert into the groups that it belongs to."""
        for route in self._plan.lead(alert.origin):
            group = route.group(alert.origin)
            key = group.key
            alerts = self._groups.get(key) or self._groups.setdefault(key, AlertGroup(group, key, route))
            alerts.members[alert.notice.alert] = alert
            alert.groups[group.receiver] = key

    def _prune(self, alert: Alert) -> None:
        """Remove an alert from groups with nothing left to report of it. Forget it if it is over and in no group."""
        for receiver, key in tuple(alert.groups.items()):
            alerts = self._groups[key]
            if not alerts.keeps(alert):
                del alerts.members[alert.notice.alert]
                del alert.groups[receiver]
                self._left(alerts, alert)
        if not alert.groups and not alert.notice.firing:
            del self._log.alerts[alert.notice.alert]

    def _left(self, alerts: AlertGroup, alert: Alert) -> None:
        """Drop a group that has no alerts any more, and look at one whose incident ended without a notification."""
        if not alerts.members:
            del self._groups[alerts.key]
            self._deadlines.set(alerts.key, None)
            self._log.close(alerts.key)
        elif alerts.receiver_state(alert).last is not None and not alerts.incident:
            self._touch([alerts.key])

    def _regroup(self) -> None:
        """Put every alert into its group by the present plan. What receivers know stays."""
        before, self._groups = self._groups, {}
        for alert in self._log.alerts.values():
            alert.groups.clear()
            self._place(alert)
        for key in before.keys() - self._groups.keys():
            self._deadlines.set(key, None)
            self._log.close(key)
        self._prune_all()

    def _prune_all(self) -> None:
        for alert in tuple(self._log.alerts.values()):
            self._prune(alert)
        self._touch(self._groups)

    def _decide(self) -> list[Decision]:
        decisions: list[Decision] = []
        view = Evaluation(self._plan, self._log, self._silences, self._inhibition, self._now)
        ready = [self._groups[key] for key in sorted(self._deadlines.take(self._now))]
        due_groups = defaultdict[tuple[ReceiverId, SiteId], list[_DueGroup]](list)
        for alerts in ready:
            state = view.look(alerts)
            decisions += self._withhold_hidden(alerts, state)
            reason, at = needs_update(state, alerts.route)
            if reason is None or at > self._now:
                if state.capped is not None:
                    decisions += self._withhold(alerts, state, "capped", held_back(state, alerts.route, self._now))
                continue
            if view.muted_until(alerts) != self._now:
                decisions += self._withhold(alerts, state, "muted", held_back(state, alerts.route, self._now))
            else:
                due_groups[alerts.group.receiver, alerts.group.site].append(_DueGroup(alerts, state, reason))
        for _, wanted in sorted(due_groups.items()):
            decisions += self._allot(wanted)
        for alerts in ready:
            self._schedule(alerts, view)
        return decisions

    def _allot(self, due_groups: list[_DueGroup]) -> list[Decision]:
        """Notify one receiver of one site within the cap: first digests, the longest wait first; then others."""
        digests = defaultdict[str, list[_DueGroup]](list)
        for due in due_groups:
            if due.reason == "digest":
                digests[due.alerts.group.audience].append(due)
        singles = [[due] for due in sorted(due_groups, key=lambda due: due.urgency) if due.reason != "digest"]
        decisions: list[Decision] = []
        waited = sorted(digests.values(), key=lambda due_groups: min(due.state.capped or 0 for due in due_groups))
        for together in [*waited, *singles]:
            decisions += self._notify(together) if self._room(together[0].alerts.group) else self._cap(together)
        return decisions

    def _room(self, group: Group) -> bool:
        return self._log.sent(group.receiver, group.site, self._now) < self._plan.cap(group.receiver)

    def _notify(self, due_groups: list[_DueGroup]) -> list[Decision]:
        """Notify of one group, or of several in a digest. These all go on in the newest one's incident."""
        group = due_groups[0].alerts.group
        if len(due_groups) > 1:
            group = Group(group.receiver, group.site, group.audience)
        last = max((due.state.last for due in due_groups if due.state.last), default=None)
        new = [notice for due in due_groups for notice in due.state.new]
        known = [notice for due in due_groups for notice in due.state.known]
        ended = [notice for due in due_groups for notice in due.state.ended]
        return [self._record(next_notification(group, due_groups[0].reason, last, self._now, new, known, ended))]

    def _cap(self, due_groups: list[_DueGroup]) -> list[Decision]:
        decisions: list[Decision] = []
        for due in due_groups:
            route = due.alerts.route
            decisions += self._withhold(due.alerts, due.state, "capped", held_back(due.state, route, self._now))
        return decisions

    def _withhold_hidden(self, alerts: AlertGroup, state: GroupState) -> list[Decision]:
        decisions: list[Decision] = []
        for reason in ("inhibited", "silenced"):
            ready = [one.notice for one in state.hidden if one.reason == reason and one.ready <= self._now]
            decisions += self._withhold(alerts, state, reason, ready)
        return decisions

    def _withhold(
        self, alerts: AlertGroup, state: GroupState, reason: WithheldReason, notices: list[Notice]
    ) -> list[Decision]:
        """Decide once for each alert's state that it is withheld."""
        unsaid = [
            n for n in notices if (reason, n.state) not in alerts.receiver_state(alerts.members[n.alert]).withheld
        ]
        return [self._record(withhold(alerts.group, reason, state.last, self._now, unsaid))] if unsaid else []

    def _record(self, decision: Decision) -> Decision:
        self._log.take(record_of(decision))
        return decision

    def _schedule(self, alerts: AlertGroup, view: Evaluation) -> None:
        """Forget alerts with nothing left to report, and note when to look again."""
        for alert in [alert for alert in alerts.members.values() if not alert.notice.firing]:
            self._prune(alert)
        if not alerts.members:
            return
        state = view.look(alerts)
        _, due = needs_update(state, alerts.route)
        free = view.muted_until(alerts)
        blocked = free if free > self._now else hour_end(self._now)
        self._deadlines.set(alerts.key, next_look(state, alerts.route, self._now, due, blocked))

    def _forget(self) -> None:
        self._silences.forget(self._now - _DAY)  # not at once: the clock may be put back
        self._inhibition.forget(self._now - max((route.wait for route in self._plan.routes), default=0))
