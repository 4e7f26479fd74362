"""Hours and days as a site's clocks show them: a day has 23 or 25 hours where clocks change. Pure.

An hour that clocks repeat is two hours.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

from proto.stats import Step

SECOND = 1_000_000_000
"""In nanoseconds."""
_HOUR = 3_600
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A piece of time: `start` is inside, `end` is not."""

    start: int
    end: int


def local(at: int, zone: tzinfo) -> datetime:
    """Return what clocks in the zone show at an instant, cut to the second."""
    return (_EPOCH + timedelta(seconds=at // SECOND)).astimezone(zone)


def instant(moment: datetime) -> int:
    """Return the instant at which a clock shows this; of a repeated time `fold` says which, as in PEP 495."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1_000


def day_start(day: date, zone: tzinfo) -> int:
    """Return the first instant of a day; where clocks skip midnight that is later than 00:00."""
    return instant(datetime(day.year, day.month, day.day, tzinfo=zone))


def spans(since: int, until: int, step: Step, zone: tzinfo) -> Iterator[TimeRange]:
    """Yield [since, until) cut at the borders of hours or days; in one piece for `total` and `window`."""
    at = since
    while at < until:
        end = until
        if step == "hour":
            end = min(until, _hour_end(at, zone))
        elif step == "day":
            end = min(until, day_start(local(at, zone).date() + timedelta(days=1), zone))
        yield TimeRange(at, end)
        at = end


def _hour_end(at: int, zone: tzinfo) -> int:
    """Return when the hour ends: at the next full one, or at a change of the clocks within it (Chatham, 02:45)."""
    shown = local(at, zone)
    end = at - at % SECOND + (_HOUR - 60 * shown.minute - shown.second) * SECOND
    if local(end, zone).utcoffset() == shown.utcoffset():
        return end
    before, after = at // SECOND, end // SECOND
    while after - before > 1:
        middle = (before + after) // 2
        same = local(middle * SECOND, zone).utcoffset() == shown.utcoffset()
        before, after = (middle, after) if same else (before, middle)
    return after * SECOND
