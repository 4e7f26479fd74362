"""Which frames may wait for a lane: services.frames.budget."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.frames.budget import MAX_WAITING, may_wait

MS = 1_000_000
BUDGET = 100 * MS


@pytest.mark.parametrize(
    ("age", "ahead", "lanes", "typical", "slow", "may"),
    [
        (5, 0, 1, 10, 20, True),
        (5, 2, 1, 10, 20, True),  # 5 + 3 * 10 + 20 of the 60 that may be spent
        (5, 3, 1, 10, 20, False),
        (5, 6, 2, 10, 20, False),
        (5, 5, 2, 10, 20, True),  # two lanes: 6 frames are 3 turns
        (31, 0, 1, 10, 20, False),
        (0, MAX_WAITING - 1, 1, 0, 0, True),
        (0, MAX_WAITING, 1, 0, 0, False),
    ],
)
def test_who_may_wait(age, ahead, lanes, typical, slow, may):
    """Its age, the turns before it and its own fit three fifths of the budget; more than eight a lane never wait."""
    assert may_wait(age * MS, BUDGET, ahead=ahead, lanes=lanes, typical_ns=typical * MS, slow_ns=slow * MS) is may


@given(st.integers(0, BUDGET), st.integers(0, 20), st.integers(1, 4), st.integers(0, BUDGET), st.integers(0, BUDGET))
def test_a_longer_queue_lets_nobody_in(age, ahead, lanes, typical, slow):
    """Whoever may wait behind n may wait behind fewer, and would have two fifths of its budget left."""
    if may_wait(age, BUDGET, ahead=ahead + 1, lanes=lanes, typical_ns=typical, slow_ns=slow):
        assert may_wait(age, BUDGET, ahead=ahead, lanes=lanes, typical_ns=typical, slow_ns=slow)
        assert age + slow <= 0.6 * BUDGET
