"""The tracker: one camera, geometry only."""

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from services.aggregate.core.counting.tracking import Tracker

GAP = 1_000_000_000


def follow(make, pictures, min_hits=3, gap=GAP):
    """Return the confirmed tracks of these (step, faces), 200 ms a step."""
    tracker, tracks = Tracker(), []
    for step, faces in pictures:
        tracks += tracker.step(step * make.period, 1.0, faces, make.model, gap)
    tracks += tracker.close_before(None)
    return [t for t in tracks if t.hits >= min_hits]


def test_a_fast_walker_is_one_track(make):
    """A face that moves two of its sizes between pictures, so that boxes never overlap, is one person."""
    pictures = [(step, [make.face(0.05 + 0.08 * step, size=0.04)]) for step in range(11)]
    [track] = follow(make, pictures)
    assert track.hits == 11


def test_two_who_cross_stay_two(make):
    """Two walkers who meet keep their own ways: two tracks, none cut."""
    pictures = [
        (s, [make.face(0.1 + 0.05 * s, 0.50, 0.04, "masked"), make.face(0.9 - 0.05 * s, 0.53, 0.04, "unmasked")])
        for s in range(17)
    ]
    tracks = follow(make, pictures)
    assert sorted(t.collect().evidence.verdict() for t in tracks) == ["masked", "unmasked"]
    assert [t.hits for t in tracks] == [17, 17]


def test_missed_pictures_do_not_cut_a_track(make):
    """A face that is not found in some pictures is the same person when it comes out where it was heading."""
    pictures = [(s, [] if s in (4, 5, 6, 10) else [make.face(0.1 + 0.05 * s, size=0.04)]) for s in range(16)]
    [track] = follow(make, pictures)
    assert track.hits == 12


def test_a_track_ends_after_the_gap(make):
    """Not seen for longer than the gap, a person who comes again counts again."""
    here = [make.face(0.5)]
    stay = [(s, here) for s in range(5)]
    assert len(follow(make, [*stay, *[(s, here) for s in range(9, 15)]])) == 1
    assert len(follow(make, [*stay, *[(s, here) for s in range(10, 15)]])) == 2


def test_tracks_end_by_event_time_of_the_next_picture(make):
    """A track is given out by the first picture later than its last hit plus the gap, and not before."""
    tracker = Tracker()
    tracker.step(0, 1.0, [make.face()], make.model, GAP)
    assert tracker.step(GAP, 1.0, [], make.model, GAP) == []
    assert [t.last for t in tracker.step(GAP + 1, 1.0, [], make.model, GAP)] == [0]


def test_few_hits_do_not_confirm(make):
    """A detection of nobody, seen twice, is no person."""
    assert follow(make, [(0, [make.face()]), (1, [make.face()])]) == []


def test_a_jump_across_the_picture_is_somebody_else(make):
    """The gate: a known walker cannot be ten face sizes away at once."""
    pictures = [(s, [make.face(0.1, size=0.03)]) for s in range(5)]
    pictures += [(s, [make.face(0.9, size=0.03)]) for s in range(5, 10)]
    assert len(follow(make, pictures)) == 2


def test_a_face_of_another_size_is_somebody_else(make):
    """A face five times as large in the same place is not the same person."""
    pictures = [(s, [make.face(0.5, size=0.03)]) for s in range(4)] + [
        (s, [make.face(0.5, size=0.15)]) for s in range(4, 8)
    ]
    assert len(follow(make, pictures)) == 2


def test_a_picture_from_before_ends_every_track(make):
    """A clock that is behind (another holder of the lease) must not stretch a track backwards."""
    tracker = Tracker()
    for step in range(3):
        tracker.step(GAP * 100 + step * make.period, 1.0, [make.face()], make.model, GAP)
    assert len(tracker.step(GAP * 50, 1.0, [make.face()], make.model, GAP)) == 1
    assert [t.hits for t in tracker.close_before(None)] == [1]


def test_closing_before_a_moment_leaves_the_rest(make):
    """Only tracks last seen before the moment end."""
    tracker = Tracker()
    tracker.step(0, 1.0, [make.face(0.2), make.face(0.8)], make.model, GAP)
    tracker.step(100, 1.0, [make.face(0.8)], make.model, GAP)
    assert [t.last for t in tracker.close_before(100)] == [0]
    assert [t.last for t in tracker.close_before(101)] == [100]


@pytest.mark.parametrize(("per_second", "what"), [(0.3, "sparse"), (1.0, "medium"), (2.0, "busy")])
def test_walkers_are_counted_within_ten_percent(make, per_second, what):
    """People who cross, overlap, and are missed in a tenth of the pictures are counted within 10 % of the truth."""
    errors = []
    for seed in range(6):
        pictures, truth = make.walkers(seed, 60, per_second)
        errors.append(len(follow(make, pictures)) / truth - 1)
    assert abs(sum(errors) / len(errors)) < 0.05, (what, errors)
    assert max(map(abs, errors)) < 0.10, (what, errors)


@examples(30)
@given(st.integers(0, 10_000), st.randoms(use_true_random=False))
def test_the_order_of_faces_changes_nothing(make, seed, rng):
    """Faces of a picture in any other order give the same tracks, hit for hit."""
    pictures, _ = make.walkers(seed, 12, 2.0)
    shuffled = [(step, rng.sample(faces, len(faces))) for step, faces in pictures]

    def shape(tracks):
        return [(t.last, t.hits, t.motion.x, t.motion.y, t.collect().evidence.odds) for t in tracks]

    assert shape(follow(make, pictures)) == shape(follow(make, shuffled))


GRID = st.tuples(
    st.integers(1, 5), st.integers(1, 3), st.sampled_from(["masked", "unmasked", "incorrect", "unknown"]),
    st.sampled_from([0.9, 0.5, 0.3]), st.sampled_from([0.6, 0.9]),
)  # fmt: skip


@given(st.lists(st.lists(GRID, max_size=5), max_size=10), st.randoms(use_true_random=False))
def test_the_order_of_faces_changes_nothing_where_all_are_alike(make, pictures, rng):
    """Faces of one size in places of a grid, several in one place among them, fit many tracks as well as each other:
    whichever order they are listed in, the tracks are the same in every figure, and in the same order."""

    def shape(listed):
        faces = [
            (step, [make.face(x / 8, y / 8, 0.125, *rest) for x, y, *rest in row]) for step, row in enumerate(listed)
        ]
        return [
            (t.last, t.hits, t.motion.x, t.motion.y, t.collect().evidence.odds, t.collect().zones)
            for t in follow(make, faces, 1)
        ]

    assert shape(pictures) == shape([rng.sample(row, len(row)) for row in pictures])


def test_a_tie_is_broken_the_same_way_in_any_order(make):
    """A face half-way between two equal ones goes to the same one of them, whichever was listed first."""
    pair = [make.face(0.25, 0.5, 0.125, "masked"), make.face(0.75, 0.5, 0.125, "unmasked")]
    middle = [make.face(0.5, 0.5, 0.125, "unknown")]
    one, other = (follow(make, [(0, faces), (1, middle)], min_hits=1) for faces in (pair, pair[::-1]))
    assert [t.hits for t in one] == [2, 1]
    assert [(t.hits, t.collect().evidence.odds) for t in one] == [(t.hits, t.collect().evidence.odds) for t in other]


@given(st.lists(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.4)), max_size=6), max_size=12))
def test_every_strong_face_is_in_exactly_one_track(make, pictures):
    """Nothing is lost and nothing counted twice: hits of all tracks add up to the faces."""
    faces = [(step, [make.face(x, y, size) for x, y, size in row]) for step, row in enumerate(pictures)]
    assert sum(t.hits for t in follow(make, faces, min_hits=1)) == sum(len(row) for row in pictures)


def test_who_comes_in_where_another_left_is_somebody_else(make):
    """One walks out at the right edge, and within the gap another walks in there: two people."""
    leaves = [(s, [make.face(0.72 + 0.05 * s, size=0.05)]) for s in range(6)]
    comes = [(s, [make.face(0.97 - 0.05 * (s - 8), size=0.05)]) for s in range(8, 14)]
    assert [t.hits for t in follow(make, [*leaves, (6, []), (7, []), *comes])] == [6, 6]


def test_who_stands_at_the_edge_is_one(make):
    """Somebody who stands half out of the picture is not gone."""
    assert [t.hits for t in follow(make, [(s, [make.face(0.995, size=0.05)]) for s in range(12)])] == [12]


@pytest.mark.parametrize("then", [(0.5,) * 6, (0.45, 0.4, 0.35, 0.3, 0.25)], ids=["stops", "turns"])
def test_who_stops_or_turns_at_once_is_one(make, then):
    """A face that moves by one of its sizes a picture and stands or goes back in the next is the same person's."""
    way = [0.05 * step for step in range(2, 11)] + list(then)
    assert [t.hits for t in follow(make, [(s, [make.face(x, size=0.05)]) for s, x in enumerate(way)])] == [len(way)]


def test_who_comes_out_from_behind_somebody_is_one(make):
    """Hidden for two seconds and seen again a step away, within the gap: one person."""
    pictures = [(s, [make.face(0.3 + 0.01 * s, size=0.05)]) for s in range(8)]
    pictures += [(s, [make.face(0.42 + 0.01 * (s - 18), size=0.05)]) for s in range(18, 26)]
    assert [t.hits for t in follow(make, pictures, gap=3 * GAP)] == [16]


def stood(make, steps, x=0.5, size=0.05):
    """Return the pictures of somebody who stands, and sways by half a face, in these steps."""
    return [(s, [make.face(x + 0.5 * size * (s % 3 - 1), size=size)]) for s in steps]


@pytest.mark.parametrize(
    ("away_s", "people"), [(4, 1), (9, 1), (12, 2)], ids=["turns away", "for long", "for too long"]
)
def test_who_stands_and_turns_away_is_one(make, away_s, people):
    """Somebody who stood for three seconds may be away for ten times the gap of one second, and not for longer."""
    back = 16 + away_s * 5
    pictures = [*stood(make, range(16)), *[(s, []) for s in range(16, back)], *stood(make, range(back, back + 10))]
    assert len(follow(make, pictures)) == people


def test_who_stood_for_a_moment_is_waited_for_less(make):
    """Six times as long as they stood: after one second not for eight."""
    pictures = [*stood(make, range(6)), *[(s, []) for s in range(6, 48)], *stood(make, range(48, 56))]
    assert len(follow(make, pictures)) == 2


def test_who_walks_by_somebody_who_turned_away_is_somebody_else(make):
    """A person who passes before the place of one who is turned away is not taken for that one, who is then back."""
    walks = {s: make.face(0.1 + 0.05 * (s - 18), size=0.05) for s in range(18, 34)}
    stands = {s: faces[0] for s, faces in stood(make, [*range(16), *range(40, 50)])}
    pictures = [(s, [one[s] for one in (walks, stands) if s in one]) for s in range(50)]
    assert [t.hits for t in follow(make, pictures)] == [16, 26]


def test_a_window_ends_the_track_of_who_turned_away(make):
    """A closing window waits for nobody: who was last seen before its end is counted in it."""
    tracker = Tracker()
    for step, faces in stood(make, range(16)):
        tracker.step(step * make.period, 1.0, faces, make.model, GAP)
    assert tracker.step(30 * make.period, 1.0, [], make.model, GAP) == []
    assert [t.hits for t in tracker.close_before(20 * make.period)] == [16]


def test_the_lights_go_off_before_a_queue(make):
    """Five who wait are five, though nothing is seen for eight seconds."""
    row = [0.1, 0.3, 0.5, 0.7, 0.9]
    lit = [[make.face(x, size=0.05) for x in row] if s < 20 or s >= 60 else [] for s in range(80)]
    assert [t.hits for t in follow(make, list(enumerate(lit)))] == [40] * 5


def away(metres: float):
    """A face of 17 cm so many metres before a camera that sees 60 degrees, as a share of the picture's width."""
    return 0.17 / (1.155 * metres)


@pytest.mark.parametrize(
    ("way", "stayed"),
    [
        (lambda s: (0.1 + 0.04 * s, 0.05), False),
        (lambda s: (0.5, away(9 - 0.28 * s)), False),
        (lambda s: (0.5, away(4 + 0.28 * s)), False),
        (lambda s: (0.5 + 0.01 * (s % 2), 0.05), True),
        (lambda s: (0.5, 0.05 * (1 + 0.1 * (s % 2))), True),
        (lambda s: (0.5 + 0.02 * (s if s < 10 else 20 - s), 0.05), True),
    ],
    ids=["walks across", "walks towards the camera", "walks away", "sways", "nods", "leans over and back"],
)
def test_who_neither_came_nor_went_is_known(make, way, stayed):
    """Who is lost where they were found, in one size, did not pass; of who walks the one or the other changes."""
    [track] = follow(make, [(s, [make.face(way(s)[0], size=way(s)[1])]) for s in range(21)])
    assert track.stayed is stayed


@pytest.mark.parametrize(("pictures", "stayed"), [(3, False), (15, False), (16, True)])
def test_of_who_was_seen_for_a_moment_nothing_is_known(make, pictures, stayed):
    """Half a second of somebody who walks towards the camera looks like somebody who stands."""
    [track] = follow(make, [(s, [make.face(0.5)]) for s in range(pictures)])
    assert track.stayed is stayed
