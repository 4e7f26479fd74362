"""How often a rule's alerts fired on a day and for how long, from the published alerts. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from proto.public import AlertV1
from proto.types import AlertId, RuleId, ZoneId
from services.history import Span


@dataclass(frozen=True)
class RuleDay:
    """One rule's day."""

    zone: ZoneId
    rule: RuleId
    alerts: int
    """How many fired at some time of the day."""
    carried: int
    """How many of them fired before it already: 0 or 1."""
    fired: int
    """For how long, ns: the windows of the day in which the rule fired, from the one that decided on."""
    lasting: bool
    """Whether one fired on beyond the end of the day."""


@dataclass
class _Fired:
    zone: ZoneId
    rule: RuleId
    start: int
    end: int | None = None

    def within(self, span: Span) -> int:
        """Return for how long it fired in this time."""
        end = span.end if self.end is None else min(self.end, span.end)
        return max(0, end - max(self.start, span.start))


def rule_days(alerts: Iterable[AlertV1], span: Span) -> tuple[RuleDay, ...]:
    """Return the rules of which an alert fired within the span, by zone and name. Alerts are given in order.

    An alert lasts from the window that decided that it fires to the one that decided its end, or to the next alert of
    the same rule: a rule that was changed begins anew.
    """
    found = [fired for fired in _spells(alerts) if fired.within(span)]
    rules = sorted({(fired.zone, fired.rule) for fired in found})
    return tuple(_day(zone, rule, [f for f in found if (f.zone, f.rule) == (zone, rule)], span) for zone, rule in rules)


def _day(zone: ZoneId, rule: RuleId, found: list[_Fired], span: Span) -> RuleDay:
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
