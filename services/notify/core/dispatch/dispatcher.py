"""The dispatcher: alerts in, decisions to notify or to withhold out (ADR 17). Alertmanager's terms and semantics."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter

from proto.notifications import NotificationReason, NotificationV1, SilenceV1, WithheldReason
from proto.types import ReceiverId, Severity, SilenceId, SiteId
from services.notify.core.deadlines import Deadlines
from services.notify.core.dispatch.book import Alert, Book, Output, hour_end, record_of, told, withheld
from services.notify.core.dispatch.muting import Inhibition, Silences
from services.notify.core.dispatch.outlook import Cell, Outlook, Viewpoint, held_back, needs_update, next_look
from services.notify.core.dispatch.routing import Plan
from services.notify.core.notification import Group, Notice
from services.sites.history import SECOND

_RANK: dict[Severity, int] = {"critical": 0, "warning": 1, "info": 2}
_PUT_BACK = SECOND
"""A clock that is earlier than before by more than this was put back. The dispatcher waits out NTP's small steps."""
_DAY = 86_400 * SECOND


@dataclass(frozen=True, slots=True)
class SilenceGone:
    """An operator removed a silence, or the bus forgot it."""

    silence: SilenceId


Input = Notice | SilenceV1 | SilenceGone | Plan
"""An alert in a new state; a silence that was set or changed; a silence that is gone; new settings."""


@dataclass(slots=True)
class _Wish:
    """A group that is ready to be reported now."""

    cell: Cell
    seen: Outlook
    reason: NotificationReason

    @property
    def urgency(self) -> tuple[int, int, str]:
        """Sort key for a cap that leaves no room for all: the most severe first, then the oldest."""
        notices = self.seen.changes or self.seen.known
        return min(_RANK[n.severity] for n in notices), min(n.stored for n in notices), self.cell.key


class Dispatcher:
    """Decides for one site or for several. Instants are ns; the same inputs give the same decisions."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._book, self._silences, self._inhibition = Book(), Silences(), Inhibition()
        self._cells: dict[str, Cell] = {}
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
            if self._book.see(notice) is not None:
                self._inhibition.take(notice)
        for silence in silences:
            self._silences.put(silence)
        for alert in self._book.alerts.values():
            self._place(alert)
        for record in records:
            self._book.take(record)
        self._put_back(now)
        self._prune_all()

    def step(self, now: int, *inputs: Input) -> list[Output]:
        """Take in inputs. Return the decisions that follow from them and from the time, in the order to store them."""
        if now < self._now - _PUT_BACK:
            self._put_back(now)
        begun = self._silences.next_start(self._now)
        self._now = max(self._now, now)
        if begun is not None and begun <= self._now:
            self._touch(self._cells)
        for one in inputs:
            if not isinstance(one, Notice):
                self._change(one)
        notices = [one.not_after(self._now) for one in inputs if isinstance(one, Notice)]
        self._take(sorted(notices, key=lambda n: (n.order, n.stored, n.alert, not n.firing)))
        outputs = self._decide()
        self._forget()
        return outputs

    def _put_back(self, now: int) -> None:
        """Continue with a clock that was put back: nothing waits for a time that only the wrong clock made late."""
        self._now = now
        self._book.put_back(now)
        self._inhibition.put_back(now)
        self._touch(self._cells)

    def next_deadline(self) -> int | None:
        """Return when `step` must be called at the latest if no input comes; None: only when an input comes."""
        times = (self._deadlines.first(), self._silences.next_start(self._now))
        return min((at for at in times if at is not None), default=None)

    def _change(self, change: SilenceV1 | SilenceGone | Plan) -> None:
        if isinstance(change, Plan):
            self._plan = change
            self._regroup()
            return
        if isinstance(change, SilenceV1):
            self._silences.put(change)
        else:
            self._silences.remove(change.silence)
        self._touch(self._cells)

    def _take(self, notices: Iterable[Notice]) -> None:
        blind = set[SiteId]()
        for notice in notices:
            new = notice.alert not in self._book.alerts
            alert = self._book.see(notice)
            if alert is None:
                continue
            if self._inhibition.take(notice):
                blind.add(notice.site)
            if new:
                self._place(alert)
            for key in alert.groups.values():  # only after its wait: a look costs more, the larger the group
                self._deadlines.hasten(key, max(self._now, notice.stored + self._cells[key].route.wait))
            self._prune(alert)
        if blind:
            self._touch([key for key, cell in self._cells.items() if cell.group.site in blind])

    def _touch(self, groups: Iterable[str]) -> None:
        """Look at these groups now."""
        for key in groups:
            self._deadlines.set(key, self._now)

    def _place(self, alert: Alert) -> None:
        """Put an alert into the groups that it belongs to."""
        for route in self._plan.lead(alert.origin):
            group = route.group(alert.origin)
            key = group.key
            cell = self._cells.get(key) or self._cells.setdefault(key, Cell(group, key, route))
            cell.members[alert.notice.alert] = alert
            alert.groups[group.receiver] = key

    def _prune(self, alert: Alert) -> None:
        """Remove an alert from groups with nothing left to report of it. Forget it if it is over and in no group."""
        for receiver, key in tuple(alert.groups.items()):
            cell = self._cells[key]
            if not cell.keeps(alert):
                del cell.members[alert.notice.alert]
                del alert.groups[receiver]
                self._left(cell, alert)
        if not alert.groups and not alert.notice.firing:
            del self._book.alerts[alert.notice.alert]

    def _left(self, cell: Cell, alert: Alert) -> None:
        """Drop a group that has no alerts any more, and look at one whose incident ended without a notification."""
        if not cell.members:
            del self._cells[cell.key]
            self._deadlines.set(cell.key, None)
            self._book.close(cell.key)
        elif cell.fact(alert).last is not None and not cell.incident:
            self._touch([cell.key])

    def _regroup(self) -> None:
        """Put every alert into its group by the present plan. What receivers know stays."""
        before, self._cells = self._cells, {}
        for alert in self._book.alerts.values():
            alert.groups.clear()
            self._place(alert)
        for key in before.keys() - self._cells.keys():
            self._deadlines.set(key, None)
            self._book.close(key)
        self._prune_all()

    def _prune_all(self) -> None:
        for alert in tuple(self._book.alerts.values()):
            self._prune(alert)
        self._touch(self._cells)

    def _decide(self) -> list[Output]:
        outputs: list[Output] = []
        view = Viewpoint(self._plan, self._book, self._silences, self._inhibition, self._now)
        due = [self._cells[key] for key in sorted(self._deadlines.take(self._now))]
        wishes = defaultdict[tuple[ReceiverId, SiteId], list[_Wish]](list)
        for cell in due:
            seen = view.look(cell)
            outputs += self._withhold_hidden(cell, seen)
            reason, at = needs_update(seen, cell.route)
            if reason is None or at > self._now:
                if seen.capped is not None:
                    outputs += self._withhold(cell, seen, "capped", held_back(seen, cell.route, self._now))
                continue
            if view.muted_until(cell) != self._now:
                outputs += self._withhold(cell, seen, "muted", held_back(seen, cell.route, self._now))
            else:
                wishes[cell.group.receiver, cell.group.site].append(_Wish(cell, seen, reason))
        for _, wanted in sorted(wishes.items()):
            outputs += self._allot(wanted)
        for cell in due:
            self._schedule(cell, view)
        return outputs

    def _allot(self, wishes: list[_Wish]) -> list[Output]:
        """Notify one receiver of one site within the cap: first digests, the longest wait first; then others."""
        digests = defaultdict[str, list[_Wish]](list)
        for wish in wishes:
            if wish.reason == "digest":
                digests[wish.cell.group.audience].append(wish)
        singles = [[wish] for wish in sorted(wishes, key=lambda wish: wish.urgency) if wish.reason != "digest"]
        outputs: list[Output] = []
        waited = sorted(digests.values(), key=lambda wishes: min(wish.seen.capped or 0 for wish in wishes))
        for together in [*waited, *singles]:
            outputs += self._tell(together) if self._room(together[0].cell.group) else self._cap(together)
        return outputs

    def _room(self, group: Group) -> bool:
        return self._book.sent(group.receiver, group.site, self._now) < self._plan.cap(group.receiver)

    def _tell(self, wishes: list[_Wish]) -> list[Output]:
        """Notify of one group, or of several in a digest. These all go on in the newest one's incident."""
        group = wishes[0].cell.group
        if len(wishes) > 1:
            group = Group(group.receiver, group.site, group.audience)
        last = max((wish.seen.last for wish in wishes if wish.seen.last), default=None)
        new = [notice for wish in wishes for notice in wish.seen.new]
        known = [notice for wish in wishes for notice in wish.seen.known]
        ended = [notice for wish in wishes for notice in wish.seen.ended]
        return [self._book_in(told(group, wishes[0].reason, last, self._now, new, known, ended))]

    def _cap(self, wishes: list[_Wish]) -> list[Output]:
        outputs: list[Output] = []
        for wish in wishes:
            route = wish.cell.route
            outputs += self._withhold(wish.cell, wish.seen, "capped", held_back(wish.seen, route, self._now))
        return outputs

    def _withhold_hidden(self, cell: Cell, seen: Outlook) -> list[Output]:
        outputs: list[Output] = []
        for reason in ("inhibited", "silenced"):
            ready = [one.notice for one in seen.hidden if one.reason == reason and one.ready <= self._now]
            outputs += self._withhold(cell, seen, reason, ready)
        return outputs

    def _withhold(self, cell: Cell, seen: Outlook, reason: WithheldReason, notices: list[Notice]) -> list[Output]:
        """Decide once for each alert's state that it is withheld."""
        unsaid = [n for n in notices if (reason, n.state) not in cell.fact(cell.members[n.alert]).withheld]
        return [self._book_in(withheld(cell.group, reason, seen.last, self._now, unsaid))] if unsaid else []

    def _book_in(self, output: Output) -> Output:
        self._book.take(record_of(output))
        return output

    def _schedule(self, cell: Cell, view: Viewpoint) -> None:
        """Forget alerts with nothing left to report, and note when to look again."""
        for alert in [alert for alert in cell.members.values() if not alert.notice.firing]:
            self._prune(alert)
        if not cell.members:
            return
        seen = view.look(cell)
        _, due = needs_update(seen, cell.route)
        free = view.muted_until(cell)
        blocked = free if free > self._now else hour_end(self._now)
        self._deadlines.set(cell.key, next_look(seen, cell.route, self._now, due, blocked))

    def _forget(self) -> None:
        self._silences.forget(self._now - _DAY)  # not at once: the clock may be put back
        self._inhibition.forget(self._now - max((route.wait for route in self._plan.routes), default=0))
