"""When cameras rest by the clock on the wall: hours at which nobody is counted."""

from collections.abc import Iterable
from datetime import datetime, time, timedelta

from services.sites.settings import DAYS, RestSettings


def rests(hours: Iterable[RestSettings], local: datetime) -> bool:
    """Whether one of these hours covers the local time.

    Hours that end before they start go on past midnight and belong to the day on which they start. When the clock is
    put forward or back, the time on the wall counts: an hour that comes twice rests twice.
    """
    return any(_covers(one, local) for one in hours)


def _covers(one: RestSettings, local: datetime) -> bool:
    start, end, now = time.fromisoformat(one.start), time.fromisoformat(one.end), local.time()
    today, yesterday = (DAYS[day.weekday()] in one.days for day in (local, local - timedelta(days=1)))
    if start < end:
        return today and start <= now < end
    return (today and now >= start) or (yesterday and now < end)
