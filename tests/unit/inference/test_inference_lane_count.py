"""How many lanes are used, by their work alone: services.inference.core.lane_count."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.inference.core.lane_count import NO_GAIN, SECOND_NS, Width

MS = 1_000_000


def second(width: Width, number: int, *, busy: float, slowed: float = 1.1) -> int:
    """A second in which the lanes are busy for this share of one lane's time; returns how many are used after it."""
    spent = round(busy * SECOND_NS)
    width.done(spent, round(spent / slowed), (number + 1) * SECOND_NS)
    return width.now


def test_one_more_while_they_are_full_and_fewer_when_they_are_not():
    """A second each, one at a time."""
    width = Width(3)
    assert [second(width, n, busy=busy) for n, busy in enumerate([0.6, 0.9, 1.2, 1.6, 1.9, 2.5])] == [1, 2, 2, 3, 3, 3]
    assert [second(width, 6 + n, busy=busy) for n, busy in enumerate([1.2, 0.9, 0.6, 0.4, 0.4])] == [3, 2, 2, 1, 1]


def test_it_does_not_swing():
    """A load that needed one more lane does not let it go, and one that let it go doesn't need it."""
    for percent in range(10, 300):
        width = Width(4)
        seen = [second(width, number, busy=percent / 100) for number in range(30)]
        assert len(set(seen[8:])) == 1, percent


def test_where_the_cores_are_taken_a_lane_is_given_up_and_tried_less_and_less_often():
    """Two lanes slow each other down; alone, the first is as fast as ever and full."""
    width, tries = Width(2), []
    for number in range(3_600):
        before = width.now
        slowed = 1.2 if before == 1 else 2.3
        second(width, number, busy=0.95 if before == 1 else 1.8, slowed=slowed)
        if (before, width.now) == (1, 2):
            tries.append(number)
    distances = [later - earlier for earlier, later in pairwise(tries)]
    assert 29 <= distances[0] <= 33
    assert distances == sorted(distances)
    assert 590 <= distances[-1] <= 610


def test_two_lanes_that_do_more_than_one_are_kept_though_each_is_slower():
    """They wait for each other a little: half as slow again, and a third more is done."""
    width = Width(2)
    assert second(width, 0, busy=0.95, slowed=1.3) == 2
    assert {second(width, number, busy=1.8, slowed=1.3 * (NO_GAIN - 0.1)) for number in range(1, 60)} == {2}
    assert second(width, 60, busy=1.9, slowed=1.3 * (NO_GAIN + 0.1)) == 1


def test_a_pause_is_an_idle_time():
    """The first frame after an hour says nothing of the hour before it."""
    width = Width(2)
    assert second(width, 0, busy=0.9) == 2
    width.done(40 * MS, 36 * MS, 3_600 * SECOND_NS)
    assert width.now == 1


@given(
    st.integers(1, 8),
    st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 5 * 10**9)), max_size=60),
)
def test_there_is_always_one_and_never_more_than_there_are(most, frames):
    """Whatever the clocks say."""
    width, at = Width(most), 0
    for clock_ns, cpu_ns, passed in frames:
        at += passed
        before = width.now
        width.done(clock_ns, cpu_ns, at)
        assert 1 <= width.now <= most
        assert abs(width.now - before) <= 1
