"""A day's alerts of each rule: how many, how long, and which were held back, from published data. Pure."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from proto.notifications import NotificationV1, WithheldReason
from proto.public import AlertV1
from proto.types import AlertId, ReceiverId, RuleId, ZoneId
from services.statistics.calendar import TimeRange


@dataclass(frozen=True)
class RuleDay:
    """One rule's alerts on one day."""

    zone: ZoneId
    rule: RuleId
    alerts: int
    """How many fired at some time of the day."""
    carried: int
    """How many of them already fired before the day: 0 or 1."""
    fired: int
    """How long the rule fired, ns: the day's windows in which it fired, from the deciding window on."""
    lasting: bool
    """Whether an alert still fired after the end of the day."""


@dataclass
class _Fired:
    zone: ZoneId
    rule: RuleId
    start: int
    end: int | None = None

    def within(self, span: TimeRange) -> int:
        """Return for how long it fired in this time."""
        end = span.end if self.end is None else min(self.end, span.end)
        return max(0, end - max(self.start, span.start))


def rule_days(alerts: Iterable[AlertV1], span: TimeRange) -> tuple[RuleDay, ...]:
    """Return the rules of which an alert fired within the span, by zone and name. Alerts must come in order.

    An alert lasts from the window that decided its start to the window that decided its end, or to the next alert of
    the same rule: a changed rule begins again.
    """
    found = [fired for fired in _spells(alerts) if fired.within(span)]
    rules = sorted({(fired.zone, fired.rule) for fired in found})
    return tuple(_day(zone, rule, [f for f in found if (f.zone, f.rule) == (zone, rule)], span) for zone, rule in rules)


def _day(zone: ZoneId, rule: RuleId, found: list[_Fired], span: TimeRange) -> RuleDay:
    return RuleDay(
        zone=zone,
        rule=rule,
        alerts=len(found),
        carried=sum(fired.start < span.start for fired in found),
        fired=sum(fired.within(span) for fired in found),
        lasting=any(fired.end is None or fired.end > span.end for fired in found),
    )


def _spells(alerts: Iterable[AlertV1]) -> Iterable[_Fired]:
    known: dict[AlertId, _Fired] = {}
    last: dict[tuple[ZoneId, RuleId], _Fired] = {}
    for alert in alerts:
        place = (alert.zone, alert.rule)
        if alert.state == "firing" and alert.alert not in known:
            before = last.get(place)
            if before is not None and before.end is None:
                before.end = alert.start
            known[alert.alert] = last[place] = _Fired(*place, alert.start)
        elif alert.state == "resolved" and alert.alert in known and known[alert.alert].end is None:
            known[alert.alert].end = alert.start
    return known.values()


@dataclass(frozen=True)
class HeldBack:
    """Alerts whose start or end, on a day, was withheld for now. One may have been held back for several reasons."""

    alerts: int = 0
    reasons: tuple[tuple[WithheldReason, int], ...] = ()
    """Why, and how many alerts, the most frequent reason first."""


def held_back(
    records: Iterable[NotificationV1], rates: Collection[AlertId], span: TimeRange, receiver: ReceiverId | None = None
) -> HeldBack:
    """Return how many alerts about rates were held back within the span, from one receiver or from any.

    `rates`: the names of alerts about rates. Those about the system itself are not for the readers of a report.
    """
    found = defaultdict[WithheldReason, set[AlertId]](set)
    for record in records:
        if record.withheld is not None and span.start <= record.at < span.end and receiver in (None, record.receiver):
            found[record.withheld].update({*record.firing, *record.resolved} & set(rates))
    counts = sorted(((reason, len(alerts)) for reason, alerts in found.items() if alerts), key=lambda one: -one[1])
    return HeldBack(len(set[AlertId]().union(*found.values())), tuple(counts))
