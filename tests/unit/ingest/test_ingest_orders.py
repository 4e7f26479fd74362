"""Operators' orders: services.ingest.core.orders."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.control import PauseRequestV1
from services.ingest.core.orders import Given, Orders, Recorded, SiteOrders, holds, joined, with_mark

SITES, CAMERAS = ["cannes", "lyon"], [None, "gate", "hall"]
orders = st.builds(
    PauseRequestV1,
    site=st.sampled_from(SITES),
    camera=st.sampled_from(CAMERAS),
    action=st.sampled_from(["pause", "resume"]),
    operator=st.just("ana"),
)
days = st.lists(orders, max_size=12)


def given_in_turn(some, start=None):
    """What is in force after these orders."""
    result = start or Orders()
    for order in some:
        result = result.after(order)
    return result


def order(action, camera=None, site="cannes"):
    return PauseRequestV1(site=site, action=action, camera=camera, operator="ana", why="asked to")


@pytest.mark.parametrize(
    ("some", "held"),
    [
        ([], set()),
        ([order("pause")], {"gate", "hall"}),
        ([order("pause", "gate")], {"gate"}),
        ([order("pause"), order("resume")], set()),
        ([order("pause", "gate"), order("pause"), order("resume")], {"gate"}),
        ([order("pause"), order("resume", "gate")], {"gate", "hall"}),
        ([order("pause", site="lyon")], set()),
    ],
)
def test_what_is_held(some, held):
    """A camera is held by an order for it or for its site, until each was taken back."""
    now = given_in_turn(some)
    assert {name for name in ("gate", "hall") if now.hold("cannes", name)} == held


@given(days, orders)
def test_twice_is_once(some, last):
    """The same order again changes nothing."""
    once = given_in_turn([*some, last])
    assert once.after(last) == once


@given(days, st.sampled_from(SITES), st.sampled_from(CAMERAS))
def test_only_the_last_order_for_a_thing_counts(some, site, camera):
    """Whether a site, or a camera for itself, is paused is what the last order for it said."""
    own = [one.action for one in some if (one.site, one.camera) == (site, camera)]
    now = given_in_turn(some)
    paused = site in now.sites if camera is None else (site, camera) in now.cameras
    assert paused == (own[-1:] == ["pause"])


@given(days, days, st.sampled_from(SITES))
def test_a_restart_restores_what_was_recorded(before, other, site):
    """The last record of a site brings its orders back, whatever else was in force, and nothing of the other sites'."""
    now = given_in_turn(before)
    last = order("pause", "gate", site)
    now = now.after(last)
    found = given_in_turn(other).restored(now.record(last, 5))
    assert found.at(site) == now.at(site)
    assert (site in found.sites) == (site in now.sites)
    elsewhere = next(name for name in SITES if name != site)
    assert found.at(elsewhere) == given_in_turn(other).at(elsewhere)


def test_the_record_says_who_when_what_and_why():
    """One record is the whole order and all that is in force at its site."""
    first, second = order("pause", "hall"), order("pause")
    state = given_in_turn([first, second]).record(second, 1_795_537_200_000_000_000)
    assert (state.operator, state.at, state.action, state.camera, state.why) == (
        "ana",
        1_795_537_200_000_000_000,
        "pause",
        None,
        "asked to",
    )
    assert (state.paused, state.paused_cameras) == (True, ["hall"])


class Record:
    """A site's record as a replica writes it: each order on top of the last one."""

    def __init__(self):
        self.orders, self.length = Orders(), 0

    def append(self, order):
        self.orders, self.length = self.orders.after(order), self.length + 1
        return Recorded(7, self.length, self.orders.record(order, self.length))


steps = st.lists(st.tuples(orders, st.booleans(), st.integers(1, 3)), max_size=12)


@given(steps)
def test_a_pause_holds_from_when_it_was_given(some):
    """Recorded or not, however many are awaited at a time; to go on takes effect when it is recorded, in its turn."""
    site, record, awaited, held = SiteOrders("cannes"), Record(), [], {}
    for one, can_record, at_a_time in some:
        if one.site != "cannes":
            continue
        awaited.append((site.give(one, 5), can_record))
        while len(awaited) >= at_a_time:
            end_first(site, record, awaited, held)
        now = site.in_force(Orders(frozenset({"lyon"})))
        given = {one.order.camera for one, _ in awaited if one.order.action == "pause"}
        assert {camera for camera in CAMERAS if is_paused(now, camera)} == given | {c for c in CAMERAS if held.get(c)}
        assert "lyon" in now.sites


def end_first(site, record, awaited, held):
    given, can_record = awaited.pop(0)
    site.end(given, recorded=can_record)
    one = given.order
    if can_record:
        site.learn(record.append(one))
    elif one.action == "pause":
        assert site.lacks_record(given)
    if can_record or one.action == "pause":
        held[one.camera] = one.action == "pause"


def is_paused(orders, camera):
    return "cannes" in orders.sites if camera is None else ("cannes", camera) in orders.cameras


def test_a_pause_without_a_record_gets_one_later():
    """Unless an order for the same camera was recorded first; an earlier pause gives way to a later one."""
    site, record = SiteOrders("cannes"), Record()
    first, second, whole = (site.give(order("pause", name), 5) for name in ("gate", "gate", None))
    for one in (first, second, whole):
        site.end(one, recorded=False)
    assert [site.lacks_record(one) for one in (first, second, whole)] == [False, True, True]
    site.end(whole, recorded=True)
    site.learn(record.append(whole.order))
    assert [site.lacks_record(one) for one in (second, whole)] == [True, False]
    site.learn(record.append(order("resume", "gate")))
    assert not site.lacks_record(second)
    assert site.in_force(Orders()) == Orders(frozenset({"cannes"}))


def test_an_order_that_waited_long_is_not_recorded_over_a_later_one():
    """Nor twice. What was recorded before it came, or of another camera, does not count."""
    site, record = SiteOrders("cannes"), Record()
    site.learn(record.append(order("pause", "gate")))
    came = 1_000_000_000_000
    waiting = site.give(order("pause", "gate"), came)
    site.learn(record.append(order("pause", "hall")))
    assert not site.is_replaced(waiting)
    site.learn(record.append(order("resume", "gate")))
    assert site.is_replaced(waiting)
    assert not site.is_replaced(site.give(order("pause", "gate"), came))
    minute = 60_000_000_000
    assert [waiting.may_repeat(came + passed) for passed in (0, minute, 2 * minute)] == [False, False, True]


def test_an_order_is_recorded_as_of_when_it_came():
    """On top of the last record, or of none."""
    given = Given(order("pause", "hall"), 7, None)
    first = given.recorded(None)
    assert (first.at, first.paused, first.paused_cameras) == (7, False, ["hall"])
    whole = Given(order("pause"), 8, None).recorded(first)
    assert (whole.at, whole.paused, whole.paused_cameras) == (8, True, ["hall"])


@given(days, days)
def test_a_stream_made_anew_takes_no_pause_back(before, since):
    """Whatever it holds already, what was paused stays so; nothing else is, and the last order stays who gave it."""
    known, last = recorded(before, 1), recorded(since, 2)
    both = joined(known.state, last.state)
    for camera in CAMERAS:
        paused = [is_paused(Orders().restored(state), camera) for state in (known.state, last.state, both)]
        assert paused[2] == (paused[0] or paused[1])
    assert (both.operator, both.at, both.action) == (last.state.operator, last.state.at, last.state.action)
    assert joined(known.state, None) == known.state
    assert holds(both) == (holds(known.state) or holds(last.state))


def recorded(some, created):
    """The record after some orders at one site."""
    record = Record()
    found = [record.append(order("resume", "gate")), *(record.append(one) for one in some if one.site == "cannes")]
    return Recorded(created, found[-1].sequence, found[-1].state)


def test_another_stream_s_first_record_is_later_than_this_one_s_last():
    """Sequences begin anew with a stream; what an older stream still delivers says nothing."""
    site, old, new = SiteOrders("cannes"), recorded([order("pause"), order("pause")], 1), recorded([], 2)
    for found in (old, new, old):
        site.learn(found)
    assert site.newest == new
    site.moved(old)
    assert site.in_force(Orders()).sites == {"cannes"}


MARKS = st.tuples(st.sampled_from(["gate", "hall"]), st.booleans())


@given(st.lists(orders | MARKS, max_size=12))
def test_a_stuck_camera_stays_so_until_it_is_resumed_for_itself(some):
    """Neither a pause, nor what is resumed with its site, changes that; and no mark changes what is paused."""
    now, stuck = Orders(), {}
    for one in some:
        if isinstance(one, tuple):
            now, stuck[one[0]] = now.marked("cannes", one[0], stuck=one[1]), one[1]
        else:
            now = now.after(one)
            if (one.site, one.action) == ("cannes", "resume") and one.camera is not None:
                stuck[one.camera] = False
    assert now.stuck_at("cannes") == sorted(camera for camera, is_stuck in stuck.items() if is_stuck)
    given_only = given_in_turn(one for one in some if not isinstance(one, tuple))
    assert (now.sites, now.cameras) == (given_only.sites, given_only.cameras)
    assert now.stuck_at("lyon") == []


def test_the_record_of_a_mark_keeps_what_is_paused():
    """Ingest makes it; an operator's next order keeps the mark, and so does a stream made anew."""
    first = with_mark(None, "cannes", "gate", stuck=True, at=1)
    assert (first.operator, first.paused, first.stuck_cameras, first.action) == ("ingest", False, ["gate"], None)
    pause = order("pause", "hall")
    paused = Orders().restored(first).after(pause).record(pause, 2)
    assert (paused.paused_cameras, paused.stuck_cameras) == (["hall"], ["gate"])
    both = with_mark(paused, "cannes", "hall", stuck=True, at=3)
    assert (both.paused_cameras, both.stuck_cameras, both.why) == (["hall"], ["gate", "hall"], "its decoder is stuck")
    freed = with_mark(both, "cannes", "gate", stuck=False, at=4)
    assert (freed.stuck_cameras, freed.why) == (["hall"], "its settings changed")
    assert joined(both, freed).stuck_cameras == ["gate", "hall"]
    assert holds(first)
    assert not holds(with_mark(first, "cannes", "gate", stuck=False, at=5))


def test_a_mark_holds_before_it_is_recorded():
    """It is awaited until it is recorded, another mark replaces it, or the camera is resumed for itself."""
    site = SiteOrders("cannes")
    site.mark("gate", stuck=True)
    assert site.in_force(Orders()).stuck == {("cannes", "gate")}
    assert site.awaits("gate", stuck=True)
    site.mark("gate", stuck=False)
    assert not site.awaits("gate", stuck=True)
    site.marked("gate", stuck=True)
    assert site.awaits("gate", stuck=False)
    site.marked("gate", stuck=False)
    assert not site.awaits("gate", stuck=False)
    site.mark("gate", stuck=True)
    resume = order("resume", "gate")
    site.learn(Recorded(7, 1, Orders().record(order("resume"), 1)))
    assert site.awaits("gate", stuck=True)
    site.learn(Recorded(7, 2, Orders().record(resume, 2)))
    assert site.in_force(Orders()).stuck == set()


def test_a_mark_that_others_recorded_is_in_force():
    """So a replica that takes the camera's lease knows."""
    site = SiteOrders("cannes")
    site.learn(Recorded(7, 1, with_mark(None, "cannes", "gate", stuck=True, at=1)))
    now = site.in_force(Orders(stuck=frozenset({("lyon", "hall"), ("cannes", "hall")})))
    assert now.stuck == {("lyon", "hall"), ("cannes", "gate")}
