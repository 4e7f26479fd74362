"""Legal profiles as data (docs/privacy.md): one row each, with all terms of the profile. Pure.

`fr-2021-269` has the shape of French decree 2021-269, which lapsed in March 2022 and authorises nothing today;
`stats-only` and `alerting` are house rules with no law cited for them. No profile is legal advice.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from proto.types import Profile

TRIAL: Profile = "lab"
"""The profile of simulations, the demo and the bench: nobody depends on them."""
USUAL: Profile = "stats-only"
"""The profile of a site that names none."""
ALERTING: Profile = "alerting"
"""The profile under which rules are tried, unless another is named."""


@dataclass(frozen=True)
class Terms:
    """The terms of a profile, and the notice about it."""

    basis: Literal["decree", "house", "trial"]
    """Its basis: the shape of a law, the makers' own rules, or none, as for trials."""
    min_window_s: float = 0.0
    zones: bool = True
    rules: bool = True
    min_persons: int = 0
    """No alert about fewer judged people."""
    small: int = 0
    """Counts of fewer people are suppressed; a site may suppress more (`suppress_below`), not fewer."""
    figures: frozenset[str] | None = None
    """The only figures that may be published, and reported; None: all."""
    digits: int | None = None
    """Decimals of a rate; None: all of them, which can reveal the number of people that it was divided by."""
    decree: str = ""
    """The number of the French decree whose shape it has."""
    lapsed: int | None = None
    """The year in which that decree ended."""
    notice: str = ""
    """The warning that is logged at start."""

    @property
    def cameras(self) -> bool:
        """Whether drift and aiming may show a single camera: like a zone, a camera is finer than the whole site."""
        return self.zones

    @property
    def is_trial(self) -> bool:
        """Whether all its messages are marked as a test, and some measures of the sandbox may be missing."""
        return self.basis == "trial"


PROFILES: dict[Profile, Terms] = {
    "lab": Terms(
        "trial", notice="the profile lab allows anything and is for trials only; every message is marked with it"
    ),
    "alerting": Terms("house", min_window_s=300, min_persons=20),
    "stats-only": Terms("house", min_window_s=300, rules=False, small=10),
    "fr-2021-269": Terms(
        "decree",
        min_window_s=1_200,
        zones=False,
        rules=False,
        figures=frozenset({"persons", "rate"}),
        digits=2,
        decree="2021-269",
        lapsed=2022,
        notice="this profile has the shape of French decree 2021-269, which lapsed in March 2022 and authorises nothing"
        " today; no profile is legal advice",
    ),
}
"""Each publishes no more than the one before it."""


def any_trial(profiles: Iterable[Profile]) -> bool:
    """Return whether any of these profiles is for trials."""
    return any(PROFILES[profile].is_trial for profile in profiles)


def any_lasting(profiles: Iterable[Profile]) -> bool:
    """Return whether any of these profiles is for more than trials."""
    return any(not PROFILES[profile].is_trial for profile in profiles)
