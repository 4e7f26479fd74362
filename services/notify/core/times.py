"""Office hours and mute times by the clock on the wall, and when they begin and end.

The time on the wall counts: an hour that clocks repeat comes twice, and what begins in an hour that they skip begins
where they go on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from services.sites.history.spans import SECOND, day_start, instant, local

_MIDNIGHT = time()
_AHEAD_DAYS = 8
_WEEK = 7 * 86_400 * SECOND


@dataclass(frozen=True, slots=True)
class Hours:
    """Times of day on some days. An end not after the start is on the next day; midnight to midnight is a whole day."""

    start: time = _MIDNIGHT
    end: time = _MIDNIGHT
    weekdays: frozenset[int] = frozenset(range(7))
    """The days on which it starts, Monday is 0."""
    dates: tuple[tuple[date, date], ...] = ()
    """Only on these days, first and last one inside; without any on all."""
    zone: ZoneInfo | None = None
    """None: that of the site."""

    def cover(self, at: int, here: ZoneInfo) -> bool:
        """Return whether this instant (ns) lies within; `here` is the site's zone."""
        wall = local(at, self.zone or here)
        now, today = wall.time(), wall.date()
        if self.start < self.end:
            return self.start <= now < self.end and self._starts(today)
        return (now >= self.start and self._starts(today)) or (
            now < self.end and self._starts(today - timedelta(days=1))
        )

    def change(self, after: int, here: ZoneInfo) -> int | None:
        """Return the first instant after this one at which they begin or end; None: not within the next week."""
        zone = self.zone or here
        now, today = self.cover(after, zone), local(after, zone).date()
        for days in range(-1, _AHEAD_DAYS):
            for at in sorted(self._borders(today + timedelta(days=days), zone)):
                if at > after and self.cover(at, zone) != now:
                    return at
        return None

    def _starts(self, day: date) -> bool:
        return day.weekday() in self.weekdays and (
            not self.dates or any(first <= day <= last for first, last in self.dates)
        )

    def _borders(self, day: date, zone: ZoneInfo) -> Iterator[int]:
        """Yield every instant of a day at which they could begin or end."""
        begin, end = day_start(day, zone), day_start(day + timedelta(days=1), zone)
        yield begin
        for shown in (self.start, self.end):
            for fold in (0, 1):
                yield instant(datetime.combine(day, shown, tzinfo=zone).replace(fold=fold))
        if local(begin, zone).utcoffset() != local(end, zone).utcoffset():
            yield _clock_change(begin, end, zone)


def _clock_change(before: int, after: int, zone: ZoneInfo) -> int:
    """Return the first second between two instants at which clocks are put forward or back."""
    offset, low, high = local(before, zone).utcoffset(), before // SECOND, after // SECOND
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if local(middle * SECOND, zone).utcoffset() == offset else (low, middle)
    return high * SECOND


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a route may tell: within one of `active` (without any: always), and within none of `mute`."""

    active: tuple[Hours, ...] = ()
    mute: tuple[Hours, ...] = ()

    def mutes(self, at: int, here: ZoneInfo) -> bool:
        """Return whether nothing is told at this instant (ns) at a site with this zone."""
        idle = bool(self.active) and not any(hours.cover(at, here) for hours in self.active)
        return idle or any(hours.cover(at, here) for hours in self.mute)

    def muted_until(self, at: int, here: ZoneInfo) -> int:
        """Return when something may be told again, `at` itself if it may be; what is further than a week: in a week."""
        end, changes = at + _WEEK, dict.fromkeys((*self.active, *self.mute), at)
        while self.mutes(at, here):
            for hours, change in changes.items():
                if change <= at:
                    changes[hours] = hours.change(at, here) or end
            at = min(changes.values())
            if at >= end:
                return end
        return at


ALWAYS = Schedule()
