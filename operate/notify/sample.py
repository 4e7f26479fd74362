"""An invented day of a site, as its legal profile lets it be published: what `moretta notify preview` shows.

It is ordinary but for two hours in the afternoon, when few people wear a mask and a camera gives no pictures.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from msgspec import structs

from proto.model_errors import ModelErrors
from proto.public import AlertV1, OperationalAlertV1, WindowV1
from proto.types import WHOLE_SITE, AlertState, ZoneId
from services.aggregate.core.policy import publishable
from services.notify.reports.day import day_of
from services.sites.profiles import PROFILES
from services.sites.settings import RuleSettings, SiteSettings, local_zone
from services.statistics.calendar import SECOND, instant, local
from services.statistics.figures import rates
from services.statistics.rate_interval import Judged

_DIP = range(14, 16)
"""The hours of the day, by the site's clock, in which few people wear a mask."""
_BUSY = range(8, 20)
_PEOPLE = 143
"""People judged in a window of a zone, in busy hours; at night nobody comes."""
_FEW = 40
"""So many people with a mask at a rule's bound: of fewer people the margin of error would reach above a low bound."""
_USUAL = (0.86, 0.88, 0.84, 0.87, 0.85)
_UNDER = 0.13
"""How far the rate is below a rule's bound: clearly, with the margin of error of so many people."""
_SHORTEST_S = 300.0
"""Shorter windows, as in trials, would make a day of tens of thousands."""
_COMPARED = (7, 1, 0)
"""The days that a daily report needs, counted back from its own."""


@dataclass(frozen=True)
class Sample:
    """One invented day; `rule` is what an alert of it is about, if the site has any."""

    site: SiteSettings
    day: date
    errors: ModelErrors | None = None
    """The model's, for the margin of error."""
    rule: RuleSettings | None = None

    @property
    def length(self) -> int:
        """The length of its windows, ns."""
        return round(max(self.site.window_s, _SHORTEST_S) * SECOND)

    def windows(self) -> list[WindowV1]:
        """Return the published windows of the day and of those with which a report compares it, oldest first."""
        return [window for back in _COMPARED for window in self._of_day(self.day - timedelta(days=back))]

    def alerts(self) -> list[AlertV1]:
        """Return the alert of `rule` as it begins, and as it ends; none without a rule."""
        if self.rule is None:
            return []
        most = (_DIP.stop - _DIP.start) * 3_600 * SECOND // self.length
        held = min(self.rule.for_windows, most) * self.length
        return [
            self._alert(self.rule, "firing", self._at(_DIP.start) + held),
            self._alert(self.rule, "resolved", self._at(_DIP.stop) + held),
        ]

    def faults(self) -> list[OperationalAlertV1]:
        """Return an alert for operators as it begins, and as it ends: the first camera gives no pictures."""
        camera = next((camera.id for camera in self.site.cameras), None)
        down = OperationalAlertV1(
            site=self.site.id, kind="camera-down" if camera else "no-data", name=camera or WHOLE_SITE, state="firing",
            since=self._at(_DIP.start), at=self._at(_DIP.start) + self.length, reason="camera-down", coverage=0.0,
        )  # fmt: skip
        back = structs.replace(down, state="resolved", at=self._at(_DIP.stop) + self.length, reason=None, coverage=1.0)
        limited = PROFILES[self.site.profile].figures is not None
        return [structs.replace(one, coverage=None) if limited else one for one in (down, back)]

    def _alert(self, rule: RuleSettings, state: AlertState, end: int) -> AlertV1:
        masked, people = self._counted(rule.zone, end - self.length)
        figures = rates(masked, [Judged(people, self.errors)])
        assert figures.rate is not None
        assert figures.interval is not None
        return AlertV1(
            site=self.site.id, zone=rule.zone, rule=rule.id, profile=self.site.profile, alert="5a3b1e0000000001",
            state=state, severity=rule.severity, since=self._at(_DIP.start), start=end - self.length, end=end,
            rate=figures.rate, interval=figures.interval, sampling_interval=figures.sampling_interval, persons=people,
            coverage=1.0, fire_below=rule.fire_below, clear_above=rule.clear_above,
        )  # fmt: skip

    def _at(self, hour: int) -> int:
        return instant(datetime.combine(self.day, time(hour), local_zone(self.site)))

    def _of_day(self, day: date) -> Iterator[WindowV1]:
        span = day_of(day, local_zone(self.site))
        for at in range(span.start, span.end, self.length):
            zones = [self._window(zone.id, at) for zone in self.site.zones]
            yield from publishable([*zones, self._window(WHOLE_SITE, at)], self.site.suppress_below or 0)

    def _window(self, zone: ZoneId, at: int) -> WindowV1:
        masked, people = self._counted(zone, at)
        return WindowV1(
            site=self.site.id, zone=zone, profile=self.site.profile, start=at, end=at + self.length, persons=people,
            masked=masked, unmasked=people - masked, incorrect=0, unknown=0, coverage=1.0, model_errors=self.errors,
            **rates(masked, [Judged(people, self.errors)])._asdict(),
        )  # fmt: skip

    def _counted(self, zone: ZoneId, at: int) -> tuple[int, int]:
        """Return how many wore a mask in a window, and how many were judged: of the whole site, in all its zones."""
        zones = [one.id for one in self.site.zones] if zone == WHOLE_SITE else []
        each = [self._passed(one, at) for one in zones or [zone]]
        return sum(masked for masked, _ in each), sum(people for _, people in each)

    def _passed(self, zone: ZoneId, at: int) -> tuple[int, int]:
        clock = local(at, local_zone(self.site))
        people = self._people if clock.hour in _BUSY else 0
        is_low = clock.date() == self.day and clock.hour in _DIP
        return round(self._rate(zone, at // self.length, is_low=is_low) * people), people

    @property
    def _people(self) -> int:
        """The people judged in a window of a zone in busy hours: enough to be published, and to decide the rule."""
        least = max(_PEOPLE, self.site.suppress_below or 0, self.rule.min_persons if self.rule else 0)
        return max(least, round(_FEW / self.rule.fire_below)) if self.rule else least

    def _rate(self, zone: ZoneId, number: int, *, is_low: bool) -> float:
        usual, rule = _USUAL[number % len(_USUAL)], self.rule
        if rule is None:
            return usual
        if is_low and rule.zone in (zone, WHOLE_SITE):
            return max(rule.fire_below / 5, rule.fire_below - _UNDER)
        return max(usual, min(1.0, (1 + rule.clear_above) / 2 + usual - min(_USUAL)))
