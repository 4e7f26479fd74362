"""A site's daily reports: decides once on each report that is due, and reads the day's published figures."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from datetime import date, timedelta
from typing import Protocol, cast

from proto.notifications import NotificationV1
from proto.public import AlertV1, WindowV1
from proto.subjects import ALERTS, NOTIFICATIONS, WINDOWS, Subject
from proto.types import WHOLE_SITE
from services.bus import Bus, Stored, Unavailable
from services.kernel.log import get_logger
from services.notify.notification import Notification, record_of
from services.notify.reports.day import DayReport, Question, report_of
from services.notify.reports.schedule import CATCH_UP, ReportKey, ReportPlan, due, next_due, notification_of
from services.sites.settings import SiteSettings, local_zone
from services.statistics.calendar import SECOND, TimeRange, day_start

log = get_logger()

REMEMBERED = CATCH_UP + 3 * 3_600 * SECOND
"""Longer than a day of 25 hours and than the catch-up time: no report is decided twice, no SMS is forgotten."""
_LOOK_S = 60.0
"""How often to look again: new settings may have a report that is due."""
_READ_S = 5.0

Notify = Callable[[Notification, NotificationV1], Awaitable[None]]


class ReportDirectory(Protocol):
    """The part of the settings in force that reports need."""

    @property
    def reports(self) -> Sequence[ReportPlan]:
        """The daily reports of all sites."""

    def site(self, name: str) -> SiteSettings:
        """Return a site's settings."""


class DailyReports:
    """Decides on reports. `directory` returns the settings in force; `notify` stores and delivers one decision."""

    def __init__(
        self,
        bus: Bus,
        site: str,
        directory: Callable[[], ReportDirectory],
        notify: Notify,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._bus, self._site, self._directory, self._notify, self._clock = bus, site, directory, notify, clock
        self._decided: dict[str, int] = {}
        """The reports that were decided or left out, each with the time of that, ns."""

    def restore(self, records: Iterable[NotificationV1]) -> None:
        """Load earlier decisions."""
        self._decided = {record.notification: record.at for record in records if record.reason == "report"}

    async def run(self) -> None:
        """Decide on each report when it is due, for ever."""
        while True:
            now = self._clock()
            schedule = [plan for plan in self._directory().reports if plan.site == self._site]
            for key in due(now, schedule, self._decided):
                await self._decide(key, now)
            self._decided = {name: at for name, at in self._decided.items() if now - at < REMEMBERED}
            upcoming = next_due(now, schedule)
            wait_s = _LOOK_S if upcoming is None else min(_LOOK_S, (upcoming - self._clock()) / 1e9)
            await asyncio.sleep(max(0.0, wait_s))

    async def _decide(self, key: ReportKey, now: int) -> None:
        try:
            async with asyncio.timeout(_READ_S):
                is_worth_it = await self._has_begun(key)
        except TimeoutError:  # JetStream does not answer, or aggregate has not created the stream yet
            return
        if is_worth_it:
            notification = notification_of(key, now)
            await self._notify(notification, record_of(notification))
        else:
            why = "nothing was published of the site by the end of that day"
            log.info("daily report skipped", site=key.site, receiver=key.receiver, day=key.day.isoformat(), reason=why)
        self._decided[key.id] = now

    async def _has_begun(self, key: ReportKey) -> bool:
        """Return whether anything was published about the site by the end of a report's day."""
        first = await self._bus.first(WINDOWS, site=key.site, zone=WHOLE_SITE)
        end = day_start(key.day + timedelta(days=1), local_zone(self._directory().site(key.site)))
        return first is not None and cast("WindowV1", first.message).start < end


AHEAD = 26 * 3_600 * SECOND
"""A window may be stored this long before its event time: event time may be a day ahead, and a window has a length."""
PUBLISHING = 10 * SECOND
"""A window is published within this time after it has closed."""


class ReportBus(Protocol):
    """The part of the bus that a report needs."""

    def read(self, row: Subject, *, since: int = 0, **tokens: str) -> AsyncGenerator[Stored, None]:
        """Yield the stored messages of a row."""


def question_of(site: SiteSettings, day: date, now: int, *, zone_detail: bool = True) -> Question:
    """Return the question about a day of a configured site, asked at `now` (ns)."""
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
    """Return notify's decisions of the day; none if notify has never run."""
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
