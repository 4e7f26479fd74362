"""`moretta report`: a site's day as one HTML file, from what was published."""

import time
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, ClassVar

from msgspec import Struct, field

from operate.orders import ANSWER_S, checked, operator_bus
from proto.stats import StatsRequestV1
from proto.subjects import STATS
from services.bus import Bus, Failed, NatsSettings, NoWorkers, Unavailable
from services.kernel.settings import SettingsError, load
from services.notify.core.report import DayReport, Question
from services.notify.report_days import question_of, read_day
from services.notify.words import languages, words_in
from services.sites.history import day_start, local
from services.sites.problems import Problem
from services.sites.problems import problems as site_problems
from services.sites.settings import SiteSettings, local_zone

_COMMAND = "moretta report"


class NoReportError(Exception):
    """There is no report, by no fault of who asked; the text is one line that says why."""


class ReportFile(Struct, frozen=True, kw_only=True):
    """What the command reads of the settings file: where NATS is, and, if it is there, its section of the site."""

    UNREAD: ClassVar[frozenset[str]] = frozenset({"url", "token"})

    nats: NatsSettings = NatsSettings()
    sites: list[SiteSettings] = field(default_factory=list)

    def problems(self) -> list[Problem]:
        """Return everything that no single field of the sites shows, with its path."""
        return site_problems(self.sites)


async def write(file: Path, site: str, day: str | None, out: Path, language: str) -> date:
    """Write the report about a day, by default the site's yesterday; returns the day.

    SettingsError for what a person can mend, NoReportError else.
    """
    checked(_COMMAND, StatsRequestV1(site=site))
    _check_out(out)
    if language not in languages():
        raise SettingsError(_COMMAND, [("--language", f"no {language!r}; there are {', '.join(languages())}")])
    wanted = None if day is None else _parse(day)
    known = {one.id: one for one in load(file, ReportFile).sites}
    bus = await operator_bus(file)
    try:
        place = known.get(site) or await _asked(bus, site)
        asked = _question(place, wanted, known=site in known)
        report = await _read(bus, asked)
    finally:
        await bus.close()
    from services.notify.reports import report_file  # here: what draws it takes longer to import than a mistake to tell

    out.write_text(await report_file(report, place, words_in(language)), encoding="utf-8")
    return report.day


def _check_out(out: Path) -> None:
    if out.suffix.lower() not in {".html", ".htm"} or not out.parent.is_dir():
        raise SettingsError(_COMMAND, [("--out", f"{str(out)!r} must be a .html file in a folder that is there")])


def _parse(day: str) -> date:
    try:
        found = date.fromisoformat(day)
    except ValueError:
        raise SettingsError(_COMMAND, [("--day", f"{day!r} is no date; write 2026-11-24")]) from None
    if not 1970 < found.year < 9999:
        raise SettingsError(_COMMAND, [("--day", f"nothing was published in the year {found.year}")])
    return found


def _question(site: SiteSettings, wanted: date | None, *, known: bool) -> Question:
    """Return what is asked: the site's yesterday by default, and a day that is over in any case."""
    now, zone = time.time_ns(), local_zone(site)
    today = local(now, zone).date()
    day = wanted or today - timedelta(days=1)
    asked = question_of(site, day, now)
    if day_start(day + timedelta(days=1), zone) > now:
        why = f"{day} is not over at {site.id}; the last day that is, by the clock of {site.timezone}, is"
        raise SettingsError(_COMMAND, [("--day", f"{why} {today - timedelta(days=1)}")])
    return asked if known else replace(asked, profile=None)


async def _asked(bus: Bus, site: str) -> SiteSettings:
    """Return what aggregate says of a site that the file has no section of: its clock."""
    try:
        reply: Any = await bus.request(STATS, StatsRequestV1(site=site, step="total"), timeout=ANSWER_S)
    except NoWorkers:
        why = f"no aggregate counts for {site!r} at the moment, and -c FILE has no section of it, which says its clock"
        raise SettingsError(_COMMAND, [("SITE", why)]) from None
    except (TimeoutError, Failed):
        raise NoReportError(f"{_COMMAND}: aggregate doesn't say what the clock of {site} is; try again") from None
    return SiteSettings(id=site, timezone=reply.timezone)


async def _read(bus: Bus, asked: Question) -> DayReport:
    try:
        report = await read_day(bus, asked)
    except Unavailable:
        raise NoReportError(f"{_COMMAND}: what was published can't be read at the moment; try again") from None
    if not report.whole.total.windows_published:
        raise NoReportError(f"{_COMMAND}: nothing was published of {asked.site} on {asked.day}")
    return report
