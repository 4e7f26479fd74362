"""When a mail is tried again, and when it is given up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify.deadlines import (
    FIRST_S,
    JITTER,
    LONGEST_S,
    SLOW_FIRST_S,
    SLOW_LONGEST_S,
    delay_s,
    given_up,
)

alerts = st.from_regex(r"[0-9a-f]{16}", fullmatch=True)


@given(alert=alerts, attempt=st.integers(1, 10_000), slow=st.booleans())
def test_a_delay_stays_within_its_bounds(alert: str, attempt: int, slow: bool):
    """However often it failed, the wait is neither nothing nor longer than the cap and its jitter."""
    first, longest = (SLOW_FIRST_S, SLOW_LONGEST_S) if slow else (FIRST_S, LONGEST_S)
    assert first * (1 - JITTER) <= delay_s(alert, attempt, slow=slow) <= longest * (1 + JITTER)


@given(alert=alerts, attempt=st.integers(1, 50))
def test_a_delay_is_the_same_on_every_run(alert: str, attempt: int):
    """The jitter is a hash: a restarted process waits as long as the one before."""
    assert delay_s(alert, attempt) == delay_s(alert, attempt)


def test_delays_grow_until_the_cap():
    """Beyond the jitter each wait is longer than the last, up to the cap."""
    waits = [delay_s("0123456789abcdef", attempt) for attempt in range(1, 5)]
    assert waits == sorted(waits)
    assert waits[0] < 20
    assert waits[-1] > 90


@pytest.mark.parametrize(("slow", "longest_s"), [(False, 5 * 60), (True, 15 * 60)])
def test_the_longest_wait_is_some_minutes(slow: bool, longest_s: int):
    """Five, or fifteen where a person must act, and a fifth of that more or less."""
    waits = [delay_s(f"{n:016x}", 50, slow=slow) for n in range(500)]
    assert 0.80 * longest_s <= min(waits) < 0.81 * longest_s
    assert 1.19 * longest_s < max(waits) <= 1.20 * longest_s


def test_alerts_that_failed_together_come_back_apart():
    """Sixteen alerts of one outage get sixteen different waits."""
    assert len({delay_s(f"{n:016x}", 1) for n in range(16)}) == 16


def test_what_only_a_person_mends_is_tried_slowly():
    """A wrong password is tried at most a few times in the window in which servers count wrong passwords."""
    assert sum(delay_s("0123456789abcdef", attempt, slow=True) for attempt in (1, 2, 3)) > 15 * 60


@pytest.mark.parametrize(("age_s", "gone"), [(0, False), (3_599, False), (3_601, True)])
def test_an_alert_is_given_up_by_its_age(age_s: int, gone: bool):
    """Age counts from when the alert was stored."""
    assert given_up(10**18, 10**18 + age_s * 10**9, 3_600.0) is gone
