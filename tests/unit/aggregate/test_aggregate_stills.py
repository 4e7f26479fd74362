"""Which faces stay where they are throughout a window."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wall import SECOND, Wall, cashier, sleeper

from services.aggregate.core.stills import MOST, Stills

PORTRAIT = (0.3, 0.2, 0.05, "unmasked")


def lasting(wall, *, first=0.0, until=1e9):
    """Return the places that lasted of the pictures between two moments."""
    stills = Stills()
    for at, faces in wall.pictures():
        if first <= at < until:
            stills.add(round(at * SECOND), 16 / 9, faces)
    return stills.lasting()


def test_portraits_last_although_people_walk_past_them():
    """All five of a wall, at the places where they hang, and nobody who walks."""
    wall = Wall(1, 300, per_minute=20)
    found = sorted(lasting(wall), key=lambda one: one.x)
    assert [one.x for one in found] == pytest.approx([x for x, *_ in wall.portraits], abs=0.002)
    assert [one.y for one in found] == pytest.approx([y for _, y, *_ in wall.portraits], abs=0.002)
    assert [one.size for one in found] == pytest.approx([size for _, _, size, _ in wall.portraits], abs=0.002)


@pytest.mark.parametrize("missed", [0.0, 0.3, 0.7])
def test_a_portrait_that_is_often_missed_lasts(missed):
    """As one with few pixels is."""
    assert len(lasting(Wall(2, 300, 10, [PORTRAIT], missed=missed))) == 1


def test_one_that_is_put_up_taken_down_or_hidden_at_an_end_does_not_last():
    """A spot must be seen at both ends of the window."""

    def look(first, last):
        return Wall(3, 60, 0, [], others=[lambda at: PORTRAIT if first <= at < last else None])

    assert len(lasting(look(0, 60))) == 1
    assert lasting(look(15, 60)) == lasting(look(0, 45)) == lasting(look(0, 2)) == []


@pytest.mark.parametrize("seed", range(5))
def test_somebody_who_sits_does_not_last(seed):
    """A cashier leans and turns: mostly they are beside the point at which they were."""
    wall = Wall(seed, 300, 0, [], others=[cashier(random.Random(seed), 0.5, 0.3, 0.06, break_s=1e9)])
    assert lasting(wall) == []


def test_somebody_who_sleeps_lasts_until_they_shift():
    """Within one window somebody who lies still looks like a portrait; having moved, they don't come back."""
    shifted = sleeper(random.Random(1), 0.5, 0.3, 0.06, shift_s=1e9)
    moved = Wall(4, 300, 0, [], others=[lambda at: shift(shifted(at), 0.3 * 0.06 if at > 150 else 0)])
    still = Wall(4, 300, 0, [], others=[sleeper(random.Random(1), 0.5, 0.3, 0.06, shift_s=1e9)])
    assert (len(lasting(still)), lasting(moved)) == (1, [])


def shift(seen, by):
    """Return a face further to the right."""
    return seen and (seen[0] + by, *seen[1:])


def test_a_crowd_is_looked_at_up_to_a_limit():
    """A hundred walkers a minute fill no memory."""
    stills = Stills()
    for at, faces in Wall(5, 30, 200, []).pictures():
        stills.add(round(at * SECOND), 16 / 9, faces)
        assert len(stills._spots) <= MOST


@given(st.integers(0, 1000), st.randoms(use_true_random=False))
def test_the_order_of_faces_in_a_message_changes_nothing(seed, rng):
    """Detectors list faces in any order."""
    plain, mixed = Stills(), Stills()
    for at, faces in Wall(seed, 20, 60).pictures():
        plain.add(round(at * SECOND), 16 / 9, faces)
        mixed.add(round(at * SECOND), 16 / 9, rng.sample(faces, len(faces)))
    assert plain.lasting() == mixed.lasting()


def test_no_picture_no_place():
    """A camera without pictures has learnt nothing; nor has one that saw nobody."""
    empty = Stills()
    assert empty.lasting() == []
    for step in range(100):
        empty.add(step * SECOND, 16 / 9, [])
    assert empty.lasting() == []
