"""How coarsely figures about pictures are told: services.privacy.steps and services.privacy.counters."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.privacy.counters import Outcomes, Times
from services.privacy.steps import LEAST, STEPS, at_most, published_loss, two_digits, two_digits_up

PARTS = st.integers(0, 10**6).flatmap(lambda whole: st.tuples(st.integers(0, whole), st.just(whole)))


@pytest.mark.parametrize(
    ("part", "whole", "step", "lost"),
    [(0, 0, 0.01, 0), (0, 300, 0.01, 0), (3, 300, 0.01, 0), (4, 300, 0.03, 9), (18, 300, 0.06, 18),
     (19, 300, 0.144, 43), (44, 300, 0.5, 150), (151, 300, 1.0, 300), (300, 300, 1.0, 300)],
)  # fmt: skip
def test_shares_are_told_as_the_step_that_bounds_them(part, whole, step, lost):
    """Up to what the promise allows, nothing is lost; beyond, the whole step."""
    assert (at_most(part, whole), published_loss(part, whole)) == (step, lost)


@given(PARTS)
def test_a_step_is_a_bound(pair):
    """It is one of the steps, never less than the share, and whoever keeps the promise is told as losing nothing."""
    part, whole = pair
    assert at_most(part, whole) in STEPS
    assert part <= at_most(part, whole) * whole + 1e-6
    assert (published_loss(part, whole) == 0) == (at_most(part, whole) == LEAST) or whole < 100
    assert published_loss(part, whole) <= whole


def test_two_digits():
    """Rates are rounded, counts are rounded up."""
    assert [two_digits(rate) for rate in (0.0, 4.967, 29.97, 0.3333, 124.0)] == [0.0, 5.0, 30.0, 0.33, 120.0]
    assert [two_digits_up(count) for count in (0, 9, 99, 101, 298, 1_490, 60_001)] == [
        0,
        9,
        99,
        110,
        300,
        1_500,
        61_000,
    ]


def test_outcomes_are_told_in_steps_and_once():
    """Two of 300 shed are told as done, 60 as half of them; nothing is told twice."""
    outcomes = Outcomes("done")
    for count, outcome in ((298, "done"), (2, "shed")):
        for _ in range(count):
            outcomes.add(outcome)
    assert outcomes.take() == {"shed": 0, "done": 300}
    assert outcomes.take() == {"done": 0}
    for count, outcome in ((240, "done"), (60, "shed")):
        for _ in range(count):
            outcomes.add(outcome)
    assert outcomes.take() == {"shed": 150, "done": 150}


@given(st.dictionaries(st.sampled_from(["done", "shed", "unconfirmed", "error"]), st.integers(0, 150)))
@example({"shed": 34, "unconfirmed": 33, "error": 33})
def test_outcomes_are_told_as_many_as_there_were(counts):
    """The counters rise by the pictures, whatever became of them; steps that fit are told as they are."""
    outcomes = Outcomes("done")
    for outcome, count in counts.items():
        for _ in range(count):
            outcomes.add(outcome)
    found, whole = outcomes.take(), sum(counts.values())
    assert sum(found.values()) == whole
    assert all(count >= 0 for count in found.values())
    steps = {one: published_loss(count, whole) for one, count in counts.items() if one != "done" and count}
    assert {one: found[one] for one in steps} == steps or sum(steps.values()) > whole


def test_times_are_told_by_their_limit_and_once():
    """Only whether they were within it, in steps."""
    times = Times(0.1)
    for seconds in [0.02, 0.1] * 148 + [0.101] * 4:
        times.add(seconds)
    assert times.take() == (291, 9)
    assert times.take() == (0, 0)
