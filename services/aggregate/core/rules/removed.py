"""What ends the alerts of a site that the settings no longer have: no window will ever decide about it (ADR 7). Pure.

A rule ends as one that was taken out of a site's settings does. What is known of it is its last alert, which carries
its bounds.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import structs

from proto.public import AlertV1, OperationalAlertV1, RuleStateV1, WindowV1
from proto.types import SiteId, ZoneId
from services.aggregate.core.rules.operations import OURS
from services.aggregate.core.rules.rate_rules import Decision
from services.aggregate.core.rules.rulebook import ending
from services.sites.profiles import PROFILES
from services.sites.settings import RuleSettings

MIN_PERSONS = 20
"""A rule's default, in the place of its own `min_persons`, which no message carries; the alert's people if fewer."""
Last = AlertV1 | RuleStateV1 | OperationalAlertV1
"""The last message about a rule, a camera or a zone."""


def is_open(last: Last) -> bool:
    """Return whether something is left to end: an alert fires that aggregate decided, or a rule is not normal."""
    if isinstance(last, RuleStateV1):
        return last.state != "normal"
    return last.state == "firing" and not (isinstance(last, OperationalAlertV1) and last.kind not in OURS)


def open_sites(messages: Iterable[Last]) -> set[SiteId]:
    """Return the sites of which something is open."""
    return {last.site for last in messages if is_open(last)}


def endings(messages: Sequence[Last], windows: Mapping[ZoneId, WindowV1]) -> Iterator[Decision | OperationalAlertV1]:
    """Yield what ends all that is open of a site, in order: rules, then cameras and zones.

    `messages` are the last ones of each rule, camera and zone, `windows` the last one of each zone that has any.
    """
    alerts = {(one.zone, one.rule): one for one in messages if isinstance(one, AlertV1)}
    changes = {(one.zone, one.rule): one for one in messages if isinstance(one, RuleStateV1)}
    for key in sorted(alerts.keys() | changes.keys()):
        alert = alerts.get(key)
        yield from ending(alert, changes.get(key), _judged(alert, windows.get(key[0])))
    end = max((window.end for window in windows.values()), default=0)
    for last in messages:
        if isinstance(last, OperationalAlertV1) and is_open(last):
            at = max(last.at, end)
            yield structs.replace(last, state="resolved", at=at, reason=None, coverage=None)


def _judged(alert: AlertV1 | None, window: WindowV1 | None) -> tuple[RuleSettings, WindowV1] | None:
    """Return an alert's rule, as far as it is known, and the zone's last window; None if that says nothing about it."""
    if alert is None or window is None or window.start < alert.start or not PROFILES[window.profile].rules:
        return None
    rule = RuleSettings(
        id=alert.rule,
        zone=alert.zone,
        fire_below=alert.fire_below,
        clear_above=alert.clear_above,
        severity=alert.severity,
        min_persons=min(alert.persons, MIN_PERSONS),
    )
    return rule, window
