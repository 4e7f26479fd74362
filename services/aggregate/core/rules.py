"""Rate alerts as a fold over the published windows of a zone (design §5).

A window *breaches* when its rate and the upper bound of its interval are below `fire_below`; it *clears* when its rate
is above `clear_above`. `for_windows` breaching windows in a row fire, `for_windows` clearing ones resolve; a window in
between ends either row, so nothing flaps inside the band. A window with too few people, or of which too little was
observed, is no data: it changes nothing and ends no row. A row counts windows of one configuration only, since a new
threshold must not judge old windows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Literal

from proto.public import AlertV1, WindowV1
from proto.types import AlertState
from services.aggregate.core.config import SiteConfig
from services.aggregate.core.policy import PROFILES
from services.sites.settings import RuleSettings

MIN_COVERAGE = 0.5
"""Of less than this share of the window observed, nothing can be said."""
State = Literal["normal", "pending", "firing", "recovering", "no-data"]
Judgement = Literal["breach", "clear", "between", "no-data"]


@dataclass(frozen=True)
class RuleState:
    """Where a rule stands."""

    firing: bool = False
    row: int = 0
    """Breaching windows in a row while not firing, clearing ones while firing."""
    since: int = 0
    """Start of the first window that breached."""
    config: str | None = None
    """The configuration that the row was judged under."""
    blind: bool = False
    """The last window had no data."""

    @property
    def name(self) -> State:
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
    if window.config_sha256 != state.config:
        state = replace(state, row=0, config=window.config_sha256)
    judgement = judge(rule, window)
    if judgement == "no-data":
        return replace(state, blind=True), None
    state = replace(state, blind=False)
    if judgement != ("clear" if state.firing else "breach"):
        return replace(state, row=0), None
    since = window.start if not state.firing and not state.row else state.since
    state = replace(state, row=state.row + 1, since=since)
    if state.row < rule.for_windows:
        return state, None
    state = replace(state, firing=not state.firing, row=0)
    return state, _alert(rule, window, "firing" if state.firing else "resolved", since)


class RuleBook:
    """Where every rule of a site stands, whatever configuration it came with."""

    def __init__(self) -> None:
        self._states: dict[tuple[str, str], RuleState] = {}

    def state(self, rule: RuleSettings) -> RuleState:
        """Return where a rule stands; a new one is normal."""
        return self._states.get((rule.zone, rule.id), RuleState())

    def take(self, rules: Iterable[RuleSettings], window: WindowV1) -> list[AlertV1]:
        """Fold a published window into the rules of its zone; returns the alerts that it decided."""
        alerts = []
        for rule in rules:
            if rule.zone == window.zone:
                self._states[rule.zone, rule.id], alert = fold(rule, self.state(rule), window)
                alerts += [alert] if alert else []
        return alerts

    def restore(
        self, alerts: Iterable[AlertV1], windows: Sequence[WindowV1], config: SiteConfig | None
    ) -> list[AlertV1]:
        """Rebuild from each rule's last alert and the windows after it, oldest first.

        Returns the alerts that a crash kept from being published. `config` is the one that the last window was judged
        under; without it no window counts (a row counts windows of one configuration only).
        """
        last = {(a.zone, a.rule): a for a in alerts}
        for key, alert in last.items():
            self._states[key] = RuleState(firing=alert.state == "firing", since=alert.since)
        missing = []
        for rule in config.rules if config else []:
            known = last.get((rule.zone, rule.id))
            for window in _under(config, [w for w in windows if w.zone == rule.zone]):
                if known is None or window.start > known.start:
                    missing += self.take([rule], window)
        return missing


def _under(config: SiteConfig | None, windows: list[WindowV1]) -> list[WindowV1]:
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
