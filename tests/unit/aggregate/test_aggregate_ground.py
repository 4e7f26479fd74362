"""What a camera's picture shows where: zones as parts of it, the line that counts, the smallest face."""

from fractions import Fraction
from itertools import pairwise

import pytest
from examples import examples
from hypothesis import assume, given
from hypothesis import strategies as st

from proto.public import WindowV1
from proto.sightings import PassageV1
from services.aggregate.core.config import CameraConfig
from services.aggregate.core.ground import Ground, crossing, encloses
from services.aggregate.core.site import SiteCore
from services.sites.settings import LineSettings, TrackingSettings, ZoneAreaSettings

LEFT = ZoneAreaSettings(zone="hall", area=[(0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)])
PART = st.integers(0, 64).map(lambda whole: whole / 64)
POINT = st.tuples(PART, PART)


def run(config, stream):
    """Return the passages and the windows that come out."""
    core = SiteCore(config)
    out = [output for message in stream.messages for output in core.step(message)]
    return [o for o in out if isinstance(o, PassageV1)], [o for o in out if isinstance(o, WindowV1)]


def walk(make, xs, y=0.5, size=0.05):
    """Return a stream of one person who is seen at these places, five a second, and is gone after it."""
    stream = make.stream()
    for step, x in enumerate(xs):
        stream.seen(5 + step / 5, make.face(x, y, size))
    return stream.watch(5 + len(xs) / 5, 5 + len(xs) / 5 + 1.4).ticks(20, 63)


@given(POINT, POINT, POINT, POINT)
def test_a_triangle_encloses_what_is_on_one_side_of_all_its_edges(a, b, c, p):
    """Whichever way round it is drawn, a point inside is inside, one outside is not."""
    sides = [_side(a, b, p), _side(b, c, p), _side(c, a, p)]
    assume(0 not in sides)
    assert encloses([a, b, c], *p) == encloses([c, b, a], *p) == (len({side > 0 for side in sides}) == 1)


def test_what_an_edge_goes_round_twice_is_inside():
    """As privacy areas are filled: a pentagram's middle is inside."""
    star = [(0.5, 0.0), (0.8, 0.9), (0.0, 0.35), (1.0, 0.35), (0.2, 0.9)]
    assert encloses(star, 0.5, 0.5)
    assert not encloses(star, 0.05, 0.05)


@given(POINT, POINT, st.lists(POINT, min_size=2, max_size=8))
def test_crossings_add_up(start, end, way):
    """There and back again is none; turning the line round turns the sign; a step along it is none."""
    steps = list(pairwise(way))
    assert sum(crossing(start, end, *step) for step in [*steps, *[(b, a) for a, b in reversed(steps)]]) == 0
    off = all(_side(start, end, p) for p in way)
    if off:
        assert [crossing(end, start, *s) for s in steps] == [-crossing(start, end, *s) for s in steps]
    assert crossing(start, end, start, end) == 0


def _side(a, b, p):
    exact = [Fraction(v) for v in (*a, *b, *p)]
    return (exact[2] - exact[0]) * (exact[5] - exact[1]) - (exact[3] - exact[1]) * (exact[4] - exact[0])


def test_who_goes_down_across_a_line_drawn_to_the_right_crosses_to_its_right():
    """The reader's right hand: y grows downwards."""
    assert crossing((0.0, 0.5), (1.0, 0.5), (0.5, 0.2), (0.5, 0.8)) == 1
    assert crossing((0.0, 0.5), (1.0, 0.5), (0.5, 0.8), (0.5, 0.2)) == -1
    assert crossing((0.0, 0.5), (0.4, 0.5), (0.5, 0.2), (0.5, 0.8)) == 0


@pytest.mark.parametrize(("xs", "zone"), [((0.1, 0.2, 0.3, 0.4, 0.55), "hall"), ((0.4, 0.55, 0.6, 0.65, 0.7), "yard")])
def test_a_passage_belongs_to_where_it_was_longest(make, xs, zone):
    """Of an area and the rest of the picture that which held more of its sightings, wherever it ended."""
    camera = CameraConfig(id="door", zone="yard", zone_areas=[LEFT])
    found, windows = run(make.config(cameras=[camera], zones=["hall", "yard"]), walk(make, xs))
    assert [p.zone for p in found] == [zone]
    assert {w.zone: w.persons for w in windows} == {"hall": 0, "yard": 0, "_site": 1} | {zone: 1}
    assert {w.cameras_expected for w in windows} == {1}


@pytest.mark.parametrize(("counts", "number"), [("both", 1), ("rightwards", 1), ("leftwards", 0)])
def test_a_line_counts_who_crosses_it(make, counts, number):
    """A line drawn upwards in the middle, and somebody who walks across it to the right."""
    line = LineSettings(start=(0.5, 1.0), end=(0.5, 0.0), counts=counts)
    config = make.config(cameras=[CameraConfig(id="door", line=line)])
    assert len(run(config, walk(make, (0.3, 0.4, 0.48, 0.6, 0.7)))[0]) == number


def test_who_does_not_cross_the_line_or_turns_back_on_it_is_not_counted(make):
    """Neither who stays on one side nor who comes back has passed."""
    config = make.config(cameras=[CameraConfig(id="door", line=LineSettings(start=(0.5, 1), end=(0.5, 0)))])
    assert run(config, walk(make, (0.1, 0.2, 0.3, 0.35, 0.4)))[0] == []
    assert run(config, walk(make, (0.44, 0.47, 0.5, 0.52, 0.53, 0.53, 0.52, 0.5, 0.47, 0.44)))[0] == []


def test_small_faces_make_no_passage(make):
    """Whose largest face is smaller than the smallest that counts is left out; one large enough is enough."""
    config = make.config(tracking=TrackingSettings(min_size=0.04))
    assert run(config, walk(make, (0.3, 0.33, 0.36, 0.4), size=0.03))[0] == []
    assert len(run(config, walk(make, (0.3, 0.33, 0.36, 0.4), size=0.041))[0]) == 1


def test_late_faces_are_late_for_the_zone_they_are_in(make):
    """Each face is told for its own zone and the site."""
    ground = Ground("yard", (LEFT,))
    assert ground.late([make.face(0.2), make.face(0.8), make.face(0.9)]) == {"hall": 1, "yard": 2, "_site": 3}


SCREEN = [(0.6, 0.3), (0.9, 0.3), (0.9, 0.7), (0.6, 0.7)]


def test_nobody_is_counted_in_an_ignored_area(make):
    """A face on a screen is nobody; a person beside it counts, by the middle of the face."""
    ignoring = make.config(cameras=[CameraConfig(id="door", ignore=[SCREEN])])
    on_screen = walk(make, (0.61, 0.64, 0.67, 0.7, 0.73))
    assert len(run(make.config(), on_screen)[0]) == 1
    assert run(ignoring, on_screen)[0] == []
    assert [w.persons for w in run(ignoring, on_screen)[1]] == [0]
    assert len(run(ignoring, walk(make, (0.5, 0.52, 0.54, 0.56, 0.59)))[0]) == 1


def test_who_walks_past_a_screen_is_one_person(make):
    """Unseen for as long as the face is before it, as behind a pillar."""
    camera = CameraConfig(id="door", ignore=[[(0.4, 0.0), (0.5, 0.0), (0.5, 1.0), (0.4, 1.0)]])
    steps = tuple(0.2 + 0.03 * step for step in range(16))
    assert len(run(make.config(cameras=[camera]), walk(make, steps))[0]) == 1


@examples(50)
@given(st.lists(st.lists(POINT, max_size=3), min_size=3, max_size=12), st.lists(POINT, min_size=3, max_size=6))
def test_an_ignored_face_is_as_if_it_had_not_been_found(make, pictures, area):
    """Passages and windows are the same, late counts too: nothing of it gets any further."""
    found = {"all": make.stream(), "left": make.stream()}
    for step, points in enumerate(pictures):
        delay = 70 if step == len(pictures) - 1 else None  # the last picture is late
        found["all"].seen(5 + step / 5, *(make.face(*p) for p in points), delay=delay)
        found["left"].seen(5 + step / 5, *(make.face(*p) for p in points if not encloses(area, *p)), delay=delay)
    told = [s.ticks(20, 140) for s in found.values()]
    door = CameraConfig(id="door", zone="hall", ignore=[area])
    config = make.config(cameras=[door], zones=["hall"])
    assert run(config, told[0]) == run(config, told[1])


def test_late_faces_in_an_ignored_area_are_late_for_nobody(make):
    """Those beside it are."""
    ground = Ground("yard", ignored=[SCREEN])
    assert ground.late([make.face(0.7), make.face(0.8), make.face(0.95)]) == {"yard": 1, "_site": 1}
