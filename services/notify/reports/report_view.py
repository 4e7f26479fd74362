"""What a daily report says. templates/report_words.txt writes it from figures and from the functions passed here."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import NamedTuple, Protocol

from proto.public import HINTS, GapReason, Suppression
from proto.stats import PeriodV1
from proto.types import WHOLE_SITE
from services.notify.reports.day import DayReport
from services.notify.templates import variables
from services.notify.texts.facts import margin_of_error
from services.notify.texts.figures import covers_errors
from services.notify.texts.headlines import marked
from services.notify.texts.names import rule_name, sent_to, site_name, zone_name
from services.notify.texts.words import Words, offset
from services.sites.profiles import PROFILES, any_trial
from services.sites.settings import SiteSettings, local_zone
from services.statistics.calendar import local
from services.statistics.gap_reasons import gap_short


class ReportRow(NamedTuple):
    """A label and its sentences."""

    label: str
    texts: tuple[str, ...]
    line: str
    """All of it in one line, punctuated as the language does."""


class ReportView(Protocol):
    """The variables of report_words.txt: what the code reads of them; the layouts read all."""

    subject: str
    zone_rows: Sequence[ReportRow]


class Footer(NamedTuple):
    """What is below a report's figures: for whom it is, where Moretta's page is, and whom to ask. Empty: not said."""

    receiver: str = ""
    link: str = ""
    contact: str = ""


_NOBODY = Footer()


def view_of(report: DayReport, site: SiteSettings, words: Words, footer: Footer = _NOBODY) -> ReportView:
    """Return a report's contents for a receiver; without a receiver, for a file."""
    is_test = any_trial(report.profiles)
    view: ReportView = variables(
        "report_words",
        report=report, site=site, words=words, footer=footer, profiles=PROFILES, hints=HINTS, is_test=is_test,
        gettext=words.gettext, ngettext=words.ngettext,
        site_name=site_name(site),
        has_rules=not report.profiles or any(PROFILES[profile].rules for profile in report.profiles),
        marked=partial(marked, words=words, is_test=is_test),
        row=partial(_row, words),
        spans=partial(_spans, report.parts),
        sentences=_sentences,
        sent_to=sent_to(footer.receiver, words, footer.contact) if footer.receiver else (),
        suppressed=partial(suppressed, words=words),
        **_names(site, words), **_times(site, words),
    )  # fmt: skip
    return view


def suppressed(why: Suppression, words: Words) -> str:
    """Return why a figure is not shown."""
    return {
        "small-count": words.gettext("too few people to show"),
        "nothing-observed": words.gettext("nothing observed"),
        "not-under-this-profile": words.gettext("not published under this profile"),
    }[why]


def _names(site: SiteSettings, words: Words) -> dict[str, Callable[..., str]]:
    def name(zone: str) -> str:
        return words.gettext("Whole site") if zone == WHOLE_SITE else zone_name(site, zone)

    def gap(reason: GapReason) -> str:
        return gap_short(reason, words.language, has_films=site.close_on_end)

    def margin(period: PeriodV1) -> str:
        low, high = sorted(period.interval or ())
        return margin_of_error(low, high, words, errors=covers_errors(period))

    return {
        "zone_name": name,
        "gap": gap,
        "margin": margin,
        "rule_name": lambda zone, rule: rule_name(site, zone, rule, words),
    }


def _times(site: SiteSettings, words: Words) -> dict[str, Callable[..., str]]:
    """Return what writes instants by the site's clock; a time that clocks show twice has its UTC offset."""
    zone = local_zone(site)

    def time(at: int) -> str:
        shown = local(at, zone)
        twice = len({shown.replace(fold=fold).utcoffset() for fold in (0, 1)}) > 1  # PEP 495
        return f"{words.time(shown)} {offset(shown)}" if twice else words.time(shown)

    return {
        "time": time,
        "date": lambda at: words.day(local(at, zone)),
        "hours": lambda start, end: words.gettext("{start} to {end}", start=time(start), end=time(end)),
    }


def _sentences(text: str) -> tuple[str, ...]:
    return tuple(line for line in text.split("\n") if line)


def _row(words: Words, label: str, text: str) -> ReportRow:
    texts = _sentences(text)
    return ReportRow(label, texts, words.gettext("{label}: {text}", label=label, text=" ".join(texts)))


def _spans(
    parts: Sequence[PeriodV1], note_of: Callable[[PeriodV1], str]
) -> Iterator[tuple[str, int, int, PeriodV1 | None]]:
    """Yield each part of the day with its rate; adjacent parts without one for one reason as one span with a note."""
    for note, some in groupby(parts, lambda part: note_of(part).strip()):
        found = list(some)
        if note:
            yield note, found[0].start, found[-1].end, None
        else:
            yield from (("", part.start, part.end, part) for part in found)
