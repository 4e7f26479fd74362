"""Event time: services.ingest.core.timeline."""

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.ingest.core.timeline import LONGEST_GAP_NS, TOLERANCE_NS, Timeline

MS = 1_000_000
SECOND = 1_000_000_000
UTC = 1_780_000_000 * SECOND
PERIOD = 40 * MS


def test_first_picture_has_the_utc_of_its_arrival():
    """A connection is anchored at the UTC of its first picture, whatever its pts says."""
    assert Timeline().at(987_654 * SECOND, UTC, 55 * SECOND) == UTC


def test_event_time_follows_pts_when_the_clock_agrees():
    """Network jitter of the arrival does not reach event time: it advances by pts differences."""
    timeline = Timeline()
    jitter = [0, 13, -9, 20, 4, -17, 11, 0]
    events = [timeline.at(i * PERIOD, UTC, SECOND + i * PERIOD + j * MS) for i, j in enumerate(jitter)]
    steps = [b - a for a, b in itertools.pairwise(events)]
    assert all(abs(step - PERIOD) < MS for step in steps), steps


def test_wall_clock_is_read_once_per_connection():
    """A wall clock stepped by an hour in mid-stream changes nothing; the next connection has it."""
    timeline = Timeline()
    timeline.at(0, UTC, 0)
    assert timeline.at(PERIOD, UTC + 3600 * SECOND, PERIOD) == UTC + PERIOD
    timeline.connected()
    assert timeline.at(0, UTC + 3600 * SECOND, 2 * PERIOD) == UTC + 3600 * SECOND


def test_reconnection_never_goes_back():
    """When the wall clock was set back, the new connection goes on right after the last picture and at normal speed."""
    timeline = Timeline()
    timeline.at(0, UTC, 0)
    timeline.connected()
    first = timeline.at(0, UTC - 10 * SECOND, SECOND)
    assert first == UTC + 1
    assert timeline.at(PERIOD, UTC - 9 * SECOND, SECOND + PERIOD) == first + PERIOD


@pytest.mark.parametrize(
    ("pts", "why"),
    [
        (None, "no pts"),
        (-5 * SECOND, "backwards"),
        (3600 * SECOND, "an hour ahead"),
        (-(2**33) * SECOND // 90_000, "33 bits wrapped"),
    ],
)
def test_unusable_pts_falls_back_to_the_monotonic_clock(pts, why):
    """A pts that is missing, goes backwards, jumps or wraps is replaced by the monotonic difference."""
    timeline = Timeline()
    timeline.at(10 * SECOND, UTC, 0)
    timeline.at(10 * SECOND + PERIOD, UTC, PERIOD)
    event = timeline.at(None if pts is None else 10 * SECOND + pts, UTC, 2 * PERIOD)
    assert event == UTC + 2 * PERIOD, why


def test_goes_on_by_pts_after_a_jump():
    """After one damaged stamp the next difference counts again."""
    timeline = Timeline()
    timeline.at(0, UTC, 0)
    timeline.at(3600 * SECOND, UTC, PERIOD)
    event = timeline.at(3600 * SECOND + PERIOD, UTC, 2 * PERIOD + 15 * MS)
    assert abs(event - (UTC + 2 * PERIOD)) < MS


def test_follows_a_drifting_camera():
    """A camera clock 1000 ppm fast is followed for a day: no jump, and never further off than the tolerance."""
    timeline = Timeline()
    last = timeline.at(0, UTC, 0)
    for i in range(1, 20_000):
        real = i * 432 * MS
        event = timeline.at(real + real // 1000, UTC, real)
        assert 0 < event - last < 600 * MS
        last = event
    assert abs(last - UTC - 19_999 * 432 * MS) < 100 * MS


clock_steps = st.integers(0, 3 * SECOND)
stamps = st.one_of(st.none(), st.integers(-(2**62), 2**62), st.integers(0, 10 * SECOND))


@given(st.lists(st.tuples(stamps, clock_steps, st.booleans()), max_size=60))
@example([(0, 0, False), (2**62, 0, False), (0, 0, True), (None, SECOND, False)])
def test_paced_event_time_is_monotonic_and_near_the_clock(pictures):
    """Whatever the pts do: event time never goes backwards, and stays within the tolerance of the clock."""
    timeline = Timeline()
    now, offset, last = 0, None, -1
    for pts, step, reconnect in pictures:
        now += step
        if reconnect or offset is None:
            timeline.connected()
        event = timeline.at(pts, UTC + now, now)
        if reconnect or offset is None:
            offset = event - now
        assert event >= last
        assert abs(event - now - offset) <= TOLERANCE_NS
        last = event


@given(st.lists(st.one_of(st.none(), st.integers(-(2**40), 2**40)), min_size=1, max_size=60), st.integers(1, SECOND))
def test_unpaced_event_time_strictly_grows(pts, period):
    """Without pacing every picture moves time forward, whatever its pts, and the clock has no say."""
    a, b = Timeline(paced=False, period_ns=period), Timeline(paced=False, period_ns=period)
    events = [a.at(stamp, UTC, 0) for stamp in pts]
    assert all(x < y <= x + LONGEST_GAP_NS for x, y in itertools.pairwise(events))
    assert events == [b.at(stamp, UTC, 7 * i * SECOND) for i, stamp in enumerate(pts)]


def test_unpaced_looped_file_goes_on_with_the_last_step():
    """When a file begins again its pts goes back; time goes on by the last step."""
    timeline = Timeline(paced=False)
    assert [timeline.at(p * MS, UTC, 0) - UTC for p in (0, 100, 200, 0, 100)] == [
        m * MS for m in (0, 100, 200, 300, 400)
    ]


def test_unpaced_takes_a_long_gap_and_refuses_an_absurd_one():
    """A recorder's gap of half a minute is real; a step of an hour is a damaged stamp."""
    timeline = Timeline(paced=False, period_ns=PERIOD)
    timeline.at(0, UTC, 0)
    assert timeline.at(30 * SECOND, UTC, 0) == UTC + 30 * SECOND
    timeline = Timeline(paced=False, period_ns=PERIOD)
    timeline.at(0, UTC, 0)
    assert timeline.at(3600 * SECOND, UTC, 0) == UTC + PERIOD
