"""The time to which a stored message brings a site: services.aggregate.core.site_clock."""

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from proto.sightings import TickV1
from services.aggregate.core.config import FAIR, SECOND
from services.aggregate.core.site_clock import SiteClock, time_by

MOMENTS = st.integers(1, 10**6).map(lambda one: one * SECOND // 10)


def tick(sent):
    return TickV1(site="market", sent=sent)


@given(MOMENTS, MOMENTS, MOMENTS)
@examples(300)
def test_time_passes_only_as_far_as_both_clocks_agree(sent, stored, now):
    """Never beyond the server's, nor beyond the sender's by more than is fair; and it is the server's if both agree."""
    time = time_by(tick(sent), stored, now)
    assert time <= stored
    assert time <= max(now, sent + FAIR)
    assert time == stored or stored > max(now, sent + FAIR)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 10**5)), min_size=1), st.integers(0, 10**5))
@examples(300)
def test_a_servers_clock_that_is_ahead_for_a_while_is_no_later_time(steps, late_s):
    """Whatever it shows: at each message the site's time is that of the sender or before it, but for what is fair."""
    now = sent = SECOND * (1 + late_s)
    for passed, ahead in steps:
        sent += passed * SECOND
        now = max(now, time_by(tick(sent), sent + ahead * SECOND, now))
        assert sent <= now <= sent + FAIR


def test_each_message_that_says_when_it_was_sent_has_a_second_opinion(make):
    """Pictures and ticks; the others have the time of the message before them."""
    ahead, sent = make.hour + 3_600 * SECOND, make.hour + 10 * SECOND
    stream = make.stream().seen(10).tick(10).event(10, "paused").told(10)
    times = [time_by(one.message, ahead, make.hour) for one in stream.messages]
    assert times == [sent + FAIR, sent + FAIR, make.hour, make.hour]


@pytest.mark.parametrize("now", [5 * SECOND, 20 * SECOND])
def test_without_a_second_opinion_no_time_passes(now):
    """A tick of an earlier version; the first message of all has the server's time, since there is no other yet."""
    assert time_by(tick(None), 10 * SECOND, now) == min(10 * SECOND, now)
    assert time_by(tick(None), 10 * SECOND, 0) == 10 * SECOND


@given(st.lists(st.integers(1, 10**6), min_size=1), st.lists(st.integers(1, 10**6), min_size=1))
def test_a_site_s_time_never_goes_back(before, after):
    """It begins with the first message, and is resumed with the first one after a reset."""
    clock = SiteClock()
    for time in before:
        clock.advance(time)
    clock.resumed = 0
    for time in after:
        clock.advance(time)
    assert (clock.now, clock.begun, clock.resumed) == (max(before + after), before[0], max([*before, after[0]]))


def test_half_a_second_is_fair():
    """A sender's clock that is behind by more holds its site's time back."""
    assert time_by(tick(10 * SECOND), 12 * SECOND, 9 * SECOND) == 10_500_000_000
    assert time_by(tick(10 * SECOND), 10_400_000_000, 9 * SECOND) == 10_400_000_000
