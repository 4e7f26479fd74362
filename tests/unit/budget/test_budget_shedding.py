"""Dropping unread what could not make 100 ms: services.frames.budget."""

from hypothesis import given
from hypothesis import strategies as st

from services.frames.budget import BUDGET_NS, Shedder

MS = 1_000_000
ages = st.integers(0, 2 * BUDGET_NS)
times = st.lists(st.integers(-5 * MS, 10_000 * MS), max_size=120)


def fed(values):
    shedder = Shedder()
    for value in values:
        shedder.add(value)
    return shedder


def test_sends_while_nothing_is_known():
    """A fresh picture is sent when no time was measured yet: otherwise nothing ever would be."""
    assert Shedder().may_send(0)
    assert not Shedder().may_send(BUDGET_NS)


def test_judges_by_the_95th_percentile():
    """Of 40 times the two slowest are ignored and the third decides (nearest rank, 38 of 40)."""
    assert fed([30 * MS] * 38 + [150 * MS] * 2).estimate_ns == 30 * MS
    shedder = fed([30 * MS] * 37 + [90 * MS] * 3)
    assert shedder.estimate_ns == 90 * MS
    assert shedder.may_send(10 * MS)
    assert not shedder.may_send(11 * MS)


def test_what_is_typical_is_the_median():
    """Few slow ones do not change how long a frame before another one is expected to take."""
    assert (Shedder().typical_ns, fed([30 * MS] * 3 + [150 * MS] * 2).typical_ns) == (0, 30 * MS)


def test_only_the_last_40_count():
    """Old times are forgotten as new ones come."""
    assert fed([190 * MS] * 100 + [20 * MS] * 40).estimate_ns == 20 * MS


@given(times, ages)
def test_what_is_sent_is_expected_to_make_the_budget(values, age):
    """may_send is exactly: age + estimate within the budget, and the age below it."""
    shedder = fed(values)
    estimate = shedder.estimate_ns
    assert shedder.may_send(age) == (age < BUDGET_NS and age + estimate <= BUDGET_NS)


@given(times)
def test_never_sheds_for_ever(values):
    """Whatever was measured, a fresh picture is tried again after 24 refusals."""
    shedder = fed(values)
    assert any(shedder.may_send(2 * MS) for _ in range(25))


@given(times, st.integers(1, 100))
def test_a_slow_camera_is_tried_as_soon(values, tenths):
    """Whatever was measured, a fresh picture is tried again after 5 s and one picture, also with few pictures."""
    period_s = tenths / 10
    shedder = Shedder(period_ns=round(period_s * 1_000 * MS))
    for value in values:
        shedder.add(value)
    refused = 0
    while not shedder.may_send(2 * MS):
        refused += 1
    assert refused <= 24
    assert refused * period_s <= max(24 * 0.2, period_s) + period_s


@given(times, st.integers(0, BUDGET_NS - MS))
def test_every_picture_younger_than_the_budget_gets_its_turn(values, age):
    """Also for an older picture the estimate decays until it is tried."""
    shedder = fed(values)
    assert any(shedder.may_send(age) for _ in range(200))


@given(times)
def test_hopeless_pictures_do_not_wear_the_estimate_down(values):
    """A picture that is too old by itself says nothing about the service: refusing it changes nothing."""
    shedder = fed(values)
    before = shedder.estimate_ns
    assert not any(shedder.may_send(BUDGET_NS + i) for i in range(50))
    assert shedder.estimate_ns == before


def test_a_slow_start_is_over_after_one_good_answer():
    """One cold answer of a second, then fast ones: after the first retry every picture is sent."""
    shedder = fed([1000 * MS])
    refusals = 0
    while not shedder.may_send(2 * MS):
        refusals += 1
    shedder.add(30 * MS)
    assert refusals <= 24
    sent = 0
    for _ in range(40):
        if shedder.may_send(2 * MS):
            sent += 1
            shedder.add(30 * MS)
    assert sent == 40


def test_under_lasting_overload_most_is_shed():
    """A worker that always needs 150 ms is tried now and then, not with every picture."""
    shedder = Shedder()
    sent = 0
    for _ in range(1000):
        if shedder.may_send(2 * MS):
            sent += 1
            shedder.add(150 * MS)
    assert 20 < sent < 160


@given(times)
def test_estimate_is_bounded(values):
    """The estimate lies in 0..2 budgets for any input, negative and absurd times included."""
    assert 0 <= fed(values).estimate_ns <= 2 * BUDGET_NS


@given(times, st.integers(MS, 10_000 * MS))
def test_another_budget(values, budget):
    """A recorded file has a longer budget: it is judged by that, and remembers times up to twice it."""
    shedder = Shedder(budget)
    for value in values:
        shedder.add(value)
    assert shedder.budget_ns == budget
    assert shedder.estimate_ns <= 2 * budget
    assert not shedder.may_send(budget)
    fits = shedder.estimate_ns <= budget  # read first: a refusal shortens the remembered times
    assert shedder.may_send(0) == fits


def test_each_refusal_shortens_what_is_remembered():
    """By 3 %, the remembered times with it: a new measurement does not bring the old ones back."""
    shedder = fed([190 * MS] * 40)
    assert not shedder.may_send(2 * MS)
    assert shedder.estimate_ns == round(190 * MS * 0.97)
    shedder.add(10 * MS)
    assert shedder.estimate_ns == round(190 * MS * 0.97)
