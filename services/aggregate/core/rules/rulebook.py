"""The states of a site's rules, from their first window until the settings no longer have them.

A rule's last `RuleStateV1` holds its whole state, until further windows lengthen a row that has begun. So a restart
reads that message and these windows. It also reads the last window: a crash may have kept its decisions from being
published.

A rule that a new configuration no longer judges ends at the border where that configuration takes over. Its alert is
resolved with the figures of its last window, since no window will ever clear it.
"""

from collections.abc import Iterable, Iterator, Sequence

from msgspec import structs

from proto.public import AlertV1, RuleStateV1, WindowV1
from services.aggregate.core.config import SiteConfig
from services.aggregate.core.rules.rate_rules import (
    Decision,
    RuleState,
    alert_of,
    change,
    fold,
    judge,
    standing,
    trailing,
)
from services.sites.profiles import PROFILES
from services.sites.settings import RuleSettings

RuleKey = tuple[str, str]
"""A zone and the name of one of its rules."""


class RuleBook:
    """The state of every rule of a site, whatever configuration it came with."""

    def __init__(self) -> None:
        self._states: dict[RuleKey, RuleState] = {}
        self._alerts: dict[RuleKey, AlertV1] = {}
        self._changes: dict[RuleKey, RuleStateV1] = {}
        self._judged: dict[RuleKey, tuple[RuleSettings, WindowV1]] = {}
        """Each rule as it was last applied, and the window that it was applied to."""

    def state(self, rule: RuleSettings) -> RuleState:
        """Return a rule's state; a new rule is normal."""
        return self._states.get((rule.zone, rule.id), RuleState())

    def take(self, rules: Iterable[RuleSettings], window: WindowV1) -> list[Decision]:
        """Fold a published window into the rules of its zone; return the alerts and changes that it decided."""
        decisions: list[Decision] = []
        for rule in rules:
            if rule.zone == window.zone and PROFILES[window.profile].rules:
                decisions += self._take(rule, window)
        return decisions

    def _take(self, rule: RuleSettings, window: WindowV1) -> Iterator[Decision]:
        before, key = self.state(rule), (rule.zone, rule.id)
        self._judged[key] = rule, window
        self._states[key], alert = fold(rule, before, window)
        if alert is not None:
            self._alerts[key] = alert
            yield alert
        if (changed := change(rule, before, self._states[key], window)) is not None:
            self._changes[key] = changed
            yield changed

    def part(self, config: SiteConfig) -> list[Decision]:
        """End the rules that the new configuration does not judge; return the alerts and changes that follow from this.

        For one window and rule, they come after the decisions of the window itself.
        """
        kept = {(rule.zone, rule.id) for rule in standing(config)}
        gone = sorted((self._alerts.keys() | self._changes.keys()) - kept)
        return [decision for key in gone for decision in self._end(key)]

    def _end(self, key: RuleKey) -> Iterator[Decision]:
        alert, last, judged = self._alerts.pop(key, None), self._changes.pop(key, None), self._judged.pop(key, None)
        self._states.pop(key, None)
        return ending(alert, last, judged)

    def restore(
        self,
        alerts: Iterable[AlertV1],
        states: Iterable[RuleStateV1],
        windows: Sequence[WindowV1],
        config: SiteConfig | None,
    ) -> list[Decision]:
        """Rebuild the states from published messages, oldest first.

        Each rule needs at least its last alert and its last change of state. Of a zone's windows the last ones are
        needed, as many as `is_enough` says. Return the decisions that a crash kept from being published. `config` is
        the one that judged the last window. Without it no window counts, since a row counts windows of one
        configuration only.
        """
        fired, changed = {(a.zone, a.rule): a for a in alerts}, {(s.zone, s.rule): s for s in states}
        self._alerts, self._changes = dict(fired), dict(changed)
        for key in fired.keys() | changed.keys():
            self._states[key] = _base(fired.get(key), changed.get(key))
        missing: list[Decision] = []
        for rule in config.rules if config else []:
            alert, last = fired.get((rule.zone, rule.id)), changed.get((rule.zone, rule.id))
            judged = trailing(config, [w for w in windows if w.zone == rule.zone])
            if judged and PROFILES[judged[-1].profile].rules:
                self._judged[rule.zone, rule.id] = rule, judged[-1]
            decisions = [d for w in judged if last is None or w.start > last.start for d in self.take([rule], w)]
            missing += [d for d in decisions if alert is None or not isinstance(d, AlertV1) or d.start > alert.start]
        return missing


def is_enough(windows: Sequence[WindowV1], states: Iterable[RuleStateV1]) -> bool:
    """Return whether these last windows of a zone, oldest first, show how long its rules' rows are.

    No message says that a row continues. `states` are the last changes of the rules of this zone.
    """
    begun = (last.start for last in states if last.state in {"pending", "recovering"})
    return bool(windows) and windows[0].start <= min(begun, default=windows[-1].start)


def ending(
    alert: AlertV1 | None, last: RuleStateV1 | None, judged: tuple[RuleSettings, WindowV1] | None
) -> Iterator[Decision]:
    """Yield what ends a rule that is judged no more, if anything of it is to end.

    `alert` is its last alert, `last` its last change of state, `judged` the rule and its last window.
    """
    if alert is not None and alert.state == "firing":
        yield _over(alert, judged)
    if last is not None and last.state != "normal":
        yield _normal(last, judged)


def _base(alert: AlertV1 | None, last: RuleStateV1 | None) -> RuleState:
    """Return a rule's state after its last change of state, which follows the alert that its window decided.

    So if an alert is later than that change, a crash kept the alert's own change from being published.
    """
    if last is None:
        return RuleState()
    firing = last.state in {"firing", "recovering"}
    if last.state == "no-data" and alert is not None:
        firing = (alert.state == "firing") == (alert.start <= last.start)
    return RuleState(
        firing=firing,
        row=last.row,
        since=last.since or 0,
        config=last.config_sha256,
        blind=last.state == "no-data",
        until=last.start if last.state == "no-data" else last.end,
    )


def _over(firing: AlertV1, judged: tuple[RuleSettings, WindowV1] | None) -> AlertV1:
    """Return the end of an alert that no window will clear, with the last window's figures if they can be judged.

    If not, the figures, and so the window and its profile, are those with which the alert fired.
    """
    if judged is None or judge(*judged) == "no-data":
        return structs.replace(firing, state="resolved")
    return alert_of(*judged, "resolved", firing.since)


def _normal(last: RuleStateV1, judged: tuple[RuleSettings, WindowV1] | None) -> RuleStateV1:
    """Return the change to normal of a rule that has ended; `last` is its last change."""
    window = last if judged is None else judged[1]
    return structs.replace(
        last,
        profile=window.profile,
        state="normal",
        before=last.state,
        reason="new-configuration",
        row=0,
        start=window.start,
        end=window.end,
        since=None,
        config_sha256=None,
    )
