"""Writes a daily report as a mail, or as one HTML file. daily.py reads its figures."""

import asyncio
from base64 import b64encode
from collections.abc import Callable, Iterable
from dataclasses import replace

from proto.types import SiteId
from services.notify.languages import words_in
from services.notify.notification import Notification
from services.notify.reports.charts import hours_chart, zones_chart
from services.notify.reports.daily import ReportBus, question_of, read_day
from services.notify.reports.day import DayReport
from services.notify.reports.report_view import Footer, ReportView, view_of
from services.notify.reports.schedule import ReportPlan, day_of_report
from services.notify.templates import render
from services.notify.texts.email_message import InlineImage, Letter, content_id, letter_of
from services.notify.texts.names import own_text
from services.notify.texts.words import Words
from services.sites.settings import SiteSettings, local_zone
from services.sites.texts import Text

_READ_S = 30.0


class ReportWriter:
    """Writes the mails of daily reports, from the figures published by the time of the decision."""

    def __init__(
        self,
        bus: ReportBus,
        site: Callable[[SiteId], SiteSettings],
        schedule: Callable[[], Iterable[ReportPlan]],
        link: str = "",
        contact: Text = None,
    ) -> None:
        self._bus, self._site, self._schedule = bus, site, schedule
        self._link, self._contact = link, contact

    async def letter(self, notification: Notification, language: str) -> Letter:
        """Return the letter of a decided report. LookupError if it is none; else Unavailable or TimeoutError."""
        site = self._site(notification.group.site)
        day = day_of_report(notification, local_zone(site))
        asked = question_of(site, day, notification.at, zone_detail=self._zone_detail(notification))
        asked = replace(asked, receiver=notification.group.receiver)
        async with asyncio.timeout(_READ_S):
            report = await read_day(self._bus, asked)
        words = words_in(language)
        footer = Footer(notification.group.receiver, self._link, own_text(self._contact, site, words))
        return await render_report(report, site, words, notification, footer)

    def _zone_detail(self, notification: Notification) -> bool:
        """Return the present setting; True (all that the profile allows) if the settings no longer have the report."""
        place = (notification.group.site, notification.group.receiver)
        return next((plan.zone_detail for plan in self._schedule() if (plan.site, plan.receiver) == place), True)


async def render_report(
    report: DayReport, site: SiteSettings, words: Words, notification: Notification, footer: Footer
) -> Letter:
    """Return the letter of a report. Drawing takes a fraction of a second, in a thread beside the event loop."""
    view = view_of(report, site, words, footer)
    pngs = await asyncio.to_thread(_draw, report, site, words, view)
    ids = {name: content_id(name, notification.id) for name in pngs}
    bodies = render("report", view=view, sources={name: f"cid:{cid}" for name, cid in ids.items()})
    pictures = tuple(InlineImage(ids[name], png) for name, png in pngs.items())
    return letter_of(notification, words.language, view.subject, bodies, pictures)


async def report_file(report: DayReport, site: SiteSettings, words: Words) -> str:
    """Return the report as one HTML file that needs no other file."""
    view = view_of(report, site, words)
    pngs = await asyncio.to_thread(_draw, report, site, words, view)
    sources = {name: f"data:image/png;base64,{b64encode(png).decode()}" for name, png in pngs.items()}
    return render("report", view=view, sources=sources).html


def _draw(report: DayReport, site: SiteSettings, words: Words, view: ReportView) -> dict[str, bytes]:
    """Return the charts by name."""
    clock = local_zone(site)
    drawn = {"hours": hours_chart(report, words, clock, site.timezone)}
    if report.zones:
        names = [row.label for row in view.zone_rows]
        drawn["zones"] = zones_chart(report.zones, names, words)
    return drawn
