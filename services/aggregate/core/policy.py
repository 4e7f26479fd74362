"""The limits of legal profiles: checked against the settings at start, applied again right before publishing."""

from collections.abc import Iterator, Sequence

from msgspec import structs

from proto.public import AlertV1, RuleStateV1, Suppression, WindowV1
from proto.types import WHOLE_SITE
from services.aggregate.core.config import SECOND, divides_hour
from services.aggregate.core.exchange import Dropped, Output
from services.sites.problems import Problem
from services.sites.profiles import ALERTING, PROFILES
from services.sites.settings import SiteSettings

SHORTEST_S = 0.1
"""The shortest window. Each window is one message per zone: shorter ones would keep aggregate busy for ever, even in
trials."""
PEOPLE = ("persons", "masked", "unmasked", "incorrect", "unknown", "rate", "interval", "sampling_interval")
"""The figures that are about people."""
_IDENTIFY = {"site", "zone", "profile", "start", "end", "suppressed", "adjusted"}


def problems(sites: Sequence[SiteSettings]) -> list[Problem]:
    """Return the settings that a site's legal profile forbids, each with its path."""
    return [p for index, site in enumerate(sites) for p in _of_site(f"sites[{index}]", site)]


def _of_site(path: str, site: SiteSettings) -> Iterator[Problem]:
    terms, under = PROFILES[site.profile], f"under the profile {site.profile}"
    if not divides_hour(site.window_s):
        yield f"{path}.window_s", f"{site.window_s:g} s does not divide an hour; take 300, 600, 900, 1200, 1800 or 3600"
    if site.window_s < max(terms.min_window_s, SHORTEST_S):
        least = f"at least {max(terms.min_window_s, SHORTEST_S):g} s"
        yield f"{path}.window_s", f"{site.window_s:g} s is too short {under}; {least}"
    if site.zones and not terms.zones:
        yield f"{path}.zones", f"zones are not allowed {under}: it publishes the whole site only; remove them"
    if site.rules and not terms.rules:
        yield f"{path}.rules", f"alert rules are not allowed {under}; remove them, or choose {ALERTING}"
    if site.suppress_below is not None and site.suppress_below < terms.small:
        yield f"{path}.suppress_below", f"{site.suppress_below} is too few {under}; at least {terms.small}"
    for index, rule in enumerate(site.rules):
        if rule.min_persons < terms.min_persons:
            yield (
                f"{path}.rules[{index}].min_persons",
                f"{rule.min_persons} is too few {under}; at least {terms.min_persons}",
            )


def withhold(window: WindowV1, suppress_below: int = 0) -> WindowV1:
    """Return the window as its profile allows it to be published: the last step, whatever the settings say."""
    terms, exact = PROFILES[window.profile], _exact_rate(window)
    small = max(terms.small, suppress_below)
    if window.suppressed is not None:
        window = _without_people(window, window.suppressed)
    elif window.coverage == 0 and (window.persons or 0) < max(small, 1):  # another reason would tell that people came
        window = _without_people(window, "nothing-observed")
    elif (window.persons or 0) < small:
        window = _without_people(window, "small-count")
    if window.masked == window.unmasked == window.incorrect == 0:
        window = structs.replace(window, rate=None, interval=None, sampling_interval=None)
    if small:  # late sightings would reveal that somebody was there
        window = structs.replace(window, late_total=None)
    if terms.digits is not None and window.rate is not None and exact is not None:
        window = structs.replace(window, rate=round(exact, terms.digits))
    if terms.figures is not None:
        window = _only(window, terms.figures)
    is_too_short = window.end - window.start < terms.min_window_s * SECOND
    is_part = window.zone != WHOLE_SITE and not terms.zones
    return _blank(window) if is_too_short or is_part else window


def _exact_rate(window: WindowV1) -> float | None:
    """Return the rate as counted: 0.7746 must not be 0.775, then 0.78. Of a window without verdicts, what it tells."""
    judged = (window.masked or 0) + (window.unmasked or 0) + (window.incorrect or 0)
    return (window.masked or 0) / judged if judged else window.rate


def last_step(output: Output) -> Output:
    """Return an output of a site's core as its profile allows it; a forbidden one becomes `Dropped`.

    It holds for all outputs, whatever part of the core made them.
    """
    if isinstance(output, WindowV1):
        return withhold(output)
    if isinstance(output, AlertV1 | RuleStateV1):
        terms = PROFILES[output.profile]
        is_small = isinstance(output, AlertV1) and output.persons < terms.min_persons
        if not terms.rules or is_small or output.end - output.start < terms.min_window_s * SECOND:
            return Dropped("not-under-this-profile")
    return output


def publishable(windows: Sequence[WindowV1], suppress_below: int = 0, *, rest: bool = False) -> list[WindowV1]:
    """Return what may be published of one window of all zones of a site (the whole site among them).

    The whole site minus the published zones must not reveal the number of a suppressed small zone. So the smallest
    other zones are suppressed too, until it no longer does (complementary cell suppression, Cox 1980). Zero is a small
    number too: if an empty zone were treated differently, it would show that somebody was in the others. Zones with the
    same number are suppressed together: to a reader who knows this method, the choice between them would reveal that
    one number is greater by one. `rest`: a camera that counts only for the whole site observed something, so there is a
    number beside those of the zones.
    """
    shown = [withhold(w, suppress_below) for w in windows if PROFILES[w.profile].zones or w.zone == WHOLE_SITE]
    site = next((w for w in shown if w.zone == WHOLE_SITE), None)
    zones = [w for w in shown if w.zone != WHOLE_SITE]
    if site is None or site.persons is None:
        return shown
    small = max(PROFILES[site.profile].small, suppress_below)
    while _reveals_small(site, zones, small, rest=rest):
        smallest = min((w.persons for w in zones if w.persons), default=None)
        if smallest is None:
            break
        zones = [_without_people(w, "small-count") if w.persons == smallest else w for w in zones]
    return [*zones, site]


def _reveals_small(site: WindowV1, zones: list[WindowV1], small: int, *, rest: bool) -> bool:
    """Return whether the whole site minus the published zones reveals how many people are in a small zone.

    It does if the difference is small. It also does if the difference leaves no choice: two zones of fewer than ten
    people each, with 18 together, have nine each. A zone that was not observed counts as empty, as far as anyone can
    tell.
    """
    hidden = (site.persons or 0) - sum(w.persons or 0 for w in zones)
    withheld = [w.suppressed for w in zones if w.persons is None]
    full = {count * (small - 1) for count in (len(withheld), withheld.count("small-count"))}
    has_small = hidden > 0 or rest or "small-count" in withheld
    return small > 0 and has_small and (hidden < small or hidden in full)


def _without_people(window: WindowV1, why: Suppression) -> WindowV1:
    return structs.replace(window, **dict.fromkeys(PEOPLE), suppressed=why)


def _only(window: WindowV1, figures: frozenset[str]) -> WindowV1:
    gone = {f for f in window.__struct_fields__ if f not in figures and f not in _IDENTIFY}
    return structs.replace(window, **{f: [] if f == "gaps" else None for f in gone})


def _blank(window: WindowV1) -> WindowV1:
    return structs.replace(_only(window, frozenset()), suppressed="not-under-this-profile")
