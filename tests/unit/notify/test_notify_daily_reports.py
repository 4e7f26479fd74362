"""When a site's daily reports are decided, and about which days there is none: services.notify.reports.daily."""

import asyncio
from datetime import date, time, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from patience import patient
from windows import HOUR, window

from proto.subjects import WINDOWS
from services.kernel.app import end_tasks
from services.notify.reports.daily import DailyReports
from services.notify.reports.schedule import ReportPlan
from services.sites.settings import SiteSettings
from services.statistics.calendar import day_start

PARIS = ZoneInfo("Europe/Paris")
DAY = date(2026, 11, 24)
T, NEXT = day_start(DAY, PARIS), day_start(DAY + timedelta(days=1), PARIS)
SITE = SiteSettings(id="cannes", timezone="Europe/Paris")


class Stream:
    """The first window of the site, if there is one; it may not answer the first times."""

    def __init__(self, first=None, silent=0):
        self.first_window, self.silent, self.asked = first, silent, []

    async def first(self, row, **tokens):
        self.asked.append((row, tokens))
        if len(self.asked) <= self.silent:
            await asyncio.sleep(3600)
        return None if self.first_window is None else SimpleNamespace(message=self.first_window)


@pytest.mark.parametrize(
    ("stream", "days"),
    [
        (Stream(), []),
        (Stream(window(NEXT)), []),
        (Stream(window(NEXT - HOUR // 3)), ["2026-11-24"]),
        (Stream(window(T - 300 * 24 * HOUR)), ["2026-11-24"]),
        (Stream(window(T), silent=2), ["2026-11-24"]),
    ],
)
async def test_a_report_is_decided_once_and_not_about_a_time_before_the_first_window(monkeypatch, stream, days):
    """The last window of the day is enough. While nothing can be read nothing is decided, and it is asked again."""
    monkeypatch.setattr("services.notify.reports.daily._LOOK_S", 0.01)
    monkeypatch.setattr("services.notify.reports.daily._READ_S", 0.02)
    directory = SimpleNamespace(reports=(ReportPlan("cannes", "staff", PARIS, time(7)),), site=lambda _: SITE)
    told = []

    async def tell(notification, record):
        told.append((record.reason, record.receiver, notification.id))

    reports = DailyReports(stream, "cannes", lambda: directory, tell, lambda: NEXT + 8 * HOUR)
    reports.restore([])
    task = asyncio.create_task(reports.run())
    async with asyncio.timeout(patient(10)):
        while len(stream.asked) <= stream.silent or len(told) < len(days):
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    await end_tasks([task])
    assert [one[:2] for one in told] == [("report", "staff")] * len(days)
    assert stream.asked == [(WINDOWS, {"site": "cannes", "zone": "_site"})] * (stream.silent + 1)
    again = DailyReports(Stream(window(T)), "cannes", lambda: directory, tell, lambda: NEXT + 8 * HOUR)
    again.restore([SimpleNamespace(reason="report", notification=name, at=NEXT) for *_, name in told])
    task = asyncio.create_task(again.run())
    async with asyncio.timeout(patient(10)):
        while not told:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    await end_tasks([task])
    assert len(told) == 1
