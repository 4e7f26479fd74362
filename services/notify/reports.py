"""A daily report: its figures read from NATS, its mail's parts, and the same as one file."""

import asyncio
import contextlib
from base64 import b64encode
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from dataclasses import replace
from datetime import date
from typing import Protocol, cast

from proto.notifications import NotificationV1
from proto.public import AlertV1, WindowV1
from proto.subjects import ALERTS, NOTIFICATIONS, WINDOWS, Subject
from proto.types import SiteId
from services.bus import Stored, Unavailable
from services.history import Span
from services.history.spans import SECOND
from services.notify.core.message import Letter, Picture, content_id, letter_of
from services.notify.core.notification import Notification
from services.notify.core.report import DayReport, Question, report_of
from services.notify.core.report_content import ReportView
from services.notify.core.report_schedule import ReportPlan, day_of_report
from services.notify.core.report_view import view_of
from services.notify.core.words import Words
from services.notify.report_chart import hours_chart, zones_chart
from services.notify.templates import render_report_bodies
from services.notify.words import words_in
from services.sites.settings import SiteSettings, local_zone

AHEAD = 26 * 3_600 * SECOND
"""A window may be stored before its time by as much: event time may be a day ahead, and a window lasts."""
PUBLISHING = 10 * SECOND
"""So long after it closed a window is out."""
_READ_S = 30.0


class ReportBus(Protocol):
    """What a report needs of the bus."""

    def read(self, row: Subject, *, since: int = 0, **tokens: str) -> AsyncGenerator[Stored, None]:
        """Yield the stored messages of a row."""


def question_of(site: SiteSettings, day: date, now: int, *, zone_detail: bool = True) -> Question:
    """Return what is to be asked about a site of the settings at a time, ns."""
    return Question(
        site=site.id,
        day=day,
        zone=local_zone(site),
        settled=now - round(site.lateness_s * SECOND) - PUBLISHING,
        length=round(site.window_s * SECOND),
        profile=site.profile,
        zones=tuple(zone.id for zone in site.zones),
        zone_detail=zone_detail,
    )


async def read_day(bus: ReportBus, asked: Question) -> DayReport:
    """Return a day's figures from the streams WINDOWS, ALERTS and DELIVERIES; `Unavailable` if they can't be read."""
    windows = [window for span in asked.days() for window in await _windows(bus, asked, span)]
    alerts = [cast("AlertV1", stored.message) async for stored in bus.read(ALERTS, site=asked.site)]
    return report_of(asked, windows, alerts, await _decisions(bus, asked) if alerts else [])


async def _decisions(bus: ReportBus, asked: Question) -> list[NotificationV1]:
    """Return what notify decided on the day; nothing where it has never run."""
    found = []
    with contextlib.suppress(Unavailable):
        async with aclosing(bus.read(NOTIFICATIONS, since=max(1, asked.span.start), site=asked.site)) as stored:
            async for one in stored:
                found.append(cast("NotificationV1", one.message))
                if found[-1].at >= asked.span.end:
                    break
    return found


async def _windows(bus: ReportBus, asked: Question, span: Span) -> list[WindowV1]:
    """Return the windows of all zones that start in the span. They are stored in order of their start."""
    found = []
    async with aclosing(bus.read(WINDOWS, since=max(1, span.start - AHEAD), site=asked.site)) as stored:
        async for one in stored:
            window = cast("WindowV1", one.message)
            if window.start >= span.end:
                break
            if window.start >= span.start:
                found.append(window)
    return found


class ReportWriter:
    """Writes the mails of daily reports, from what was published by the time at which they were decided."""

    def __init__(
        self,
        bus: ReportBus,
        site: Callable[[SiteId], SiteSettings],
        schedule: Callable[[], Iterable[ReportPlan]],
        link: str = "",
    ) -> None:
        self._bus, self._site, self._schedule, self._link = bus, site, schedule, link

    async def letter(self, told: Notification, language: str) -> Letter:
        """Return the report that was decided on; LookupError if it is none, Unavailable, TimeoutError."""
        site = self._site(told.group.site)
        day = day_of_report(told, local_zone(site))
        asked = question_of(site, day, told.at, zone_detail=self._zone_detail(told))
        asked = replace(asked, receiver=told.group.receiver)
        async with asyncio.timeout(_READ_S):
            report = await read_day(self._bus, asked)
        return await render_report(report, site, words_in(language), told, self._link)

    def _zone_detail(self, told: Notification) -> bool:
        """Return what the settings say now; all that the profile allows if they don't have the report any more."""
        place = (told.group.site, told.group.receiver)
        return next((plan.zone_detail for plan in self._schedule() if (plan.site, plan.receiver) == place), True)


async def render_report(
    report: DayReport, site: SiteSettings, words: Words, told: Notification, link: str = ""
) -> Letter:
    """Return the letter of a report. Drawing takes a part of a second, beside the loop."""
    view = view_of(report, site, words, told.group.receiver, link)
    pngs = await asyncio.to_thread(_draw, report, site, words, view)
    ids = {name: content_id(name, told.id) for name in pngs}
    bodies = render_report_bodies(view, {name: f"cid:{cid}" for name, cid in ids.items()})
    pictures = tuple(Picture(ids[name], png) for name, png in pngs.items())
    return letter_of(told, words.language, view.subject, bodies, pictures)


async def report_file(report: DayReport, site: SiteSettings, words: Words) -> str:
    """Return the report as one HTML file that needs nothing else."""
    view = view_of(report, site, words)
    pngs = await asyncio.to_thread(_draw, report, site, words, view)
    sources = {name: f"data:image/png;base64,{b64encode(png).decode()}" for name, png in pngs.items()}
    return render_report_bodies(view, sources).html


def _draw(report: DayReport, site: SiteSettings, words: Words, view: ReportView) -> dict[str, bytes]:
    """Return the charts by name."""
    clock = local_zone(site)
    drawn = {view.hours.name: hours_chart(report, words, clock, site.timezone)}
    if view.zones is not None:
        names = [row.label for row in view.zone_rows]
        drawn[view.zones.name] = zones_chart(report.zones, names, report, words, clock)
    return drawn
