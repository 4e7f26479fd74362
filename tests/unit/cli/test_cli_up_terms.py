"""What `moretta up` says first of the profiles in force."""

import pytest

from operate.box.terms import in_force
from proto.types import Profile
from services.kernel.settings import convert
from services.sites.profiles import PROFILES
from services.sites.settings import SiteSettings


def site(profile: Profile, name: str = "a", suppress_below: int | None = None) -> SiteSettings:
    return convert({"id": name, "profile": profile, "suppress_below": suppress_below}, SiteSettings)


WORDS: dict[Profile, str] = {
    "lab": "for trials with people who agreed: every number is published, also of one person, and marked as a test",
    "alerting": "windows of 5 min or more; every number is published, also of one person; alerts from 20 people on",
    "stats-only": "windows of 5 min or more; no number of fewer than 10 people; no alerts",
    "fr-2021-269": "windows of 20 min or more; the number of people and a whole percentage of the whole site alone;"
    " every number is published, also of one person; no alerts",
}


@pytest.mark.parametrize("profile", PROFILES)
def test_each_profile_says_what_it_publishes(profile: Profile):
    """Of few people above all, and how another one comes into force."""
    assert in_force([site(profile)], "--profile stats-only") == (
        f"profile {profile}, {WORDS[profile]}; another one by --profile stats-only"
    )


def test_several_sites():
    """A line for each profile, with its sites; of several limits the lowest is told, which withholds least."""
    sites = [site("lab"), site("alerting", "b", 5), site("lab", "c"), site("alerting", "d", 3)]
    assert in_force(sites, "").splitlines() == [
        f"profile lab (a, c), {WORDS['lab']}",
        "profile alerting (b, d), windows of 5 min or more; no number of fewer than 3 people; alerts from 20 people on",
    ]
