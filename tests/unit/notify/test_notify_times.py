"""Office hours by the clock on the wall, held against looking at every minute."""

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.notify.routing.plan import Hours, Schedule

SECOND = 10**9
ZONES = [ZoneInfo(name) for name in ("Europe/Paris", "Australia/Lord_Howe", "America/St_Johns", "Asia/Kathmandu")]
XMAS = (date(2026, 12, 24), date(2026, 12, 24))
UTC_ZONE = ZoneInfo("UTC")
clocks = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 45]))
hours = st.builds(
    Hours, clocks, clocks, st.frozensets(st.integers(0, 6), min_size=1), zone=st.none() | st.sampled_from(ZONES)
)
# The days on which clocks change in these zones in 2026 are among those that follow.
mornings = st.sampled_from(
    ["2026-03-28", "2026-10-24", "2026-04-04", "2026-10-03", "2026-03-07", "2026-10-31", "2026-06-01"]
)


def ns(text: str) -> int:
    """Return an instant, given as in ISO 8601 with an offset."""
    return round(datetime.fromisoformat(text).timestamp()) * SECOND


@given(st.lists(hours, max_size=2), st.lists(hours, max_size=2), mornings, st.sampled_from(ZONES))
@example([Hours(time(2, 30), time(4))], [], "2026-03-28", ZONES[0])
@example([Hours(time(2, 15), time(2, 45))], [], "2026-10-24", ZONES[0])
@example([], [Hours(time(1, 30), time(2, 15))], "2026-04-04", ZONES[1])
def test_the_end_of_a_mute_is_the_first_quarter_without_it(active, mute, morning: str, here: ZoneInfo):
    """For three days of quarters of an hour: `muted_until` says what looking at each of them says."""
    schedule, begin = Schedule(tuple(active), tuple(mute)), ns(f"{morning}T00:00+00:00")
    quarters = [begin + place * 900 * SECOND for place in range(3 * 96)]
    free = [not schedule.mutes(at, here) for at in quarters]
    for place in range(0, len(quarters), 29):
        wanted = next((at for at, is_free in zip(quarters[place:], free[place:], strict=True) if is_free), None)
        found = schedule.muted_until(quarters[place], here)
        assert found == wanted or (wanted is None and found > quarters[-1])


@pytest.mark.parametrize(
    ("hours", "inside", "outside"),
    [
        (Hours(time(8), time(18), frozenset(range(5))), "2026-11-24T08:00+01:00", "2026-11-24T18:00+01:00"),
        (Hours(time(8), time(18), frozenset(range(5))), "2026-11-27T17:59+01:00", "2026-11-28T09:00+01:00"),
        (Hours(time(22), time(6), frozenset({4})), "2026-11-28T05:59+01:00", "2026-11-27T05:59+01:00"),
        (Hours(weekdays=frozenset({6})), "2026-11-29T00:00+01:00", "2026-11-30T00:00+01:00"),
        (
            Hours(time(22), time(6), dates=((date(2026, 12, 24),) * 2,)),
            "2026-12-25T03:00+01:00",
            "2026-12-25T23:00+01:00",
        ),
        (Hours(time(8), time(18), zone=UTC_ZONE), "2026-11-24T18:30+01:00", "2026-11-24T08:30+01:00"),
    ],
)
def test_hours_lie_where_the_clock_says(hours: Hours, inside: str, outside: str):
    """Weekdays, nights that begin on a day, whole days, dates, another zone than the site's."""
    assert hours.cover(ns(inside), ZONES[0])
    assert not hours.cover(ns(outside), ZONES[0])


def test_what_is_far_ahead_is_looked_for_again_in_a_week():
    """A day a year ahead, one that is over, and a route that its mute times leave no moment: all are cheap."""
    new_year = Hours(dates=((date(2027, 11, 1), date(2027, 11, 2)),), zone=UTC_ZONE)
    now, week = ns("2026-11-24T10:00+00:00"), 7 * 86_400 * SECOND
    assert Schedule((new_year,)).muted_until(now, ZONES[0]) == now + week
    assert Schedule((new_year,)).muted_until(ns("2027-10-26T00:00+00:00"), ZONES[0]) == ns("2027-11-01T00:00+00:00")
    assert Schedule((), (new_year,)).muted_until(now, ZONES[0]) == now
    assert Schedule((Hours(time(8), time(9)),), (Hours(),)).muted_until(now, ZONES[0]) == now + week
