"""The plan of a simulation: who comes, what shows of them, who counts."""

import itertools
from math import sqrt

import numpy as np
import pytest
from examples import examples
from hypothesis import assume, given
from hypothesis import strategies as st

from testbed.simulation.crowd_plan import HALF, Plan, PlannedFace, Truth, _face, truth
from testbed.simulation.scenario import (
    CameraView,
    Counting,
    Mirror,
    Phase,
    Portrait,
    Scenario,
    ScenarioPeriod,
    Walking,
    load_scenario,
)
from testbed.simulation.walkers import BESIDE_M, FACE, FOCAL, HEIGHT, WIDTH, PersonInPicture, Walker, seen, walker

SEEDS = st.integers(0, 2**32 - 1)
PEOPLE = st.builds(
    Walking,
    towards=st.floats(0, 0.5),
    away=st.floats(0, 0.5),
    stopping=st.floats(0, 1),
    stop_s=st.floats(1, 9),
    speed=st.floats(0.4, 3),
)
VIEWS = st.builds(
    CameraView,
    farthest_px=st.floats(8, 40),
    nearest_px=st.floats(45, 150),
    horizon=st.floats(-1, 0.6),
    drop=st.floats(1.5, 6),
)
PLAIN = CameraView()
LEVEL = CameraView(drop=1.5, horizon=0.35)
"""A camera hardly above the heads, in whose picture the nearer ones hide the farther ones."""
BUSY = Scenario(
    phases=[Phase(seconds=40, arrivals_per_minute=60, masked=0.5, incorrect=0.1)],
    people=Walking(stopping=0.3, towards=0.3, away=0.1),
)


def busy(seed: int, **changes) -> Plan:
    values = {name: getattr(BUSY, name) for name in BUSY.__struct_fields__}
    return Plan.drawn(Scenario(**{**values, "seed": seed, **changes}))


def moments(plan: Plan, step: float = 0.1) -> np.ndarray:
    return np.round(np.arange(0, plan.scenario.length_s, step), 6)


@given(SEEDS)
@examples(8)
def test_same_seed_same_plan(seed):
    """A seed fixes who comes and what is true; another one brings others, and so does another camera."""
    assert busy(seed).walkers == busy(seed).walkers
    assert truth("s", BUSY, {"a": busy(seed)}) == truth("s", BUSY, {"a": busy(seed)})
    assert busy(seed).walkers != busy(seed + 1).walkers
    assert Plan.drawn(BUSY, 0).walkers != Plan.drawn(BUSY, 1).walkers


@given(SEEDS, PEOPLE, VIEWS)
def test_people_walk_on_evenly(seed, people, view):
    """Time goes on along the way, nobody jumps, and nobody is behind the camera."""
    one = walker(np.random.default_rng(seed), 3.0, "masked", people, view)
    assert one.enter_s == 3.0
    assert list(one.times) == sorted(one.times)
    for at in np.linspace(one.enter_s, one.leave_s - 0.2, 30):
        (x1, z1), (x2, z2) = one.place(float(at)), one.place(float(at) + 0.1)
        assert sqrt((x2 - x1) ** 2 + (z2 - z1) ** 2) <= 0.1 * people.speed * 1.5
        assert z1 > 0.1
        assert -1 <= one.stride(float(at)) <= 1


@given(SEEDS, st.floats(0.4, 3))
def test_people_slow_down_to_a_stop(seed, speed):
    """Nobody's pace changes at once: from look to look by a quarter of walking at most, down to a stand and up."""
    people = Walking(stopping=1.0, towards=0.0, away=0.0, speed=speed, stop_s=3)
    one = walker(np.random.default_rng(seed), 0.0, "masked", people, PLAIN)
    assume(min(b - a for a, b in itertools.pairwise(one.times)) > 1.5)
    places = [one.place(float(at)) for at in np.arange(0, one.leave_s, 0.1)]
    paces = [sqrt((b[0] - a[0]) ** 2 + (b[1] - a[1]) ** 2) / 0.1 for a, b in itertools.pairwise(places)]
    assert all(abs(b - a) < 0.25 * max(paces) for a, b in itertools.pairwise(paces))
    assert min(paces) == pytest.approx(0, abs=1e-9)
    assert paces[0] == pytest.approx(paces[-2], rel=0.05)


@given(SEEDS, PEOPLE, VIEWS)
def test_people_come_from_outside_or_afar(seed, people, view):
    """Nobody appears or vanishes in the middle of the picture, but for faces as small as the farthest, or backs."""
    one = walker(np.random.default_rng(seed), 0.0, "masked", people, view)
    for at in (one.enter_s, one.leave_s - 1e-6):
        end = seen(one, view, at)
        beside = abs(one.place(at)[0]) > end.distance_m * WIDTH / 2 / FOCAL + BESIDE_M / 2
        far = end.size < view.farthest_px * 1.05
        below = end.part(FACE)[1] > HEIGHT
        assert beside or far or below


@given(SEEDS, st.floats(0, 39.9))
def test_boxes_lie_in_the_picture(seed, at):
    """Nobody is visible outside of it; of a face at the edge the box ends there; and a back has no face."""
    for face in busy(seed).faces(at):
        x1, y1, x2, y2 = face.box
        assert 0 <= x1 < x2 <= 1
        assert 0 <= y1 < y2 <= 1
        assert 0 < face.visible <= 1
        assert face.walker.shows_face
        assert face.walker.enter_s <= at < face.walker.leave_s


def standing(seed: int, x: float, z: float, *, shows_face: bool = True) -> Walker:
    return Walker(seed, "masked", shows_face, 0.0, (0.0, 10.0), ((x, z), (x, z)))


def free(*people: Walker, view: CameraView = PLAIN) -> dict[int, float]:
    """Return the visible share of each face, by seed."""
    scenario = Scenario(phases=[Phase(seconds=10)], view=view)
    return {face.walker.seed: face.visible for face in Plan(scenario, people).faces(5.0)}


def test_the_nearer_one_hides_the_farther_one():
    """Whoever stands behind somebody is not seen, wherever the nearer one looks; beside they both are."""
    far, near = standing(1, 0.0, 3.2), standing(2, 0.0, 1.8)
    assert free(far, near, view=LEVEL) == {2: 1.0}
    assert free(far, standing(2, 0.0, 1.8, shows_face=False), view=LEVEL) == {}
    assert free(far, standing(2, 0.7, 1.8), view=LEVEL) == {1: 1.0, 2: 1.0}


def test_half_hidden_is_half_visible():
    """Between the two it goes down step by step."""
    shares = [free(standing(1, 0.0, 3.2), standing(2, x / 50, 1.8), view=LEVEL).get(1, 0.0) for x in range(40)]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] == 1
    assert any(0.2 < share < 0.8 for share in shares)


@given(st.floats(-3, 3), st.floats(1, 6))
def test_a_face_leaves_the_picture_by_and_by(x, z):
    """Its visible share is the share of it that lies inside."""
    alone = seen(standing(1, x, z), CameraView(), 5.0)
    x1, y1, x2, y2 = alone.part(FACE)
    wide = max(0.0, min(x2, WIDTH) - max(x1, 0)) / (x2 - x1)
    high = max(0.0, min(y2, HEIGHT) - max(y1, 0)) / (y2 - y1)
    face = _face(alone, [])
    assert (face.visible if face else 0.0) == pytest.approx(wide * high, abs=0.2)


@given(st.floats(-1, 1), st.floats(1, 6), st.booleans())
def test_the_figure_is_where_the_face_is(x, z, right):
    """The face's box has the size and the centre of the plan, for both directions."""
    points = ((x, z), (x + 1, z)) if right else ((x + 1, z), (x, z))
    one = seen(Walker(3, "masked", True, 0.0, (0.0, 10.0), points), CameraView(), 5.0)
    x1, y1, x2, y2 = one.part(FACE)
    assert ((x1 + x2) / 2, (y1 + y2) / 2) == pytest.approx((one.x, one.y))
    assert sqrt((x2 - x1) * (y2 - y1)) == pytest.approx(one.size)
    assert one.walker.flipped == right


@given(SEEDS, st.floats(0, 2), st.floats(1, 30))
@examples(10)
def test_the_truth_is_the_walkers_seen(seed, visible_s, smallest):
    """Who counts is whoever's face was large and free for long enough; the passage ends with the last such moment."""
    plan = busy(seed, counting=Counting(visible_s=visible_s, smallest_px=smallest))
    looks: dict[Walker, list[float]] = {}
    for at in moments(plan):
        for face in plan.faces(at):
            if face.visible >= HALF and face.size >= smallest:
                looks.setdefault(face.walker, []).append(at)
    counted = {w: times for w, times in looks.items() if len(times) * 0.1 >= visible_s - 1e-9}
    found = plan.passages("gate")
    assert sorted((p.first, p.at, p.verdict) for p in found) == sorted(
        (times[0], times[-1], w.verdict) for w, times in counted.items()
    )
    assert [p.at for p in found] == sorted(p.at for p in found)
    assert all(p.hidden <= p.at - p.first for p in found)
    assert all(p.camera == "gate" and p.zone is None for p in found)


def test_masks_come_in_their_share():
    """Over many people the share is the phase's, within four standard errors, and so is the number of arrivals."""
    phase = Phase(seconds=3_600, arrivals_per_minute=100, masked=0.7, incorrect=0.1)
    walkers = Plan.drawn(Scenario(phases=[phase], seed=5)).walkers
    n = len(walkers)
    assert abs(n - 6_000) < 4 * sqrt(6_000)
    for verdict, share in (("masked", 0.7), ("incorrect", 0.1), ("unmasked", 0.2)):
        assert abs(sum(w.verdict == verdict for w in walkers) / n - share) < 4 * sqrt(share * (1 - share) / n)


def test_arrivals_are_a_poisson_process():
    """The gaps between two arrivals are exponential: their mean is their standard deviation."""
    phase = Phase(seconds=7_200, arrivals_per_minute=60)
    gaps = np.diff([w.enter_s for w in Plan.drawn(Scenario(phases=[phase], seed=2)).walkers])
    assert gaps.mean() == pytest.approx(1.0, rel=0.05)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)


def test_ways_come_in_their_shares():
    """So many show their backs, so many stop, as the scenario says; and every edge but the upper one is used."""
    people = Walking(towards=0.3, away=0.2, stopping=0.4)
    plan = Plan.drawn(Scenario(phases=[Phase(seconds=3_000, arrivals_per_minute=60)], people=people))
    n = len(plan.walkers)
    assert abs(sum(not w.shows_face for w in plan.walkers) / n - 0.2) < 4 * sqrt(0.16 / n)
    assert abs(sum(len(w.points) == 4 for w in plan.walkers) / n - 0.4) < 4 * sqrt(0.24 / n)
    ends = [seen(w, plan.scenario.view, w.leave_s - 1e-6).part(FACE) for w in plan.walkers if w.shows_face]
    assert any(x1 > WIDTH for x1, _, _, _ in ends)
    assert any(x2 < 0 for _, _, x2, _ in ends)
    assert any(y1 > HEIGHT for _, y1, _, _ in ends)


def test_from_above_people_come_in_at_the_upper_edge():
    """A camera that looks down has the far ones above its picture."""
    view, people = CameraView(horizon=-0.4), Walking(towards=1.0, away=0.0)
    plan = Plan.drawn(Scenario(phases=[Phase(seconds=300, arrivals_per_minute=30)], view=view, people=people))
    assert all(seen(w, view, w.enter_s).part(FACE)[3] < 0 for w in plan.walkers)
    assert plan.passages("gate")


@given(SEEDS)
@examples(10)
def test_a_frozen_picture_shows_the_same(seed):
    """Whoever is in it stays until it goes on; in an outage nobody is seen, and nobody counts for that time."""
    plan = busy(seed, freezes=[ScenarioPeriod(start=15, seconds=3)], outages=[ScenarioPeriod(start=25, seconds=3)])
    frozen = [plan.faces(at) for at in (15.0, 16.3, 17.9)]
    assert frozen[0] == frozen[1] == frozen[2] == busy(seed).faces(15.0)
    assert plan.faces(18.0) == busy(seed).faces(18.0)
    assert plan.faces(26.0) == []
    assert not any(25 <= p.at < 28 or 25 <= p.first < 28 for p in plan.passages("gate"))


@given(SEEDS)
@examples(10)
def test_faces_have_the_sizes_of_the_view(seed):
    """Those who walk across are between the farthest and the nearest; only who comes straight on gets larger."""
    plan = busy(seed, people=Walking(towards=0.0, away=0.0))
    sizes = [one.size for at in moments(plan, 1.0) for one in plan.people(at)]
    assume(sizes)
    assert min(sizes) >= 15.9
    assert max(sizes) <= 70.1


def alone(people: Walking, *, minutes: float = 20, **changes) -> Plan:
    """Return the plan of people who rarely hide one another."""
    return Plan.drawn(
        Scenario(phases=[Phase(seconds=60 * minutes, arrivals_per_minute=6)], people=people, seed=4, **changes)
    )


def test_who_turns_away_has_no_face_meanwhile_and_is_one():
    """Everybody is gone at least once, for 0.5 to 4 s; it is the same person before and after."""
    plan = alone(Walking(turning=1.0, towards=0, away=0, stopping=1.0, stop_s=20))
    spans = [span for one in plan.walkers for span in one.aside]
    assert all(one.aside for one in plan.walkers)
    assert all(0.5 <= end - start <= 4 for start, end in spans)
    one = plan.walkers[0]
    start, end = one.aside[0]
    assert not one.at((start + end) / 2).shows_face
    assert one.at(start - 1e-6) == one or len(one.aside) > 1
    assert one not in {face.walker for face in plan.faces((start + end) / 2)}
    assert len(plan.passages("gate")) <= len(plan.walkers)


def test_who_leaves_shows_the_back():
    """After the stop nothing of the face is seen."""
    plan = alone(Walking(leaving=1.0, stopping=1.0, towards=0, away=0))
    for one in plan.walkers:
        assert one.at(one.times[1] - 0.1).shows_face
        assert not one.at(one.times[2] + 0.1).shows_face


def test_who_waits_moves_a_little():
    """To and fro within the distance that was asked for, and not at once; without it nobody moves."""
    for sway in (0.0, 0.1):
        one = alone(Walking(stopping=1.0, stop_s=60, sway_m=sway), minutes=2).walkers[0]
        halt = one.points[1]
        places = [one.place(float(at)) for at in np.arange(one.times[1], one.times[2], 0.2)]
        gaps = [sqrt((x - halt[0]) ** 2 + (z - halt[1]) ** 2) for x, z in places]
        assert max(gaps) <= sway * 1.2
        assert (max(gaps) > 0) == (sway > 0)
        steps = [sqrt((b[0] - a[0]) ** 2 + (b[1] - a[1]) ** 2) for a, b in itertools.pairwise(places)]
        assert max(steps) <= 0.05


def test_people_who_meet_walk_on_together():
    """The second one comes from where the first one goes, arrives as that one does, and both stay a step apart."""
    plan = alone(Walking(stopping=1.0, meeting=1.0, towards=0, away=0))
    firsts, seconds = plan.walkers[::2], plan.walkers[1::2]
    assert len(firsts) == len(seconds) > 50
    for one, other in zip(firsts, seconds, strict=True):
        assert other.times[1:] == one.times[1:]
        assert other.points[0] == other.points[-1]
        for at in np.linspace(one.times[1], one.leave_s, 5):
            (x1, z1), (x2, z2) = one.place(float(at)), other.place(float(at))
            assert 0.1 < sqrt((x1 - x2) ** 2 + (z1 - z2) ** 2) < 0.8


@given(st.floats(-3, 3), st.floats(1, 9), st.floats(0.3, 2))
def test_a_mirror_shows_what_is_before_it(x, z, beside):
    """A reflection is as far behind the mirror's plane as the person is before it; it is seen through the mirror alone,
    and is nobody."""
    mirror = Mirror(beside_m=beside, nearest_m=1.5, farthest_m=4)
    plan = Plan(Scenario(phases=[Phase(seconds=10)], mirror=mirror), (standing(8, x, z),))
    shown = {one.walker.is_reflection: one for one in plan.people(5.0)}
    across = 2 * beside - x
    seen_in_it = across > beside and 1.5 <= z * beside / across <= 4
    assert (True in shown) == seen_in_it
    assert (False in shown) == (x <= beside or not 1.5 <= z * beside / x <= 4)
    if seen_in_it:
        assert shown[True].x == pytest.approx(WIDTH / 2 + FOCAL * across / z)
        assert all(one.visible <= 10 for one in plan.passages("gate"))
    assert len(plan.passages("gate")) <= 1


def test_a_portrait_has_a_face_and_is_nobody():
    """People before it hide it; a screen shows it for a part of the time."""
    poster, screen = Portrait(x=0.5, y=0.4, px=30), Portrait(x=0.1, y=0.2, px=20, every_s=10, for_s=3)
    scenario = Scenario(phases=[Phase(seconds=10)], portraits=[poster, screen])
    empty, passed = Plan(scenario, ()), Plan(scenario, (standing(8, 0.0, 2.0),))
    first, later = empty.faces(2.9), empty.faces(3.0)
    assert [(one.size, one.visible, one.walker.verdict) for one in first] == [
        (30, 1.0, "unmasked"), (20, 1.0, "unmasked"),
    ]  # fmt: skip
    assert first[0].box[0] < 0.5 < first[0].box[2]
    assert later == first[:1]
    hidden, *_, person = passed.faces(5.0)
    assert hidden.walker.is_nobody
    assert hidden.visible < 1
    assert not person.walker.is_nobody
    assert empty.passages("gate") == []


def test_dense_scenes_hide_more_than_sparse_ones():
    """What makes the scenarios hard grows from one to the next: faces at a time, and the share that is half hidden."""
    faces: list[list[PlannedFace]] = []
    crowds = []
    for name in ("sparse", "medium", "dense"):
        plan = Plan.drawn(load_scenario(name))
        shown = [plan.faces(at) for at in moments(plan, 0.5)]
        faces.append([face for picture in shown for face in picture])
        crowds.append(len(faces[-1]) / len(shown))
    hidden = [sum(face.visible < HALF for face in some) / len(some) for some in faces]
    assert crowds == sorted(crowds)
    assert hidden == sorted(hidden)
    assert crowds[2] > 2
    assert hidden[2] > 0.05


def test_the_truth_as_a_file():
    """It says who counts, by what process they came, and can be read back."""
    import msgspec

    plans = {"a": busy(1), "b": busy(2)}
    true = truth("busy", BUSY, plans, began=5)
    again = msgspec.json.decode(true.encoded(), type=Truth)
    assert again == true
    assert (true.scenario, true.began, true.seconds, true.masked_share) == ("busy", 5, 40.0, pytest.approx(0.5))
    assert sum(true.counts.values()) == len(true.passages) == sum(len(p.passages(n)) for n, p in plans.items())
    assert [p.at for p in true.passages] == sorted(p.at for p in true.passages)
    assert [(p.start, p.end, p.masked) for p in true.process] == [(0.0, 40.0, 0.5)]


def test_a_persons_figure_grows_with_nearness():
    """A nearer one is larger and lower."""
    far, near = (seen(standing(1, 0.0, z), CameraView(), 5.0) for z in (6.0, 2.0))
    assert isinstance(far, PersonInPicture)
    assert near.size == pytest.approx(3 * far.size)
    assert near.y > far.y
    assert near.scale > far.scale
