"""The phrases of a daily report, in its reader's language: counts, periods, reasons, differences."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo

from proto.notifications import WithheldReason
from proto.public import HINTS, Suppression
from proto.stats import PeriodV1
from proto.types import Interval
from services.notify.reports.alerts import HeldBack, RuleDay
from services.notify.reports.day import DayReport, EarlierDay, ZoneDay
from services.notify.texts.facts import margin_of_error
from services.notify.texts.figures import covers_errors
from services.notify.texts.words import Words, offset
from services.sites.gap_reasons import gap_short
from services.sites.history import SECOND, local


@dataclass(frozen=True)
class Phrases:
    """Phrases about a report's figures; `zone` is the site's time zone."""

    words: Words
    report: DayReport
    zone: tzinfo
    has_films: bool = False
    """Whether cameras may be recorded films, which are down once they are over."""

    def people(self, count: int) -> str:
        """Return `3,204 people`."""
        return self.words.ngettext("{count} person", "{count} people", count)

    def periods(self, count: int) -> str:
        """Return `72 periods of 20 min`; a window is called a period, which readers know."""
        if self.report.length is None:
            return self.words.ngettext("{count} period", "{count} periods", count)
        length = self.duration(self.report.length)
        return self.words.ngettext("{count} period of {length}", "{count} periods of {length}", count, length=length)

    def duration(self, length: int) -> str:
        """Return `2 h 40 min`, `20 min` or, below a minute, `20 s`."""
        gettext, seconds = self.words.gettext, length // SECOND
        hours, minutes = seconds // 3_600, seconds % 3_600 // 60
        if hours and minutes:
            return gettext("{hours} h {minutes} min", hours=self.words.number(hours), minutes=minutes)
        if hours:
            return gettext("{hours} h", hours=self.words.number(hours))
        return gettext("{minutes} min", minutes=minutes) if minutes else gettext("{seconds} s", seconds=seconds)

    def interval(self, interval: Interval) -> str:
        """Return `76% to 79%`."""
        low, high = sorted(interval)
        return self.words.gettext("{low} to {high}", low=self.words.percent(low), high=self.words.percent(high))

    def sure(self, period: PeriodV1) -> str:
        """Return how sure the day's rate is; empty if there is none."""
        if period.rate is None:
            return ""
        if period.interval is None:
            return self.words.gettext(
                "It is the mean of the published periods, weighted by their people. No interval is published."
            )
        low, high = sorted(period.interval)
        return margin_of_error(low, high, self.words, errors=covers_errors(period))

    def suppressed(self, why: Suppression) -> str:
        """Return why a figure is not shown."""
        gettext = self.words.gettext
        return {
            "small-count": gettext("too few people to show"),
            "nothing-observed": gettext("nothing observed"),
            "not-under-this-profile": gettext("not published under this profile"),
        }[why]

    def missing(self, place: ZoneDay) -> str:
        """Return for how many periods nothing was published; empty if nothing is missing."""
        if not place.missing:
            return ""
        gettext, count = self.words.gettext, self.words.number(place.missing)
        of_all = self.periods(place.total.windows_expected)
        return gettext("Nothing was published for {count} of {periods}.", count=count, periods=of_all)

    def withheld(self, place: ZoneDay) -> str:
        """Return how many periods show no figures, and why; empty if all do."""
        if not place.withheld:
            return ""
        each = [(self.suppressed(why), count) for why, count in place.withheld]
        if len(each) == 1:
            told = each[0][0]
        else:
            told = self.words.listed(f"{why} ({self.words.number(count)})" for why, count in each)
        return self.words.gettext(
            "{count} of {periods}: {reasons}.", count=self.words.number(sum(count for _, count in each)),
            periods=self.periods(place.total.windows_published), reasons=told,
        )  # fmt: skip

    def observed(self, place: ZoneDay) -> Iterable[str]:
        """Yield how much was observed, and the reasons for gaps; nothing where the profile withholds it."""
        coverage = place.total.coverage
        if coverage is None:
            return
        share = self.words.observed(coverage)
        if self.report.so_far:
            yield self.words.gettext("{share} of the time was observed.", share=share)
        else:
            yield self.words.gettext("{share} of the day was observed.", share=share)
        lacking = [gap for gap in place.gaps if gap[0] not in HINTS]
        if lacking:
            reasons = (
                f"{gap_short(why, self.words.language, has_films=self.has_films)} ({self.periods(count)})"
                for why, count in lacking
            )
            yield self.words.gettext("Reason for gaps: {reasons}.", reasons=self.words.listed(reasons))
        learning = dict(place.gaps).get("static-learning")
        if learning:  # it lowers no coverage
            yield self.words.gettext(
                "Faces on walls may be among the people: they were not known yet ({periods}).",
                periods=self.periods(learning),
            )

    def compared(self, comparison: EarlierDay) -> Iterable[str]:
        """Yield the earlier day's figures, and the difference where both have a rate."""
        gettext, earlier, day = self.words.gettext, comparison.earlier, self.date(comparison.earlier.start)
        if earlier.rate is None or earlier.persons is None:
            yield gettext("{day}: no rate was published.", day=day)
            return
        rate, people = self.words.percent(earlier.rate), self.people(earlier.persons)
        yield gettext("{day}: {rate}, {people}.", day=day, rate=rate, people=people)
        if comparison.difference is None:
            return
        if not (points := round(100 * comparison.difference, 1)):
            yield gettext("It is the same.")
            return
        by = self.words.number(abs(points))
        if points > 0:
            yield gettext("It rose by {points} percentage points.", points=by)
        else:
            yield gettext("It fell by {points} percentage points.", points=by)
        if comparison.interval is None:
            yield gettext("Without published intervals nobody can tell whether that is chance.")
        elif comparison.within:
            yield gettext("That may be chance.")
        else:
            yield gettext("That is more than chance explains.")

    def alerts(self, rule: RuleDay, place: str, name: str) -> str:
        """Return how often a rule's alerts fired on the day, and for how long; `name` is what people call the rule."""
        told = [
            self.words.ngettext(
                "{place}, “{rule}”: {count} alert, firing for {time}",
                "{place}, “{rule}”: {count} alerts, firing for {time}",
                rule.alerts, place=place, rule=name, time=self.duration(rule.fired),
            )
        ]  # fmt: skip
        if rule.carried:
            told.append(self.words.gettext("one had begun before this day"))
        if rule.lasting and self.report.so_far:
            told.append(self.words.gettext("one is not over yet"))
        elif rule.lasting:
            told.append(self.words.gettext("one went on after it"))
        return "; ".join(told) + "."

    def held_back(self, held: HeldBack) -> str:
        """Return how many alerts were reported late or not at all, and why; empty if there were none."""
        if not held.alerts:
            return ""
        gettext = self.words.gettext
        why: dict[WithheldReason, str] = {
            "muted": gettext("outside the times for messages"),
            "silenced": gettext("silenced by an operator"),
            "inhibited": gettext("the zone could not be observed"),
            "capped": gettext("beyond the limit of messages an hour"),
        }
        each = [
            why[reason] if count == held.alerts else f"{why[reason]} ({self.words.number(count)})"
            for reason, count in held.reasons
        ]
        return self.words.ngettext(
            "{count} alert was held back: {reasons}.", "{count} alerts were held back: {reasons}.",
            held.alerts, reasons=self.words.listed(each),
        )  # fmt: skip

    def day(self) -> str:
        """Return the day of the report, and until when it goes if the day is not over."""
        day, span = self.date(self.report.span.start), self.report.span
        if not self.report.so_far:
            return day
        return self.words.gettext("{day}, so far, until {time}", day=day, time=self._time(span.end))

    def date(self, at: int) -> str:
        """Return the day of an instant by the clock of the site."""
        return self.words.day(local(at, self.zone))

    def hours(self, start: int, end: int) -> str:
        """Return `07:00 to 08:00`; a time that clocks show twice has its UTC offset."""
        return self.words.gettext("{start} to {end}", start=self._time(start), end=self._time(end))

    def _time(self, at: int) -> str:
        shown = local(at, self.zone)
        twice = len({shown.replace(fold=fold).utcoffset() for fold in (0, 1)}) > 1  # PEP 495
        return f"{self.words.time(shown)} {offset(shown)}" if twice else self.words.time(shown)
