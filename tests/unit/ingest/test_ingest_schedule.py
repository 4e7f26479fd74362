"""Hours of rest: services.ingest.core.orders."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.core.orders import rests
from services.sites.settings import DAYS, RestSettings

PARIS = ZoneInfo("Europe/Paris")
clocks = st.builds(lambda h, m: f"{h:02}:{m:02}", st.integers(0, 23), st.integers(0, 59))
hours = st.builds(RestSettings, start=clocks, end=clocks, days=st.lists(st.sampled_from(DAYS), min_size=1).map(tuple))
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31))


def at(text):
    """A local time: day of the week and clock."""
    day, clock = text.split()
    return datetime.fromisoformat(f"2026-11-{23 + DAYS.index(day):02}T{clock}")


@pytest.mark.parametrize(
    ("start", "end", "days", "when", "wanted"),
    [
        ("09:00", "12:00", ["tue"], "tue 09:00", True),
        ("09:00", "12:00", ["tue"], "tue 11:59", True),
        ("09:00", "12:00", ["tue"], "tue 12:00", False),
        ("09:00", "12:00", ["tue"], "wed 10:00", False),
        ("22:00", "06:00", ["fri"], "fri 23:00", True),
        ("22:00", "06:00", ["fri"], "sat 05:59", True),
        ("22:00", "06:00", ["fri"], "sat 06:00", False),
        ("22:00", "06:00", ["fri"], "fri 05:00", False),
        ("22:00", "06:00", ["sun"], "mon 03:00", True),
        ("00:00", "00:00", ["wed"], "wed 13:00", True),
        ("00:00", "00:00", ["wed"], "thu 00:00", False),
    ],
)
def test_hours(start, end, days, when, wanted):
    """From the start up to the end; past midnight they belong to the day on which they start."""
    assert rests([RestSettings(start=start, end=end, days=tuple(days))], at(when)) == wanted


@pytest.mark.parametrize(
    ("utc", "wanted"),
    [("2026-10-25T00:30", True), ("2026-10-25T01:30", True), ("2026-10-25T02:00", False), ("2027-03-28T01:00", False)],
)
def test_the_clock_on_the_wall_counts(utc, wanted):
    """The hour that comes twice in autumn rests twice; the one that spring leaves out never comes."""
    local = datetime.fromisoformat(utc).replace(tzinfo=UTC).astimezone(PARIS)
    assert rests([RestSettings(start="02:00", end="03:00")], local) == wanted


@given(hours, moments)
def test_a_day_and_its_rest(one, moment):
    """What is no rest by these hours is one by the hours between: together they are the whole week."""
    if one.start == one.end:
        return
    other = RestSettings(start=one.end, end=one.start)
    every = RestSettings(start=one.start, end=one.end)
    assert rests([every], moment) != rests([other], moment)


@given(st.lists(hours, max_size=4), moments)
def test_any_of_them_is_enough(some, moment):
    """More hours never rest less."""
    assert rests(some, moment) == any(rests([one], moment) for one in some)


@given(hours, moments)
def test_a_week_later_is_the_same(one, moment):
    """Hours come again every week."""
    assert rests([one], moment) == rests([one], moment + timedelta(days=7))


REFUSED = [
    {"start": "24:00", "end": "06:00"},
    {"start": "6:00", "end": "07:00"},
    {"start": "06:00"},
    {"start": "06:00", "end": "07:00", "days": []},
    {"start": "06:00", "end": "07:00", "days": ["monday"]},
]


@pytest.mark.parametrize("bad", REFUSED, ids=str)
def test_hours_that_are_none_are_refused(bad):
    """A time or a day that does not exist is told, not guessed."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(bad, RestSettings)
