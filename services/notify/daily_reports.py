"""A site's daily reports: decided when they are due, once, and not about days before anything was published."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import cast

from proto.notifications import NotificationV1
from proto.public import WindowV1
from proto.subjects import WINDOWS
from proto.types import WHOLE_SITE
from services.bus import Bus
from services.kernel.log import get_logger
from services.notify.core.decision import record_of
from services.notify.core.notification import Notification
from services.notify.core.report_schedule import CATCH_UP, ReportKey, due, next_due, notification_of
from services.notify.core.routing import SECOND
from services.notify.directory import Directory
from services.sites.history import day_start
from services.sites.settings import local_zone

log = get_logger()

REMEMBERED = CATCH_UP + 3 * 3_600 * SECOND
"""A day, even one of 25 hours, and as long as reports are caught up: no report is decided twice, no SMS forgotten."""
_LOOK_S = 60.0
"""New settings may have a report that is due."""
_READ_S = 5.0

Tell = Callable[[Notification, NotificationV1], Awaitable[None]]


class DailyReports:
    """Decides on reports; `directory` returns the settings in force, `tell` has one stored and delivered."""

    def __init__(
        self,
        bus: Bus,
        site: str,
        directory: Callable[[], Directory],
        tell: Tell,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._bus, self._site, self._directory, self._tell, self._clock = bus, site, directory, tell, clock
        self._decided: dict[str, int] = {}
        """The reports that were decided, or are left out, and when, ns."""

    def restore(self, records: Iterable[NotificationV1]) -> None:
        """Take in what was decided."""
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
        except TimeoutError:  # JetStream is silent, or aggregate has not made the stream yet
            return
        if is_worth_it:
            notification = notification_of(key, now)
            await self._tell(notification, record_of(notification))
        else:
            why = "no daily report: nothing was published of the site by the end of that day"
            log.info(why, site=key.site, receiver=key.receiver, day=key.day.isoformat())
        self._decided[key.id] = now

    async def _has_begun(self, key: ReportKey) -> bool:
        """Return whether anything was published of the site by the end of a report's day."""
        first = await self._bus.first(WINDOWS, site=key.site, zone=WHOLE_SITE)
        end = day_start(key.day + timedelta(days=1), local_zone(self._directory().site(key.site)))
        return first is not None and cast("WindowV1", first.message).start < end
