"""Rate alerts as a fold over the published windows of a zone (ADR 7).

A window *breaches* when its rate and the upper bound of its interval are below `fire_below`; it *clears* when its rate
is above `clear_above`. `for_windows` breaching windows in a row fire the alert, and as many clearing ones resolve it. A
window in between ends either row, so nothing flaps inside the band. A window with too few people, or with too little
observed, is no data: it changes nothing and ends no row, but an hour without data does, since the windows before and
after it are no neighbours. A row counts windows of one configuration only, since a new threshold must not judge old
windows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Literal

from proto.public import AlertV1, RuleReason, RuleStateName, RuleStateV1, WindowV1
from proto.types import AlertState
from services.aggregate.core.config import SECOND, SiteConfig
from services.sites.profiles import PROFILES
from services.sites.settings import RuleSettings

MIN_COVERAGE = 0.5
"""A window of which less than this share was observed is not judged."""
MAX_GAP = 3_600 * SECOND
"""The longest time without data between two windows of a row, in ns."""
Judgement = Literal["breach", "clear", "between", "no-data"]
Decision = AlertV1 | RuleStateV1
"""A window's decision about a rule: first an alert, then the change of state that it makes."""


@dataclass(frozen=True)
class RuleState:
    """The state of a rule."""

    firing: bool = False
    row: int = 0
    """Breaching windows in a row while not firing, clearing ones while firing."""
    since: int = 0
    """Start of the first window that breached."""
    until: int = 0
    """End of the last window with data; while `blind` the start of the first one without; ns."""
    config: str | None = None
    """The configuration of the last window with data, and so of the row."""
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
    """Return a rule's judgement of a window."""
    if window.rate is None or window.interval is None or (window.coverage or 0.0) < MIN_COVERAGE:
        return "no-data"
    if judged(window) < max(rule.min_persons, PROFILES[window.profile].min_persons):
        return "no-data"
    if window.rate < rule.fire_below and window.interval[1] < rule.fire_below:
        return "breach"
    return "clear" if window.rate > rule.clear_above else "between"


def judged(window: WindowV1) -> int:
    """Return how many people a window's rate is based on."""
    return (window.masked or 0) + (window.unmasked or 0) + (window.incorrect or 0)


def fold(rule: RuleSettings, state: RuleState, window: WindowV1) -> tuple[RuleState, AlertV1 | None]:
    """Return the state after a window, and the alert that fired or resolved with it."""
    if not PROFILES[window.profile].rules:
        return state, None
    judgement = judge(rule, window)
    if judgement == "no-data":
        return _blinded(state, window), None
    if window.start - state.until > MAX_GAP:
        state = replace(state, row=0)
    if window.config_sha256 != state.config:
        state = replace(state, row=0, config=window.config_sha256)
    state = replace(state, blind=False, until=window.end)
    if judgement != ("clear" if state.firing else "breach"):
        return replace(state, row=0), None
    since = window.start if not state.firing and not state.row else state.since
    state = replace(state, row=state.row + 1, since=since)
    if state.row < rule.for_windows:
        return state, None
    state = replace(state, firing=not state.firing, row=0)
    return state, alert_of(rule, window, "firing" if state.firing else "resolved", since)


def _blinded(state: RuleState, window: WindowV1) -> RuleState:
    """Return the state after a window without data.

    No message says when the last window with data ended, so a restart takes it for the start of the first one without.
    Where the two are not the same, because windows are missing between them, the row ends here.
    """
    if state.blind:
        return state
    return replace(state, blind=True, row=state.row if window.start == state.until else 0, until=window.start)


def change(rule: RuleSettings, before: RuleState, after: RuleState, window: WindowV1) -> RuleStateV1 | None:
    """Return the change of state that a window caused; None if it caused none."""
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


def standing(config: SiteConfig) -> list[RuleSettings]:
    """Return the rules that a configuration judges, of zones with a camera; none if the profile allows no rules."""
    if not PROFILES[config.profile].rules:
        return []
    return [rule for rule in config.rules if rule.zone in config.zone_cameras]


def judged_by(windows: Iterable[WindowV1], configs: Iterable[SiteConfig]) -> SiteConfig | None:
    """Return the configuration that judged the newest of these windows; None if it is not known."""
    newest = max(windows, key=lambda window: window.start, default=None)
    return next((config for config in configs if newest and config.sha256 == newest.config_sha256), None)


def trailing(config: SiteConfig | None, windows: Sequence[WindowV1]) -> Sequence[WindowV1]:
    """Return the windows at the end of the list that this configuration judged."""
    first = len(windows)
    while config and first and windows[first - 1].config_sha256 == config.sha256:
        first -= 1
    return windows[first:]


def alert_id(site: str, zone: str, rule: str, since: int) -> str:
    """Return the id of one alert from firing to resolved: 16 hexadecimal digits, the same after every replay."""
    return sha256(f"{site}/{zone}/{rule}/{since}".encode()).hexdigest()[:16]


def alert_of(rule: RuleSettings, window: WindowV1, state: AlertState, since: int) -> AlertV1:
    """Return the alert that a window with data decided; `since` is the start of the first one that breached."""
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
        sampling_interval=window.sampling_interval,
        persons=judged(window),
        coverage=window.coverage or 0.0,
        fire_below=rule.fire_below,
        clear_above=rule.clear_above,
    )
