"""Explains a site's settings to readers: what is published, when cameras rest, where they look. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from babel.units import format_unit

from services.notify.texts.words import Words
from services.sites.profiles import PROFILES, Terms
from services.sites.settings import DAYS, CameraSettings, Day, RestSettings, SiteSettings


@dataclass(frozen=True)
class SiteNotice:
    """One site, as its notice describes it."""

    site: SiteSettings
    words: Words

    @property
    def name(self) -> str:
        """The site's name."""
        return self.site.name or self.site.id

    @property
    def terms(self) -> Terms:
        """What its profile allows."""
        return PROFILES[self.site.profile]

    @property
    def small(self) -> int:
        """Periods with fewer passages show no numbers of people."""
        return max(self.terms.small, self.site.suppress_below or 0)

    def duration(self, seconds: float) -> str:
        """Return `20 minutes`, `2 hours`, `400 days` or `5 seconds`: the largest unit without a remainder."""
        for length, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
            if seconds >= 2 * length and seconds % length == 0:
                return format_unit(seconds // length, f"duration-{unit}", "long", locale=self.words.locale)
        return format_unit(seconds, "duration-second", "long", locale=self.words.locale)

    def passages_kept(self, seconds: float) -> str:
        """Return how long passages are kept (docs/privacy.md, "What is kept")."""
        return self.words.gettext(
            "{time}, and for as long as the system is switched off; then no program gets them any more, and the disk"
            " has their bytes until the last passage of the same block is as old",
            time=self.duration(seconds),
        )

    def published(self) -> str:
        """Return which figures are published, how often and about what."""
        gettext, length = self.words.gettext, self.duration(self.site.window_s)
        if self.terms.figures is not None:
            return gettext(
                "Every {length}: how many people were counted in the whole site, and the percentage of them who wore a"
                " mask correctly. Of people nothing else.",
                length=length,
            )
        return gettext(
            "Every {length}, for the whole site and each zone: how many people were counted, how many of them wore a"
            " mask correctly, incorrectly or not at all, how many could not be judged, the percentage with its margin"
            " of error, and how much of the time was observed.",
            length=length,
        )

    def twice(self) -> str:
        """Return that passages are counted, and not people."""
        return self.words.gettext("A person who passes twice is counted twice, because nobody is recognised.")

    def withheld(self) -> str:
        """Return when figures are not shown; empty if they always are."""
        if not self.small:
            return ""
        text = self.words.gettext(
            "A period with fewer than {small} passages shows no number of people and no percentage.", small=self.small
        )
        return f"{text} {self._worked_out()}" if self.terms.small else text

    def _worked_out(self) -> str:
        return self.words.gettext("Neither does a zone whose figures could be worked out from the others.")

    @property
    def alerts_anybody(self) -> bool:
        """Whether the profile allows rules, and there are some."""
        return self.terms.rules and bool(self.site.rules)

    def alerts(self) -> str:
        """Return whether anybody is alerted, and from how many people on."""
        if not self.alerts_anybody:
            return self.words.gettext("Nobody is alerted.")
        least = max(self.terms.min_persons, min(rule.min_persons for rule in self.site.rules))
        return self.words.gettext(
            "When the percentage is clearly too low, staff get a message with the place, the period, the percentage and"
            " the number of people, which is at least {least}. It tells of no person.",
            least=least,
        )

    def about_profile(self) -> str:
        """Return what readers must know about the profile: whether it rests on any law."""
        gettext = self.words.gettext
        texts = {
            "decree": gettext(
                "The settings have the shape of French decree {decree}. That decree lapsed in {year} and authorises"
                " nothing today.",
                decree=self.terms.decree,
                year=self.terms.lapsed,
            ),
            "house": gettext("These limits are rules of the software's makers; no law is cited for them."),
            "trial": gettext("The settings are for trials: no limit is in force."),
        }
        return texts[self.terms.basis]

    def banner(self) -> str:
        """Return the warning about settings that are not for the public; else empty."""
        return self.words.gettext("For trials only: not a notice for the public.") if self.terms.is_trial else ""

    def hours(self, rests: Iterable[RestSettings]) -> list[str]:
        """Return when cameras rest, by the site's clock."""
        gettext = self.words.gettext
        return [
            gettext("{days}: {start} to {end}", days=self._days(rest.days), start=rest.start, end=rest.end)
            for rest in rests
        ]

    def _days(self, days: tuple[Day, ...]) -> str:
        if set(days) == set(DAYS):
            return self.words.gettext("every day")
        names = self.words.locale.days["format"]["wide"]  # Monday is 0, as in DAYS
        return self.words.listed(names[DAYS.index(day)] for day in DAYS if day in days)

    def zone(self, camera: CameraSettings) -> str:
        """Return the zones that a camera looks at."""
        names = {zone.id: zone.name or zone.id for zone in self.site.zones}
        seen = dict.fromkeys([camera.zone, *(part.zone for part in camera.zone_areas)])
        found = [names[zone] for zone in seen if zone is not None]
        return self.words.listed(found) if found else self.words.gettext("the whole site")

    def yes(self, value: bool) -> str:
        """Return yes or no."""
        return self.words.gettext("yes") if value else self.words.gettext("no")
