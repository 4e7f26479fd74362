"""Rate alerts as a fold over the published windows of a zone (design §5).

A window *breaches* when its rate and the upper bound of its interval are below `fire_below`; it *clears* when its rate
is above `clear_above`. `for_windows` breaching windows in a row fire, `for_windows` clearing ones resolve; a window in
between ends either row, so nothing flaps inside the band. A window with too few people, or of which too little was
observed, is no data: it changes nothing and ends no row. A row counts windows of one configuration only, since a new
threshold must not judge old windows.

Where a rule stands is told whole by its last `RuleStateV1`, until windows lengthen a row that has begun: so a restart
reads that message, these windows, and the last window, of which a crash may have kept back what it decided.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Literal

from proto.public import AlertV1, RuleReason, RuleStateName, RuleStateV1, WindowV1
from proto.types import AlertState
from services.aggregate.core.config import SiteConfig
from services.aggregate.core.policy import PROFILES
from services.sites.settings import RuleSettings

MIN_COVERAGE = 0.5
"""Of less than this share of the window observed, nothing can be said."""
Judgement = Literal["breach", "clear", "between", "no-data"]
Decision = AlertV1 | RuleStateV1
"""What a window decides about a rule: an alert first, then the change of state that it makes."""
Key = tuple[str, str]
"""A zone and the name of one of its rules."""


@dataclass(frozen=True)
class RuleState:
    """Where a rule stands."""

    firing: bool = False
    row: int = 0
    """Breaching windows in a row while not firing, clearing ones while firing."""
    since: int = 0
    """Start of the first window that breached."""
    config: str | None = None
    """The configuration of the last window with data: that of the row."""
    blind: bool = False
    """The last window had no data."""

    @property
    def name(self) -> RuleStateName:
        """Return the state's name for people."""
        if self.blind:
            return "no-data"
        if self.firing:
            return "recovering" if self.row else "firing"
        return "pending" if self.row else "normal"


def judge(rule: RuleSettings, window: WindowV1) -> Judgement:
    """Return what a window says about a rule."""
    if window.rate is None or window.interval is None or (window.coverage or 0.0) < MIN_COVERAGE:
        return "no-data"
    if judged(window) < max(rule.min_persons, PROFILES[window.profile].min_persons):
        return "no-data"
    if window.rate < rule.fire_below and window.interval[1] < rule.fire_below:
        return "breach"
    return "clear" if window.rate > rule.clear_above else "between"


def judged(window: WindowV1) -> int:
    """Return how many people a window's rate rests on."""
    return (window.masked or 0) + (window.unmasked or 0) + (window.incorrect or 0)


def fold(rule: RuleSettings, state: RuleState, window: WindowV1) -> tuple[RuleState, AlertV1 | None]:
    """Return the state after a window, and the alert that fired or resolved with it."""
    if not PROFILES[window.profile].rules:
        return state, None
    judgement = judge(rule, window)
    if judgement == "no-data":
        return replace(state, blind=True), None
    if window.config_sha256 != state.config:
        state = replace(state, row=0, config=window.config_sha256)
    state = replace(state, blind=False)
    if judgement != ("clear" if state.firing else "breach"):
        return replace(state, row=0), None
    since = window.start if not state.firing and not state.row else state.since
    state = replace(state, row=state.row + 1, since=since)
    if state.row < rule.for_windows:
        return state, None
    state = replace(state, firing=not state.firing, row=0)
    return state, _alert(rule, window, "firing" if state.firing else "resolved", since)


def change(rule: RuleSettings, before: RuleState, after: RuleState, window: WindowV1) -> RuleStateV1 | None:
    """Return the event of a change of state that a window brought about, None if it brought none."""
    if after.name == before.name:
        return None
    return RuleStateV1(
        site=window.site,
        zone=window.zone,
        rule=rule.id,
        profile=window.profile,
        state=after.name,
        before=before.name,
        reason=_reason(rule, before, after, window),
        row=after.row,
        start=window.start,
        end=window.end,
        since=after.since if after.firing or after.row else None,
        config_sha256=after.config if after.row else None,
    )


def _reason(rule: RuleSettings, before: RuleState, after: RuleState, window: WindowV1) -> RuleReason:
    if after.blind:
        return "not-observed" if (window.coverage or 0.0) < MIN_COVERAGE else "too-few-people"
    if after.firing != before.firing:
        return "held-long-enough" if after.firing else "cleared-long-enough"
    if before.blind:
        return "data-again"
    if before.config != after.config and not after.row:
        return "new-configuration"
    judgement = judge(rule, window)
    return "breached" if judgement == "breach" else "cleared" if judgement == "clear" else "back-in-band"


class RuleBook:
    """Where every rule of a site stands, whatever configuration it came with."""

    def __init__(self) -> None:
        self._states: dict[Key, RuleState] = {}

    def state(self, rule: RuleSettings) -> RuleState:
        """Return where a rule stands; a new one is normal."""
        return self._states.get((rule.zone, rule.id), RuleState())

    def take(self, rules: Iterable[RuleSettings], window: WindowV1) -> list[Decision]:
        """Fold a published window into the rules of its zone; returns the alerts and changes that it decided."""
        decisions: list[Decision] = []
        for rule in rules:
            if rule.zone == window.zone:
                before = self.state(rule)
                self._states[rule.zone, rule.id], alert = fold(rule, before, window)
                changed = change(rule, before, self.state(rule), window)
                decisions += [decision for decision in (alert, changed) if decision is not None]
        return decisions

    def restore(
        self,
        alerts: Iterable[AlertV1],
        states: Iterable[RuleStateV1],
        windows: Sequence[WindowV1],
        config: SiteConfig | None,
    ) -> list[Decision]:
        """Rebuild from what was published, each oldest first, of each rule at least the last alert and change of state.

        Of a zone's windows the last ones are needed: back to what `is_enough` says. Returns what a crash kept from
        being published. `config` is the one that the last window was judged under; without it no window counts (a row
        counts windows of one configuration only).
        """
        fired, changed = {(a.zone, a.rule): a for a in alerts}, {(s.zone, s.rule): s for s in states}
        for key in fired.keys() | changed.keys():
            self._states[key] = _base(fired.get(key), changed.get(key))
        missing: list[Decision] = []
        for rule in config.rules if config else []:
            alert, told = fired.get((rule.zone, rule.id)), changed.get((rule.zone, rule.id))
            judged = trailing(config, [w for w in windows if w.zone == rule.zone])
            decisions = [d for w in judged if told is None or w.start > told.start for d in self.take([rule], w)]
            missing += [d for d in decisions if alert is None or not isinstance(d, AlertV1) or d.start > alert.start]
        return missing


def is_enough(windows: Sequence[WindowV1], states: Iterable[RuleStateV1]) -> bool:
    """Whether these last windows of a zone, oldest first, tell how long the rows are that its rules had begun.

    A row that goes on is told by no message. `states` are the last changes of the rules of this zone.
    """
    begun = (told.start for told in states if told.state in {"pending", "recovering"})
    return bool(windows) and windows[0].start <= min(begun, default=windows[-1].start)


def _base(alert: AlertV1 | None, told: RuleStateV1 | None) -> RuleState:
    """Return where a rule stood after its last change of state, which follows the alert that its window decided.

    So an alert from after it is one whose change a crash kept back.
    """
    if told is None:
        return RuleState()
    firing = told.state in {"firing", "recovering"}
    if told.state == "no-data" and alert is not None:
        firing = (alert.state == "firing") == (alert.start <= told.start)
    return RuleState(
        firing=firing,
        row=told.row,
        since=told.since or 0,
        config=told.config_sha256,
        blind=told.state == "no-data",
    )


def judged_by(windows: Iterable[WindowV1], configs: Iterable[SiteConfig]) -> SiteConfig | None:
    """Return the configuration that the newest of these windows was judged under, None if it is not known."""
    newest = max(windows, key=lambda window: window.start, default=None)
    return next((config for config in configs if newest and config.sha256 == newest.config_sha256), None)


def trailing(config: SiteConfig | None, windows: Sequence[WindowV1]) -> Sequence[WindowV1]:
    """Return the windows at the end that were judged under this configuration."""
    first = len(windows)
    while config and first and windows[first - 1].config_sha256 == config.sha256:
        first -= 1
    return windows[first:]


def alert_id(site: str, zone: str, rule: str, since: int) -> str:
    """Return what names one alert from firing to resolved: 16 hexadecimal digits, the same after every replay."""
    return sha256(f"{site}/{zone}/{rule}/{since}".encode()).hexdigest()[:16]


def _alert(rule: RuleSettings, window: WindowV1, state: AlertState, since: int) -> AlertV1:
    assert window.rate is not None
    assert window.interval is not None
    return AlertV1(
        site=window.site,
        zone=window.zone,
        rule=rule.id,
        profile=window.profile,
        alert=alert_id(window.site, window.zone, rule.id, since),
        state=state,
        severity=rule.severity,
        since=since,
        start=window.start,
        end=window.end,
        rate=window.rate,
        interval=window.interval,
        persons=judged(window),
        coverage=window.coverage or 0.0,
        fire_below=rule.fire_below,
        clear_above=rule.clear_above,
    )
