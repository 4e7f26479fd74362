"""What `moretta up` says first: the profile in force, and what it publishes of few people."""

from collections.abc import Iterator, Sequence

from services.sites.profiles import PROFILES, Terms
from services.sites.settings import SiteSettings

TRIAL_WORDS = "for trials with people who agreed: every number is published, also of one person, and marked as a test"


def in_force(sites: Sequence[SiteSettings], other: str) -> str:
    """Return a line for each profile of these sites, and by what another one comes into force."""
    lines = []
    for profile in dict.fromkeys(site.profile for site in sites):
        of = [site for site in sites if site.profile == profile]
        names = "" if len(sites) == 1 else f" ({', '.join(site.id for site in of)})"
        lines.append(f"profile {profile}{names}, {'; '.join(_published(PROFILES[profile], of))}")
    return "\n".join(lines) + (f"; another one by {other}" if other else "")


def _published(terms: Terms, sites: Sequence[SiteSettings]) -> Iterator[str]:
    if terms.is_trial:
        yield TRIAL_WORDS
        return
    yield f"windows of {terms.min_window_s / 60:g} min or more"
    if terms.figures is not None:
        yield "the number of people and a whole percentage of the whole site alone"
    least = min(max(terms.small, site.suppress_below or 0) for site in sites)
    yield f"no number of fewer than {least} people" if least else "every number is published, also of one person"
    yield f"alerts from {terms.min_persons} people on" if terms.rules else "no alerts"
