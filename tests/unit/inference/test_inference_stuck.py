"""When a lane is stuck: services.inference.core.stuck."""

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from services.inference.core.stuck import LEAST_NS, SECOND_NS, StuckWatch, limit_ns

HALF = SECOND_NS // 2
LIMIT = 5 * SECOND_NS


def looks(watch, runs, *, step=HALF, start=0):
    """What each look says, `step` apart, at one lane with these runs."""
    return [watch.look(start + number * step, [run], LIMIT) for number, run in enumerate(runs)]


@pytest.mark.parametrize(("warm_ms", "limit_s"), [(0, 5), (7, 5), (50, 5), (80, 8), (500, 50)])
def test_the_limit_is_far_above_any_honest_run(warm_ms, limit_s):
    """Five seconds, and more where even a warm run on a grey picture is slow."""
    assert limit_ns(warm_ms * 1_000_000) == limit_s * SECOND_NS >= LEAST_NS


def test_a_run_that_does_not_end_is_stuck_at_the_limit():
    """From the look that first sees it: not one sooner, and at every later one."""
    assert looks(StuckWatch(1), [1] * 12) == [None] * 10 + [0, 0]


def test_a_lane_that_goes_on_is_not_stuck():
    """However long it has been busy without a break: each run is another one, and idle time is nobody's."""
    assert set(looks(StuckWatch(1), range(100))) == {None}
    assert set(looks(StuckWatch(1), [None] * 100)) == {None}
    assert set(looks(StuckWatch(1), ([1] * 9 + [None]) * 10)) == {None}


def test_the_stuck_one_of_several_is_found():
    """The others work on beside it."""
    watch = StuckWatch(3)
    found = [watch.look(number * HALF, [number, None, 7], LIMIT) for number in range(11)]
    assert found == [None] * 10 + [2]


def test_a_frozen_process_has_no_stuck_lane():
    """An hour without a look counts as a second: the thread slept, too."""
    watch = StuckWatch(1)
    assert looks(watch, [1, 1]) == [None, None]
    assert looks(watch, [1] * 7, start=3_600 * SECOND_NS) == [None] * 7
    assert watch.look(3_604 * SECOND_NS, [1], LIMIT) == 0


@given(
    st.lists(st.tuples(st.integers(0, 10 * SECOND_NS), st.sampled_from([None, 1, 2])), max_size=60),
)
@examples(100)
def test_only_a_run_seen_for_the_whole_limit_is_stuck(steps):
    """Whatever happens between looks: a stuck run was seen at six or more of them in a row, the limit or longer."""
    watch, now, last, seen = StuckWatch(1), 0, None, []
    for step, run in steps:
        now += step
        seen = [*seen, now] if run is not None and run == last else [now]
        last = run
        if watch.look(now, [run], LIMIT) is not None:
            assert run is not None
            assert len(seen) > LIMIT // SECOND_NS
            assert seen[-1] - seen[0] >= LIMIT
