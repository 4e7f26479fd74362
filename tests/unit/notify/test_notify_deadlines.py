"""When what has to be looked at again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify.deadlines import Deadlines, seconds_until

S = 10**9


@pytest.mark.parametrize(
    ("at", "sleep_s"), [(None, 60.0), (100 * S, 0.0), (99 * S, 0.0), (101 * S, 1.0), (159 * S, 59.0), (161 * S, 60.0)]
)
def test_a_timer_sleeps_a_minute_at_most(at: int | None, sleep_s: float):
    """Until the instant, at once if it is over, and never so long that a clock put forward goes unnoticed."""
    assert seconds_until(at, 100 * S) == sleep_s


def test_an_instant_is_only_put_forward():
    """A later one changes nothing; a name that has none gets it."""
    deadlines = Deadlines()
    deadlines.set("a", 5)
    deadlines.hasten("a", 6)
    assert deadlines.first() == 5
    deadlines.hasten("a", 4)
    deadlines.hasten("b", 3)
    assert deadlines.first() == 3
    assert deadlines.take(4) == ["b", "a"]
    assert deadlines.first() is None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.integers(0, 9)), max_size=300), st.integers(0, 9))
def test_the_names_whose_instant_has_come(changes, now: int):
    """Earliest first, each once, by its last instant alone; what is later stays. However often it was replaced."""
    deadlines, known = Deadlines(), {}
    for name, at in changes:
        deadlines.set(name, at)
        known[name] = at
    due = {name: at for name, at in known.items() if at is not None}
    assert deadlines.first() == min(due.values(), default=None)
    taken = deadlines.take(now)
    assert sorted(taken) == sorted(name for name, at in due.items() if at <= now)
    assert [due[name] for name in taken] == sorted(due[name] for name in taken)
    assert deadlines.first() == min((at for at in due.values() if at > now), default=None)


def test_what_was_replaced_is_not_kept_for_ever():
    """One name whose instant changes all the time costs no memory."""
    deadlines = Deadlines()
    for at in range(10_000, 0, -1):
        deadlines.set("a", at)
    assert len(deadlines._heap) < 100
    assert deadlines.take(1) == ["a"]
