"""Hours and days of a site's calendar, wherever it is and whatever its clocks do."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.statistics.calendar import SECOND, TimeRange, day_start, instant, local, spans

PARIS = ZoneInfo("Europe/Paris")
HOUR = 3_600 * SECOND
ZONES = st.sampled_from(sorted(available_timezones() - {"localtime"})).map(ZoneInfo)
INSTANTS = st.datetimes(datetime(2015, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC)).map(instant)


def at(text, zone=UTC):
    """The instant of a local time; of a repeated one the first."""
    return instant(datetime.fromisoformat(text).replace(tzinfo=zone))


def day(text, zone):
    """The hours of a local day, each as what clocks show at its start, and its minutes."""
    start = date.fromisoformat(text)
    found = spans(day_start(start, zone), day_start(start + timedelta(days=1), zone), "hour", zone)
    return [(f"{local(s.start, zone):%H:%M%z}", (s.end - s.start) // (60 * SECOND)) for s in found]


@pytest.mark.parametrize(("text", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-10-26", 24)])
def test_a_day_has_as_many_hours_as_clocks_show(text, hours):
    """23 in spring, 25 in autumn."""
    start = date.fromisoformat(text)
    (only,) = spans(day_start(start, PARIS), day_start(start + timedelta(days=1), PARIS), "day", PARIS)
    assert only.end - only.start == hours * HOUR
    assert len(day(text, PARIS)) == hours
    assert {minutes for _, minutes in day(text, PARIS)} == {60}


def test_an_hour_that_clocks_repeat_is_two():
    """02:00 in summer time and again in winter time."""
    assert [hour for hour, _ in day("2026-10-25", PARIS)][1:5] == [
        "01:00+0200",
        "02:00+0200",
        "02:00+0100",
        "03:00+0100",
    ]
    assert [hour for hour, _ in day("2026-03-29", PARIS)][1:3] == ["01:00+0100", "03:00+0200"]


@pytest.mark.parametrize(
    ("zone", "text", "where", "hours"),
    [
        (
            "Australia/Lord_Howe",
            "2026-04-05",
            slice(1, 4),
            [("01:00+1100", 60), ("01:30+1030", 30), ("02:00+1030", 60)],
        ),
        ("Australia/Lord_Howe", "2026-10-04", slice(1, 3), [("01:00+1030", 60), ("02:30+1100", 30)]),
        ("Pacific/Chatham", "2026-09-27", slice(2, 5), [("02:00+1245", 45), ("03:45+1345", 15), ("04:00+1345", 60)]),
        ("Asia/Kathmandu", "2026-04-05", slice(0, 2), [("00:00+0545", 60), ("01:00+0545", 60)]),
        ("America/Santiago", "2026-09-06", slice(0, 1), [("01:00-0300", 60)]),
        ("America/Havana", "2026-11-01", slice(0, 2), [("00:00-0400", 60), ("00:00-0500", 60)]),
    ],
)
def test_unusual_clocks(zone, text, where, hours):
    """Half an hour of summer time, a change within an hour, quarters of an hour, a midnight skipped or repeated."""
    assert day(text, ZoneInfo(zone))[where] == hours


@given(
    zone=ZONES,
    start=INSTANTS,
    hours=st.integers(0, 80),
    rest=st.integers(0, 3_600),
    step=st.sampled_from(["hour", "day"]),
)
def test_periods_tile_what_was_asked_for(zone, start, hours, rest, step):
    """No hole and no overlap, and within one period clocks show one day, or one hour at one offset, going forward."""
    until = start + hours * HOUR + rest * SECOND
    found = list(spans(start, until, step, zone))
    assert [s.start for s in found] == [start, *(s.end for s in found[:-1])] if found else start == until
    assert not found or found[-1].end == until
    for span in found:
        shown = [local(moment, zone) for moment in (span.start, span.end - SECOND)]
        assert len({time.date() for time in shown}) == 1
        if step == "hour":
            assert len({(time.hour, time.utcoffset()) for time in shown}) == 1
    for earlier, later in pairwise(found):
        keys = [
            (local(s.start, zone).date(), local(s.start, zone).hour, local(s.start, zone).utcoffset())
            for s in (earlier, later)
        ]
        assert keys[0] != keys[1]
        assert step == "hour" or keys[0][0] < keys[1][0]


@given(zone=ZONES, day=st.dates(date(2015, 1, 1), date(2037, 1, 1)))
def test_a_day_starts_with_its_first_second(zone, day):
    """The second before belongs to an earlier day."""
    start = day_start(day, zone)
    assert local(start, zone).date() == day
    assert local(start - SECOND, zone).date() < day


@given(start=INSTANTS, length=st.integers(1, 10**18))
def test_a_total_is_one_period(start, length):
    """Whatever its borders."""
    assert list(spans(start, start + length, "total", PARIS)) == [TimeRange(start, start + length)]
    assert list(spans(start, start, "total", PARIS)) == []
