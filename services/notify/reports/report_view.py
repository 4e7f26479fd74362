"""The contents of a daily report, made from figures and words, without layout. The templates lay them out."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from proto.stats import PeriodV1
from proto.types import WHOLE_SITE, Profile
from services.notify.reports.day import DayReport, ZoneDay
from services.notify.reports.phrases import Phrases
from services.notify.texts.headlines import marked
from services.notify.texts.names import place, rule_name, sent_to, zone_name
from services.notify.texts.words import Words
from services.sites.profiles import PROFILES, any_trial
from services.sites.settings import SiteSettings, local_zone


@dataclass(frozen=True)
class ReportRow:
    """A label and its texts, a paragraph each."""

    label: str
    texts: tuple[str, ...]
    line: str
    """All of it in one line, punctuated as the language does."""


@dataclass(frozen=True)
class HourRow:
    """A line of the table of hours. `note` replaces figures that are missing."""

    when: str
    cells: tuple[str, ...] = ()
    note: str = ""
    text: str = ""
    """All of it in one line, for a form without a table."""


@dataclass(frozen=True)
class ReportChart:
    """A chart: its heading, and what a screen reader says instead."""

    name: str
    heading: str
    alternative: str


@dataclass(frozen=True)
class ReportView:
    """Everything that a report says."""

    language: str
    subject: str
    badge: str
    headline: str
    title: str
    """Badge and headline in one line."""
    place: str
    banner: str
    """Says that this is a test; empty outside the profile `lab`."""
    figure: str
    """The rate alone, to be shown large; empty without one."""
    lead: str
    hours: ReportChart
    rows: tuple[ReportRow, ...]
    zones: ReportChart | None
    """None where no zone has figures of its own."""
    zone_rows: tuple[ReportRow, ...]
    columns: tuple[str, ...]
    """The headings of the table of hours."""
    table: str
    """The title of that table."""
    lines: tuple[HourRow, ...]
    notes: tuple[str, ...]
    link: str
    link_text: str
    link_line: str


class Footer(NamedTuple):
    """What is below a report's figures: for whom it is, where Moretta's page is, and whom to ask. Empty: not said."""

    receiver: str = ""
    link: str = ""
    contact: str = ""


_NOBODY = Footer()


def view_of(report: DayReport, site: SiteSettings, words: Words, footer: Footer = _NOBODY) -> ReportView:
    """Return a report's contents for a receiver; without a receiver, for a file."""
    return _Said(report, site, words).view(footer)


class _Said:
    def __init__(self, report: DayReport, site: SiteSettings, words: Words) -> None:
        self.report, self.site, self.words = report, site, words
        self.total = report.whole.total
        self.phrases = Phrases(words, report, local_zone(site), has_films=site.close_on_end)
        self.sure = any(part.interval is not None for part in report.parts)
        self.day = self.phrases.day()

    def view(self, footer: Footer) -> ReportView:
        gettext, zones, link = self.words.gettext, self.report.zones, footer.link
        return ReportView(
            language=self.words.language,
            subject=self.subject(),
            badge=gettext("Daily report"),
            headline=self.day,
            title=self.labelled(gettext("Daily report"), self.day),
            place=place(self.site, WHOLE_SITE),
            banner=self.banner(),
            figure="" if self.total.rate is None else self.words.percent(self.total.rate),
            lead=self.lead(),
            hours=ReportChart("hours", self.heading(), self.hours_in_words()),
            rows=tuple(self.row(label, texts) for label, texts in self.rows() if texts),
            zones=ReportChart("zones", gettext("By zone"), self.zones_in_words()) if zones else None,
            zone_rows=tuple(self.row(self.name(zone.zone), tuple(self.zone(zone))) for zone in zones),
            columns=_some(
                gettext("Time"), gettext("Rate"), gettext("Interval") if self.sure else "", gettext("People")
            ),
            table=gettext("The figures"),
            lines=tuple(self.lines()),
            notes=tuple(self.notes(footer)),
            link=link,
            link_text=gettext("Open Moretta") if link else "",
            link_line=self.labelled(gettext("Open Moretta"), link) if link else "",
        )

    def subject(self) -> str:
        where, rate = place(self.site, WHOLE_SITE), self.total.rate
        if rate is None:
            text = self.words.gettext("{place}: report on {day}", place=where, day=self.day)
        else:
            shown = self.words.percent(rate)
            text = self.words.gettext("{place}: {rate} wore masks, {day}", place=where, rate=shown, day=self.day)
        return marked(text, self.words, is_test=any_trial(self.report.profiles))

    def banner(self) -> str:
        if not any_trial(self.report.profiles):
            return ""
        return self.words.gettext("This is a test, sent by an installation on trial.")

    def heading(self) -> str:
        gettext = self.words.gettext
        return gettext("By hour") if self.report.step == "hour" else gettext("Over the day")

    def lead(self) -> str:
        gettext, persons = self.words.gettext, self.total.persons
        if persons is None:
            why = self.total.suppressed
            if why is None:
                return gettext("Nothing was published about this day.")
            return gettext("There are no figures of this day: {reason}.", reason=self.phrases.suppressed(why))
        if persons == 0:
            return gettext("Nobody was counted in the published periods.")
        if self.total.rate is None:
            return gettext("Of {people} nobody could be judged.", people=self.phrases.people(persons))
        return gettext(
            "of the people counted wore a mask correctly. Based on {people}.",
            people=self.phrases.people(persons),
        )

    def rows(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        gettext, whole = self.words.gettext, self.report.whole
        yield gettext("How sure"), _some(self.phrases.sure(self.total))
        labels = gettext("The day before"), gettext("The same weekday a week before")
        for label, comparison in zip(labels, self.report.comparisons, strict=False):  # none of a day that goes on
            yield label, tuple(self.phrases.compared(comparison))
        yield gettext("Observed"), tuple(self.phrases.observed(whole))
        yield gettext("Not published"), _some(self.phrases.missing(whole))
        yield gettext("Not shown"), _some(self.phrases.withheld(whole))
        yield gettext("Alerts"), tuple(self.alerts())
        yield gettext("Held back"), _some(self.phrases.held_back(self.report.held))

    def alerts(self) -> Iterator[str]:
        """Yield what the rules' alerts did; nothing under profiles without rules."""
        if self.report.strict or (self._is_without_rules() and not self.report.alerts):
            return
        if not self.report.alerts:
            yield self.words.gettext("No alert fired.")
        for rule in self.report.alerts:
            yield self.phrases.alerts(
                rule, self.name(rule.zone), rule_name(self.site, rule.zone, rule.rule, self.words)
            )

    def name(self, zone: str) -> str:
        if zone == WHOLE_SITE:
            return self.words.gettext("Whole site")
        return zone_name(self.site, zone)

    def zone(self, zone: ZoneDay) -> Iterator[str]:
        total = zone.total
        if total.rate is not None and total.persons is not None:
            people = self.phrases.people(total.persons)
            if total.interval is None:
                yield self.words.gettext("{rate} of {people}.", rate=self.words.percent(total.rate), people=people)
            else:
                yield self.words.gettext(
                    "{rate} of {people}, between {low} and {high}.", rate=self.words.percent(total.rate), people=people,
                    low=self.words.percent(min(total.interval)), high=self.words.percent(max(total.interval)),
                )  # fmt: skip
        elif total.persons is not None:
            yield self.none_judged(total.persons)
        if withheld := self.phrases.withheld(zone):
            yield self.words.gettext("Not shown: {what}", what=withheld)
        if missing := self.phrases.missing(zone):
            yield missing

    def none_judged(self, persons: int) -> str:
        if persons == 0:
            return self.words.gettext("Nobody was counted.")
        return self.words.gettext("Of {people} nobody could be judged.", people=self.phrases.people(persons))

    def lines(self) -> Iterator[HourRow]:
        """Yield the figures of each part of the day. Adjacent parts without figures for one reason share a line."""
        for note, some in groupby(self.report.parts, self.note):
            found = list(some)
            if note:
                when = self.phrases.hours(found[0].start, found[-1].end)
                yield HourRow(when, note=note, text=self.labelled(when, note))
                continue
            for part in found:
                yield self.line(part)

    def line(self, part: PeriodV1) -> HourRow:
        when, rate = self.phrases.hours(part.start, part.end), self.words.percent(_rate(part))
        interval = "" if part.interval is None else self.phrases.interval(part.interval)
        figures = f"{rate} ({interval})" if interval else rate
        persons = part.persons or 0
        shown = (rate, interval, self.words.number(persons)) if self.sure else (rate, self.words.number(persons))
        return HourRow(
            when, shown, text=self.labelled(when, f"{figures}, {self.phrases.people(persons)}")
        )  # fmt: skip

    def labelled(self, label: str, text: str) -> str:
        return self.words.gettext("{label}: {text}", label=label, text=text)

    def row(self, label: str, texts: tuple[str, ...]) -> ReportRow:
        return ReportRow(label, texts, self.labelled(label, " ".join(texts)))

    def note(self, part: PeriodV1) -> str:
        """Return why a part of the day has no rate; empty if it has one."""
        if not part.windows_published:
            return self.words.gettext("nothing published")
        if part.suppressed is not None:
            return self.phrases.suppressed(part.suppressed)
        return "" if part.rate is not None else self.none_judged(part.persons or 0).rstrip(".")

    def hours_in_words(self) -> str:
        rated = [part for part in self.report.parts if part.rate is not None]
        if not rated:
            return self.words.gettext("A chart of the day, without any rate.")
        low, high = (pick(rated, key=_rate) for pick in (min, max))
        return self.words.gettext(
            "Share of people who wore a mask over the day: lowest {low} at {low_time}, highest {high} at {high_time}. "
            "All figures are in the table below.",
            low=self.words.percent(_rate(low)), low_time=self.phrases.hours(low.start, low.end),
            high=self.words.percent(_rate(high)), high_time=self.phrases.hours(high.start, high.end),
        )  # fmt: skip

    def zones_in_words(self) -> str:
        return self.words.gettext("Share of people who wore a mask in each zone. All figures are in the list below.")

    def _is_without_rules(self) -> bool:
        profiles = self.report.profiles
        return bool(profiles) and not any(PROFILES[profile].rules for profile in profiles)

    def _limits(self, profile: Profile) -> str:
        gettext, terms = self.words.gettext, PROFILES[profile]
        limits = gettext(
            "Under the profile {profile} only the number of people and the percentage of the whole site are published.",
            profile=profile,
        )
        if terms.lapsed is None:
            return limits
        lapsed = gettext(
            "French decree {decree} lapsed in {year} and authorises nothing today.",
            decree=terms.decree,
            year=terms.lapsed,
        )
        return f"{limits} {lapsed}"

    def notes(self, footer: Footer) -> Iterator[str]:
        gettext = self.words.gettext
        yield gettext(
            "Figures are sums of published windows. Figures that are not shown are in no sum, and gaps stay gaps."
        )
        if self.report.limited_by is not None:
            yield self._limits(self.report.limited_by)
        yield gettext("A person who passes twice is counted twice. Nobody is recognised and no picture is kept.")
        yield gettext("Times are those of {zone}.", zone=self.site.timezone)
        if footer.receiver:
            yield from sent_to(footer.receiver, self.words, footer.contact)


def _some(*texts: str) -> tuple[str, ...]:
    return tuple(text for text in texts if text)


def _rate(period: PeriodV1) -> float:
    assert period.rate is not None
    return period.rate
