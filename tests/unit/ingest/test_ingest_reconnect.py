"""Delays between attempts, and what silence means: services.ingest.core.reconnect."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.core.reconnect import HEALTHY_NS, Backoff, Standstill, has_moved, stall_timeout, stuck_after

SECOND = 1_000_000_000
FIRST, LIMIT = SECOND // 2, 30 * SECOND


def test_delays_double_up_to_the_limit():
    """Without jitter taken off: 0.5, 1, 2, 4, 8, 16, 30, 30 s."""
    backoff = Backoff()
    delays = [backoff.failed(i, 1.0) / SECOND for i in range(8)]
    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30]


@given(st.lists(st.floats(-1, 2), min_size=1, max_size=40))
def test_delays_stay_in_bounds(randoms):
    """For any random number the delay is at least half the first one and at most the limit, for ever."""
    backoff = Backoff()
    assert all(FIRST // 2 <= backoff.failed(i, r) <= LIMIT for i, r in enumerate(randoms))


@given(st.integers(0, 20), st.floats(0, 1))
def test_jitter_takes_off_half_at_most(failures, random):
    """Equal jitter: the delay lies between half and the whole of the undisturbed one."""
    a, b = Backoff(), Backoff()
    for i in range(failures):
        a.failed(i, 1.0)
        b.failed(i, 0.0)
    whole = a.failed(failures, 1.0)
    assert whole / 2 <= b.failed(failures, random) <= whole


def test_a_healthy_minute_resets_it():
    """A connection that lived for a minute starts from the shortest delay; one of 59 s goes on where it was."""
    backoff = Backoff()
    for i in range(6):
        backoff.failed(i, 1.0)
    backoff.live(0)
    assert backoff.failed(HEALTHY_NS - 1, 1.0) == LIMIT
    backoff.live(HEALTHY_NS)
    assert backoff.failed(2 * HEALTHY_NS, 1.0) == FIRST


def test_health_counts_from_the_first_picture():
    """Later calls of live for the same connection do not move its start; a failure ends it."""
    backoff = Backoff()
    [backoff.failed(i, 1.0) for i in range(6)]
    backoff.live(0)
    backoff.live(HEALTHY_NS - 1)
    assert backoff.failed(HEALTHY_NS, 1.0) == FIRST
    assert backoff.failed(5 * HEALTHY_NS, 1.0) == 2 * FIRST


@given(st.floats(0.01, 120))
def test_stall_timeout_is_bounded_and_monotonic(rate):
    """1.5 s at least, 8 s at most, longer for slower cameras."""
    assert 1.5 * SECOND <= stall_timeout(rate) <= 8 * SECOND
    assert stall_timeout(rate) >= stall_timeout(rate * 2)


def test_stall_timeout_of_usual_cameras():
    """25 fps stalls after 1.5 s, 2 fps after 3 s (six pictures), an unknown rate after 2 s."""
    assert [stall_timeout(r) / SECOND for r in (25, 2, 0, -1)] == [1.5, 3, 2, 2]


def test_twelve_cameras_do_not_come_back_together():
    """With different random numbers the same failures lead to different moments."""
    delays = [Backoff().failed(0, i / 12) for i in range(12)]
    assert len(set(delays)) == 12
    assert all(b > a for a, b in itertools.pairwise(delays))


def test_a_camera_that_moved_is_tried_at_once_but_once_only():
    """One try without a pause since it was live, which counts as no failure; a name that wanders on is no hurry."""
    backoff = Backoff()
    assert backoff.failed(0, 0.0, moved=True) > 0
    backoff.live(1)
    first, then = (backoff.failed(2, 0.0, moved=True) for _ in range(2))
    assert (first, then) == (0, Backoff(first_ns=SECOND).failed(0, 0.0))


@pytest.mark.parametrize(
    ("before", "now", "moved"),
    [("a", "b", True), ("a", "a", False), ("ab", "bc", False), ("", "b", False), ("a", "", False), ("ab", "cd", True)],
)
def test_a_name_has_moved_when_no_address_is_left(before, now, moved):
    """Several addresses, of which one is left, are the same camera; not knowing is no news."""
    assert has_moved(frozenset(before), frozenset(now)) == moved


def test_a_thread_is_stuck_after_all_its_own_limits():
    """Twice opening and reading, and the grace, in nanoseconds."""
    assert stuck_after(2.0, 3.0, 4.5) == 14_500_000_000


def test_a_standstill_lasts_while_it_is_watched():
    """From the first look on, until there is a sign of life or none is due."""
    still = Standstill()
    looks = [
        (0, 5),
        (SECOND // 5, 5),
        (SECOND, 5),
        (2 * SECOND, 7),
        (3 * SECOND, 7),
        (4 * SECOND, None),
        (5 * SECOND, 7),
    ]
    assert [still.look(now, since) for now, since in looks] == [0, SECOND // 5, SECOND, 0, SECOND, 0, 0]


@given(st.lists(st.integers(0, 3600 * SECOND), min_size=1, max_size=50))
def test_a_process_that_was_frozen_has_stuck_threads_no_sooner(pauses):
    """Each look adds a second at most, however long ago the one before was; and never more than has passed."""
    still, now = Standstill(), 0
    lasted = [still.look(0, 0)]
    for pause in pauses:
        now += pause
        lasted.append(still.look(now, 0))
    steps = [b - a for a, b in itertools.pairwise(lasted)]
    assert steps == [min(pause, SECOND) for pause in pauses]
