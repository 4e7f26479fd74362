"""Instants as people at the site read them. Pure: the zone comes in as an argument."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_S = (datetime(9999, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds()


class UnpresentableError(ValueError):
    """An alert that no mail can be written about, because its time lies beyond the calendar."""


def instant(nanoseconds: int, zone: tzinfo) -> datetime:
    """Return the instant in that zone, cut to the second; UnpresentableError beyond the year 9998."""
    seconds = nanoseconds // 1_000_000_000
    if seconds >= _LAST_S:
        raise UnpresentableError(f"the time {nanoseconds} ns is beyond the calendar")
    return (_EPOCH + timedelta(seconds=seconds)).astimezone(zone)


def offset(moment: datetime) -> str:
    """Return the distance to UTC as `UTC+01:00`."""
    text = moment.strftime("%z")
    return f"UTC{text[:3]}:{text[3:5]}"


@dataclass(frozen=True)
class LocalSpan:
    """A window in local time. The zone's name is the settings' own, such as Europe/Paris."""

    start: datetime
    end: datetime
    zone: str

    @property
    def same_day(self) -> bool:
        """Whether both ends are on one calendar day, midnight at the end counting as the day before it."""
        return self.start.date() == (self.end - timedelta(seconds=1)).date() or self.start.date() == self.end.date()

    @property
    def same_offset(self) -> bool:
        """Whether no change of the clocks lies between both ends."""
        return self.start.utcoffset() == self.end.utcoffset()
