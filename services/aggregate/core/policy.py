"""What a legal profile takes away: checked against the settings at start, applied again right before publishing."""

from collections.abc import Iterator, Sequence

from msgspec import structs

from proto.public import AlertV1, RuleStateV1, Suppression, WindowV1
from proto.types import WHOLE_SITE
from services.aggregate.core.config import SECOND, divides_hour
from services.aggregate.core.exchange import Dropped, Output
from services.sites.problems import Problem
from services.sites.profiles import PROFILES
from services.sites.settings import SiteSettings

SHORTEST_S = 0.1
"""Each window is a message a zone: shorter ones would keep aggregate busy for ever, in trials too."""
PEOPLE = ("persons", "masked", "unmasked", "incorrect", "unknown", "rate", "interval")
"""The figures that are about people."""
_IDENTIFY = {"site", "zone", "profile", "start", "end", "suppressed", "adjusted"}


def problems(sites: Sequence[SiteSettings]) -> list[Problem]:
    """Return what the sites' settings ask for and their profile forbids, each with its path."""
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
        yield f"{path}.rules", f"alert rules are not allowed {under}; remove them, or choose alerting"
    if site.suppress_below is not None and site.suppress_below < terms.small:
        yield f"{path}.suppress_below", f"{site.suppress_below} is too few {under}; at least {terms.small}"
    for index, rule in enumerate(site.rules):
        if rule.min_persons < terms.min_persons:
            yield (
                f"{path}.rules[{index}].min_persons",
                f"{rule.min_persons} is too few {under}; at least {terms.min_persons}",
            )


def withhold(window: WindowV1, suppress_below: int = 0) -> WindowV1:
    """Return the window as its profile may publish it: the last step, whatever the settings said."""
    terms = PROFILES[window.profile]
    small = max(terms.small, suppress_below)
    if window.suppressed is not None:
        window = _without_people(window, window.suppressed)
    elif window.coverage == 0 and (window.persons or 0) < max(small, 1):  # or its reason would say: somebody was there
        window = _without_people(window, "nothing-observed")
    elif (window.persons or 0) < small:
        window = _without_people(window, "small-count")
    if window.masked == window.unmasked == window.incorrect == 0:
        window = structs.replace(window, rate=None, interval=None)
    if small:  # sightings that came late would say that somebody was there
        window = structs.replace(window, late_total=None)
    if terms.digits is not None and window.rate is not None:
        window = structs.replace(window, rate=round(window.rate, terms.digits))
    if terms.figures is not None:
        window = _only(window, terms.figures)
    is_too_short = window.end - window.start < terms.min_window_s * SECOND
    is_part = window.zone != WHOLE_SITE and not terms.zones
    return _blank(window) if is_too_short or is_part else window


def last_step(output: Output) -> Output:
    """Return what leaves a site's core as its profile may publish it, whoever made it; what it forbids is dropped."""
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

    Where a small zone is suppressed, so are the smallest others until the whole site minus the published zones no
    longer tells its number (complementary cell suppression, Cox 1980). Nobody is a small number too: were an empty zone
    treated otherwise, it would show that somebody was in the others. Zones of the same number go together: which of
    them went would tell who reads how this is done that one number more. `rest`: a camera that counts for the whole
    site alone observed something, so that there is a number beside the zones'.
    """
    shown = [withhold(w, suppress_below) for w in windows if PROFILES[w.profile].zones or w.zone == WHOLE_SITE]
    site = next((w for w in shown if w.zone == WHOLE_SITE), None)
    zones = [w for w in shown if w.zone != WHOLE_SITE]
    if site is None or site.persons is None:
        return shown
    small = max(PROFILES[site.profile].small, suppress_below)
    while _is_telling(site, zones, small, rest=rest):
        smallest = min((w.persons for w in zones if w.persons), default=None)
        if smallest is None:
            break
        zones = [_without_people(w, "small-count") if w.persons == smallest else w for w in zones]
    return [*zones, site]


def _is_telling(site: WindowV1, zones: list[WindowV1], small: int, *, rest: bool) -> bool:
    """Whether the whole site minus the published zones tells how many people are in a small one.

    It does if they are few, and if there is no room: two zones of fewer than ten people each, 18 in both, have nine
    each. In a zone that was not observed there was nobody, as far as anyone can tell.
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
