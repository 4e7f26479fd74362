"""The plan of the demo's scenes, and what is true of it."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from operate.simulation.demo.scene import (
    BOTH_WAYS,
    GAP_S,
    HEIGHT,
    INWARDS,
    LEAD_S,
    OUTWARDS,
    PHASES,
    WIDTH,
    Lane,
    Phase,
    Truth,
    Walker,
    lanes,
    length_s,
    plan,
    truth,
)

SEEDS = st.integers(0, 2**32 - 1)
WALKERS = st.builds(
    Walker,
    seed=st.integers(0, 99),
    enter_s=st.floats(0, 50),
    lane=st.sampled_from([*INWARDS, *OUTWARDS]),
    masked=st.booleans(),
)


def overlap(a, b) -> float:
    """Return how much of the smaller box the other covers."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    areas = [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (a, b)]
    return max(0.0, width) * max(0.0, height) / min(areas)


@given(SEEDS)
def test_same_seed_same_people(seed):
    """A seed fixes who comes when, in which lane, and with a mask or without."""
    assert plan(seed) == plan(seed)


def test_other_seed_other_people():
    """Cameras show different people, since their seeds differ."""
    assert plan(1) != plan(2)


@given(SEEDS)
def test_nobody_in_first_and_last_pictures(seed):
    """The system may start late and stop early without missing anybody."""
    walkers = plan(seed)
    end = length_s(walkers)
    assert not any(w.is_visible(t) for w in walkers for t in np.linspace(0, LEAD_S, 20))
    assert not any(w.is_visible(t) for w in walkers for t in np.linspace(end - 0.9, end, 10))


@given(SEEDS)
def test_people_come_in_order(seed):
    """The plan is sorted by the time of coming."""
    times = [w.enter_s for w in plan(seed)]
    assert times == sorted(times)


@given(SEEDS)
def test_phases_have_their_share_of_masks(seed):
    """Each phase has exactly its share, so that the truth does not depend on luck."""
    true = truth(plan(seed))
    counts = [round(phase.seconds / GAP_S) for phase in PHASES]
    masked = [round(n * phase.masked_share) for n, phase in zip(counts, PHASES, strict=True)]
    assert true == Truth(sum(counts), sum(masked))


@given(SEEDS, st.floats(0, 1), st.floats(2, 20))
def test_one_phase_alone(seed, share, seconds):
    """The number of people follows from the length, the masked ones from the share, within half a person."""
    true = truth(plan(seed, phases=(Phase(seconds, share),)))
    assert true.persons == round(seconds / GAP_S)
    assert abs(true.masked - share * true.persons) <= 0.5


@given(SEEDS, st.sampled_from([INWARDS, OUTWARDS, BOTH_WAYS]))
@examples(20)
def test_no_face_hides_another(seed, rows):
    """At no time does one face cover another: whoever passes can be counted."""
    walkers = plan(seed, rows)
    for at in np.arange(0, length_s(walkers), 0.25):
        faces = [w.face(at) for w in walkers if w.is_visible(at)]
        assert all(overlap(a, b) == 0 for a, b in combinations(faces, 2))


@given(SEEDS)
@examples(20)
def test_people_in_a_lane_keep_apart(seed):
    """Nobody walks into the one before in the same lane."""
    walkers = plan(seed)
    for lane in BOTH_WAYS:
        times = [w.enter_s for w in walkers if w.lane == lane]
        assert all(b - a >= 1.69 for a, b in pairwise(times))


def test_too_many_people_wait_for_a_free_lane():
    """With more arrivals than lanes can take, people come later, not into each other."""
    walkers = plan(3, phases=(Phase(10, 0.5),), gap_s=0.3)
    assert len(walkers) == 33
    assert max(w.enter_s for w in walkers) > LEAD_S + 10


@given(WALKERS)
def test_seen_until_is_the_last_whole_face(walker):
    """Until that time the whole face is in the picture, from then on it is not."""
    assert walker.shows_face(walker.seen_until_s - 1e-3)
    assert not walker.shows_face(walker.seen_until_s + 1e-3)
    assert walker.enter_s < walker.seen_until_s < walker.leave_s


@given(WALKERS)
def test_face_shows_for_long_enough(walker):
    """Everybody shows the face for at least two seconds: ten pictures at five a second."""
    times = np.arange(walker.enter_s, walker.leave_s, 0.05)
    assert sum(walker.shows_face(t) for t in times) * 0.05 > 2


@given(WALKERS)
def test_walkers_cross_the_whole_picture(walker):
    """A walker comes in at one side and leaves at the other, in the lane's direction."""
    first, last = walker.corner(walker.enter_s)[0], walker.corner(walker.leave_s)[0]
    sides = (-walker.size[0], WIDTH)
    assert (first, last) == pytest.approx(sides if walker.lane.towards_right else sides[::-1])


@given(WALKERS, st.floats(-1, 9))
def test_visible_exactly_while_inside(walker, after):
    """Somebody is visible exactly while a part of the figure is between the picture's sides."""
    at = walker.enter_s + after
    x = walker.corner(at)[0]
    inside = -walker.size[0] + 1e-6 < x < WIDTH - 1e-6
    outside = x < -walker.size[0] - 1e-6 or x > WIDTH + 1e-6
    assert not (inside and not walker.is_visible(at))
    assert not (outside and walker.is_visible(at))


@given(WALKERS, st.floats(0, 60))
def test_legs_and_head_move_within_bounds(walker, at):
    """A stride is -1 to 1, and the head bobs by a few pixels only."""
    assert -1 <= walker.stride(at) <= 1
    assert walker.lane.top - 6 < walker.corner(at)[1] <= walker.lane.top


@pytest.mark.parametrize("lane", BOTH_WAYS)
def test_faces_have_a_realistic_size(lane):
    """Faces are 35 to 80 pixels high and lie in the picture's height."""
    x1, y1, x2, y2 = Walker(0, 0.0, lane, False).face(2.0)
    assert 35 < y2 - y1 < 80
    assert 25 < x2 - x1 < 80
    assert y1 > 0
    assert y2 < HEIGHT


@given(SEEDS, st.lists(st.floats(0, 80), max_size=6))
def test_truth_of_parts_adds_up(seed, borders):
    """Cut the film anywhere: each person belongs to exactly one part."""
    walkers = plan(seed)
    cuts = [0.0, *sorted(borders), float("inf")]
    parts = [truth(walkers, a, b) for a, b in pairwise(cuts)]
    assert sum(parts, Truth(0, 0)) == truth(walkers)


def test_truth_counts_at_the_last_sighting():
    """A passage belongs to the window of its last sighting, as in the windows that are published."""
    walker = Walker(1, 5.0, INWARDS[0], True)
    at = walker.seen_until_s
    assert truth([walker], at, at + 1) == Truth(1, 1)
    assert truth([walker], at - 1, at) == Truth(0, 0)


def test_rate_of_nobody_is_none():
    """Nobody has no rate."""
    assert Truth(0, 0).rate is None
    assert Truth(4, 1).rate == 0.25


def test_empty_film_has_a_length():
    """A film without people is still a film."""
    assert length_s([]) > LEAD_S


def test_lanes_take_one_direction_each():
    """Three lanes, three directions; another number is an error."""
    assert [lane.towards_right for lane in lanes(True, False, True)] == [True, False, True]
    with pytest.raises(ValueError):
        lanes(True)


def test_people_look_where_they_go():
    """The figure is mirrored with its direction, and its face with it."""
    right, left = (Walker(0, 0.0, Lane(0, 1.0, way), False) for way in (True, False))
    assert right.flipped
    assert not left.flipped
    assert right.face(1.0)[0] - right.corner(1.0)[0] != left.face(1.0)[0] - left.corner(1.0)[0]
