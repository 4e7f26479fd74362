"""What was published of a site on a day, read for its report. What draws it is elsewhere: it takes long to import."""

import contextlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import date
from typing import Protocol, cast

from proto.notifications import NotificationV1
from proto.public import AlertV1, WindowV1
from proto.subjects import ALERTS, NOTIFICATIONS, WINDOWS, Subject
from services.bus import Stored, Unavailable
from services.notify.core.report import DayReport, Question, report_of
from services.sites.history import TimeRange
from services.sites.history.spans import SECOND
from services.sites.settings import SiteSettings, local_zone

AHEAD = 26 * 3_600 * SECOND
"""A window may be stored before its time by as much: event time may be a day ahead, and a window lasts."""
PUBLISHING = 10 * SECOND
"""So long after it closed a window is out."""


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


async def _windows(bus: ReportBus, asked: Question, span: TimeRange) -> list[WindowV1]:
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
