"""Which daily report is due when: once, after its day, also where clocks change and after a downtime."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from windows import HOUR, MINUTE

from proto.notifications import NotificationV1
from services.notify.reports.schedule import (
    CATCH_UP,
    ReportPlan,
    day_of_report,
    due,
    next_due,
    notification_again,
    notification_of,
)
from services.statistics.calendar import day_start, instant, local

ZONES = [ZoneInfo(n) for n in ("Europe/Paris", "America/St_Johns", "Australia/Lord_Howe", "Africa/Cairo", "UTC")]
CHANGES = [date(2026, 3, 28), date(2026, 10, 24), date(2026, 4, 23), date(2026, 11, 24)]


def at(text, zone="Europe/Paris"):
    """The instant of a local time."""
    return instant(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


def plan(site="forville", receiver="staff", zone="Europe/Paris", hour="07:00", lateness=0):
    return ReportPlan(site, receiver, ZoneInfo(zone), time.fromisoformat(hour), lateness)


@examples(50)
@given(
    zone=st.sampled_from(ZONES),
    first=st.sampled_from(CHANGES),
    clock=st.times(max_value=time(23, 59)).map(lambda t: t.replace(second=0, microsecond=0)),
    steps=st.lists(st.integers(1, 23 * 60), min_size=20, max_size=60),
    crashes=st.sets(st.integers(0, 59)),
)
def test_every_day_is_reported_once(zone, first, clock, steps, crashes):
    """However often one looks, and if a decision is lost: each day once, in order, after its end."""
    schedule = [ReportPlan("forville", "staff", zone, clock)]
    now, done, told = day_start(first, zone) + HOUR, set(), []
    for number, step in enumerate(steps):
        expected = next_due(now, schedule)
        assert expected is not None
        assert now < expected <= now + 26 * HOUR
        now += step * MINUTE
        for key in due(now, schedule, done):
            assert local(key.due, zone).date() == key.day + timedelta(days=1)
            assert key.due >= day_start(key.day + timedelta(days=1), zone)
            if number in crashes:  # decided, and lost before it was stored: decided again, under the same name
                assert key in due(now, schedule, done)
            done.add(key.id)
            told.append(key.day)
        assert due(now, schedule, done) == []
    begun = told[0] if told else first
    assert told == [begun + timedelta(days=n) for n in range(len(told))]
    last = local(now - CATCH_UP, zone).date() - timedelta(days=1)
    assert not told or told[-1] >= last


@pytest.mark.parametrize(
    ("zone", "hour", "day", "expected"),
    [
        ("Europe/Paris", "07:00", date(2026, 11, 24), datetime(2026, 11, 25, 6, 0, tzinfo=UTC)),
        ("Europe/Paris", "07:00", date(2026, 3, 28), datetime(2026, 3, 29, 5, 0, tzinfo=UTC)),
        ("Europe/Paris", "02:30", date(2026, 3, 28), datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),  # 02:30 was skipped
        ("Europe/Paris", "02:30", date(2026, 10, 24), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),  # the first of two
        ("Europe/Paris", "00:00", date(2026, 11, 24), datetime(2026, 11, 24, 23, 1, tzinfo=UTC)),  # all must be out
        ("Africa/Cairo", "00:00", date(2026, 4, 23), datetime(2026, 4, 23, 22, 1, tzinfo=UTC)),  # midnight was skipped
    ],
)
def test_the_hour_is_that_of_the_site(zone, hour, day, expected):
    """By the clock on its wall, both changes of the clocks included."""
    schedule = [plan(zone=zone, hour=hour)]
    moment = instant(expected)
    assert next_due(moment - 1, schedule) == moment
    assert [key.day for key in due(moment, schedule, ())][-1] == day
    assert day not in [key.day for key in due(moment - 1, schedule, ())]


def test_a_downtime_costs_reports_older_than_a_day():
    """After three days only the last report is sent; one that is 24 hours late is not worth a mail any more."""
    schedule = [plan(lateness=5 * 10**9)]
    assert [key.day for key in due(at("2026-11-25T06:59"), schedule, ())] == [date(2026, 11, 23)]
    assert [key.day for key in due(at("2026-11-28T12:00"), schedule, ())] == [date(2026, 11, 27)]
    short = due(at("2026-03-29T07:30"), schedule, ())  # the day of 23 hours: the one before was due less than 24 h ago
    assert [key.day for key in short] == [date(2026, 3, 27), date(2026, 3, 28)]
    assert due(at("2026-03-29T07:30"), [], ()) == []
    assert next_due(0, []) is None


def test_names_follow_from_site_receiver_and_day():
    """Two plans of one site and receiver make one report; another hour doesn't make another one."""
    schedule = [plan(), plan(), plan(receiver="boss"), plan(site="gare"), plan(zone="UTC", site="port", hour="05:00")]
    found = due(at("2026-11-25T12:00"), schedule, ())
    assert [(key.site, key.receiver) for key in found] == [
        ("port", "staff"), ("forville", "boss"), ("forville", "staff"), ("gare", "staff"),
    ]  # fmt: skip
    assert len({key.id for key in found}) == len({key.group.key for key in found}) == 4
    (earlier,) = due(at("2026-11-25T12:00"), [plan(hour="06:00")], ())
    (same,) = [key for key in found if (key.site, key.receiver) == ("forville", "staff")]
    assert (earlier.id, earlier.group) == (same.id, same.group)
    assert due(at("2026-11-25T12:00"), [plan(hour="06:00")], {same.id}) == []
    (tomorrow,) = due(at("2026-11-26T12:00"), [plan()], ())
    assert (tomorrow.group, tomorrow.id == same.id) == (same.group, False)


def test_a_decision_is_the_same_again():
    """Its name tells which day it is about, also when it was decided late; of another's, nothing."""
    schedule = [plan(), plan(receiver="boss", hour="23:30")]
    for key in due(at("2026-11-25T23:59"), schedule, ()):
        decided = notification_of(key, at("2026-11-25T23:59"))
        assert (decided.id, decided.root, decided.reason, decided.number) == (key.id, key.id, "report", 1)
        assert (decided.notices, decided.group.site, decided.group.receiver) == ((), "forville", key.receiver)
        assert day_of_report(decided, ZoneInfo("Europe/Paris")) == key.day
        stored = NotificationV1(
            site="forville", receiver=key.receiver, notification=key.id, group=key.group.key, number=1, root=key.id,
            reason="report", at=decided.at,
        )  # fmt: skip
        assert notification_again(stored) == decided
        assert day_of_report(replace(decided, at=at("2026-11-26T22:00")), ZoneInfo("Europe/Paris")) == key.day
        with pytest.raises(LookupError):
            day_of_report(replace(decided, id="0" * 16), ZoneInfo("Europe/Paris"))


def test_a_report_is_of_its_day_though_the_sites_zone_has_changed():
    """Decided on the morning after by the clock of Kiritimati, read by that of Honolulu, where it is a day earlier."""
    [key] = due(at("2026-11-25T08:00", "Pacific/Kiritimati"), [plan(zone="Pacific/Kiritimati")], ())
    decided = notification_of(key, at("2026-11-25T08:00", "Pacific/Kiritimati"))
    assert key.day == day_of_report(decided, ZoneInfo("Pacific/Honolulu")) == date(2026, 11, 24)


def test_a_day_that_the_calendar_skipped():
    """Samoa went from 29 to 31 December 2011: nothing is said about the 30th."""
    found = due(at("2011-12-31T12:00", "Pacific/Apia"), [plan(zone="Pacific/Apia")], ())
    assert [key.day for key in found] == [date(2011, 12, 29)]
