"""`moretta report`: writes the report of a site's day as one HTML file, from published messages."""

import time
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, ClassVar

from msgspec import Struct, field

from operate.orders import ANSWER_S, checked, operator_bus, site_of
from proto.stats import StatsRequestV1
from proto.subjects import STATS
from services.bus import Bus, Failed, NatsSettings, NoWorkers, Unavailable
from services.kernel.settings import SettingsError, load
from services.notify.languages import languages, words_in
from services.notify.reports.daily import question_of, read_day
from services.notify.reports.day import DayReport, Question
from services.sites.problems import Problem
from services.sites.problems import problems as site_problems
from services.sites.settings import SiteSettings, local_zone
from services.statistics.calendar import day_start, local

_COMMAND = "moretta report"


class NoReportError(Exception):
    """There is no report, and the user made no mistake; the text is one line that says why."""


class ReportSites(Struct, frozen=True, kw_only=True):
    """The part of a settings file that `--sites` reads: no address, and no file that another machine may have."""

    UNREAD: ClassVar[frozenset[str]] = frozenset({"url", "password", "token"})

    sites: list[SiteSettings] = field(default_factory=list)

    def problems(self) -> list[Problem]:
        """Return all problems that no single field of the sites shows, each with its path."""
        return site_problems(self.sites)


class ReportFile(ReportSites, frozen=True, kw_only=True):
    """The part of the settings file that the command reads: NATS's address and, if it is there, the site's section."""

    nats: NatsSettings = NatsSettings()


async def write(
    file: Path,
    site: str | None,
    day: str | None,
    out: Path,
    language: str,
    *,
    so_far: bool = False,
    sites: Path | None = None,
) -> str:
    """Write the report about a day, by default the site's yesterday, or `so_far` today's; return what it is about.

    Without a site it is about the only one.
    `sites` is a settings file with the site's clock and names; without it they are those of `file`, if it has any.
    SettingsError if the user can mend the problem, else NoReportError.
    """
    checked(_COMMAND, StatsRequestV1(site=site or "site"))
    if so_far and day is not None:
        raise SettingsError(_COMMAND, [("--so-far", "is about today; leave out --day")])
    _check_out(out)
    if language not in languages():
        raise SettingsError(_COMMAND, [("--language", f"no {language!r}; there are {', '.join(languages())}")])
    wanted = None if day is None else _parse(day)
    described = load(sites, ReportSites) if sites is not None else load(file, ReportFile)
    known = {one.id: one for one in described.sites}
    if sites is not None and site is not None and site not in known:
        there = ", ".join(sorted(known)) or "none"
        raise SettingsError(_COMMAND, [("--sites", f"{sites} has no site {site!r}; there are: {there}")])
    bus = await operator_bus(file)
    try:
        site = await site_of(bus, _COMMAND, site)
        place = known.get(site) or await _asked(bus, site)
        asked = _so_far(place, known=site in known) if so_far else _question(place, wanted, known=site in known)
        report = await _read(bus, asked)
    finally:
        await bus.close()
    from services.notify.reports.writer import report_file  # late: its import takes longer than telling a mistake

    out.write_text(await report_file(report, place, words_in(language)), encoding="utf-8")
    until = f" until {local(report.span.end, local_zone(place)):%H:%M}" if so_far else ""
    return f"{site} on {report.day}{until}"


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
    """Return the question to ask: about the site's yesterday by default, and always about a day that is over."""
    now, zone = time.time_ns(), local_zone(site)
    today = local(now, zone).date()
    day = wanted or today - timedelta(days=1)
    asked = question_of(site, day, now)
    if day_start(day + timedelta(days=1), zone) > now:
        hint = "; --so-far shows today's figures" if day == today else ""
        why = f"{day} is not over at {site.id}; the last day that is, by the clock of {site.timezone}, is"
        raise SettingsError(_COMMAND, [("--day", f"{why} {today - timedelta(days=1)}{hint}")])
    return asked if known else replace(asked, profile=None)


def _so_far(site: SiteSettings, *, known: bool) -> Question:
    """Return the question about the site's today, until the last window that is, or should be, published."""
    now = time.time_ns()
    asked = replace(question_of(site, local(now, local_zone(site)).date(), now), until=now)
    return asked if known else replace(asked, profile=None)


async def _asked(bus: Bus, site: str) -> SiteSettings:
    """Return a site that the file has no section of, with the time zone that aggregate reports."""
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
        on = f"on {asked.day}" if asked.until is None else f"today ({asked.day}); a window is published when it is over"
        raise NoReportError(f"{_COMMAND}: nothing was published of {asked.site} {on}")
    return report
