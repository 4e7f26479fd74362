"""The day's budget of SMS, and what records say of it."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from messages import delivery

from proto.public import DeliveryV1
from services.notify.channels.sms.budget import Budget, spent

TODAY, TOMORROW = date(2026, 11, 24), date(2026, 11, 25)


def record(**changes: object) -> DeliveryV1:
    return delivery(**{"channel": "sms", "at": 100} | changes)


@given(st.integers(1, 50), st.lists(st.integers(1, 4), max_size=80))
def test_a_day_never_costs_more_than_its_cap(limit: int, wanted: list[int]):
    """Whatever is asked for; what doesn't fit is refused, and something smaller may still fit."""
    budget = Budget(limit)
    paid = sum(size for size in wanted if budget.take("forville", TODAY, size))
    assert paid <= limit
    assert budget.take("forville", TODAY, 1) is (paid < limit)


def test_each_site_and_each_day_has_its_own():
    """A storm at one site silences no other, and the next day begins anew."""
    budget = Budget(2)
    assert budget.take("forville", TODAY, 2)
    assert not budget.take("forville", TODAY, 1)
    assert budget.take("station", TODAY, 2)
    assert budget.take("forville", TOMORROW, 2)


def test_what_yesterday_gives_back_is_not_today_s():
    """An attempt that began before midnight and failed after it leaves what the new day has spent."""
    budget = Budget(2)
    assert budget.take("forville", TODAY, 2)
    assert budget.take("forville", TOMORROW, 2)
    budget.give_back("forville", TODAY, 2)
    assert not budget.take("forville", TOMORROW, 1)


def test_without_a_cap_all_is_granted():
    """`max_per_day: null`."""
    assert Budget(None).take("forville", TODAY, 10**6)


def test_what_was_not_accepted_is_given_back():
    """A gateway that is down all day costs nothing."""
    budget = Budget(2)
    for _ in range(5):
        assert budget.take("forville", TODAY, 2)
        budget.give_back("forville", TODAY, 2)


def test_the_first_refusal_of_a_day_is_told_once():
    """One error a day, not one an SMS."""
    budget = Budget(1)
    assert [budget.refused_before("forville", day) for day in (TODAY, TODAY, TOMORROW)] == [False, True, False]


def test_a_day_goes_on_after_a_restart():
    """With what records say was spent."""
    budget = Budget(3)
    budget.recount("forville", TODAY, 2)
    assert not budget.take("forville", TODAY, 2)
    assert budget.take("forville", TODAY, 1)


@pytest.mark.parametrize(
    ("records", "cost"),
    [
        ([], 0),
        ([record()], 2),
        ([record(), record(alert="b" * 16)], 2),  # one SMS about two alerts
        ([record(), record(outcome="delivered", at=200)], 2),
        ([record(), record(recipient_sha256="e" * 64), record(notification="2" * 16)], 6),
        ([record(at=49)], 0),
        ([record(channel="email")], 0),
        ([record(outcome="retrying", reason="timeout"), record(attempt=2)], 4),
        ([record(outcome="retrying", reason="connect"), record(outcome="failed", reason="cost-cap")], 0),
    ],
)
def test_records_say_what_was_spent_at_most(records: list[DeliveryV1], cost: int):
    """Two segments for every SMS that was, or may have been, accepted since the day began."""
    assert spent(records, 50, 2) == cost
