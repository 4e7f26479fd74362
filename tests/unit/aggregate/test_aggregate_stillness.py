"""Whether a track is a static face or a person, with the tracker around it: what hangs on a wall is nobody."""

import random

import pytest
from wall import ASPECT, SECOND, Walker, Wall, Wander, sighting

from services.aggregate.core.motion import Location
from services.aggregate.core.places import NOWHERE, Places, cell_of
from services.aggregate.core.stillness import CALM, HOLD, Stillness
from services.aggregate.core.tracking import Tracker

PORTRAIT = (0.5, 0.2, 0.05, "unmasked")
GAP = 3 * SECOND


def places_of(*portraits):
    """Return the places of these portraits, as they are learnt."""
    return Places.of(cell_of(Location(x, y, size)) for x, y, size, _ in portraits)


def people(pictures, places, min_hits=3, gap=GAP):
    """Return the verdicts of the tracks that are people, in the order in which they end."""
    tracker, ended = Tracker(), []
    for at, faces in pictures:
        ended += tracker.step(round(at * SECOND), ASPECT, faces, "m", gap, places=places)
    ended += tracker.close_before(None)
    return [track.evidence.verdict() for track in ended if track.stillness.most >= min_hits]


def stands(start, x, y, size, seconds, verdict="masked"):
    """Return somebody who comes from the left, stands at a place for some seconds, and walks on."""
    return Walker(start, 1, 2 * size, y, size, verdict, stop_at=x, stop_s=seconds)


def test_a_portrait_is_nobody_where_it_is_known():
    """However often it is hidden or missed; where it is not known it is somebody who stands."""
    hidden = [(at, faces if at % 20 < 15 else []) for at, faces in Wall(1, 300, 0, [PORTRAIT]).pictures()]
    assert people(hidden, places_of(PORTRAIT)) == []
    assert len(people(hidden, NOWHERE)) == 1


@pytest.mark.parametrize("noise", [0.005, 0.01, 0.015])
def test_the_detectors_noise_makes_nobody_of_it(noise):
    """An hour of pictures, a box in a hundred off by half a face."""
    rng, wall = random.Random(7), Wall(2, 3_600, 0, [PORTRAIT], jitter=noise)
    off = sighting(0.5 + 0.025, 0.2 + 0.025, 0.05, "unmasked")
    pictures = ((at, [off] if faces and rng.random() < 0.01 else faces) for at, faces in wall.pictures())
    assert people(pictures, places_of(PORTRAIT)) == []


def test_a_walker_who_crosses_the_place_is_one_person():
    """Of whom there are only a few sightings, some of them in the place."""
    for speed in (0.01, 0.02, 0.05, 0.08):
        pictures = [(n / 5, [sighting(0.3 + speed * n, 0.2, 0.05, "masked")]) for n in range(round(0.4 / speed))]
        assert people(pictures, places_of(PORTRAIT)) == ["masked"], speed


def stopping(seed, seconds, size):
    """Yield pictures of somebody who stands before a portrait, hides it, and walks on."""
    rng = random.Random(seed)
    sway = [Wander(rng, 0.05 * size, 2.0), Wander(rng, 0.03 * size, 2.0)]
    person = stands(20, 0.5, 0.2, size, seconds)
    for at, faces in Wall(seed, 60 + seconds, 0, [PORTRAIT]).pictures():
        x = person.x(at) + sway[0].at(at)
        is_here, hides = at >= person.start and 0 <= x <= 1 and rng.random() > 0.1, abs(x - 0.5) < 0.05
        one = [sighting(x, person.y + sway[1].at(at), size, "masked")] if is_here else []
        yield at, [*one, *([] if hides and at >= person.start else faces)]


@pytest.mark.parametrize("seconds", [2, 8, 20, 60, 180])
def test_somebody_who_stops_before_a_portrait_is_one_person(seconds):
    """They hide it, stand as people do, and go on. Nobody is lost; one in twenty counts twice, and one in six whose
    face comes to be just as large as the portrait, just there, for minutes.
    """
    for size, twice in ((0.045, 2), (0.052, 3), (0.07, 2)):
        found = [people(stopping(seed, seconds, size), places_of(PORTRAIT)) for seed in range(12)]
        assert all("masked" in one for one in found), (size, found)
        assert sum(len(one) - 1 for one in found) <= twice, (size, found)


def test_a_person_whose_track_goes_over_to_a_portrait_is_counted_once_and_soon():
    """They end beside one that was hidden until then: its face is theirs for no longer than three minutes. Somebody
    who comes later is somebody else.
    """
    places, tracker, ended = places_of(PORTRAIT), Tracker(), []
    for step in range(1_100):
        if step < 10 or 1_000 <= step < 1_010:
            faces = [sighting(0.41 + 0.01 * (step % 1_000), 0.2, 0.05, "masked")]
        else:
            faces = [sighting(*PORTRAIT)]
        ended += [(step / 5, t) for t in tracker.step(step * SECOND // 5, ASPECT, faces, "m", GAP, places=places)]
    ended += [(220, t) for t in tracker.close_before(None)]
    real = [(at, t.evidence.verdict()) for at, t in ended if t.stillness.most >= 3]
    assert [verdict for _, verdict in real] == ["masked", "masked"]
    assert real[0][0] < 190


def test_a_portraits_track_that_goes_over_to_a_person_is_that_person():
    """Who takes it along, from where it hung for a minute: one person, with a verdict from their own face alone."""

    def pictures():
        for step in range(330):
            if step < 300:
                yield step / 5, [sighting(*PORTRAIT)]
            else:
                yield step / 5, [sighting(0.5 + 0.012 * (step - 299), 0.2, 0.05, "masked")]

    assert people(pictures(), places_of(PORTRAIT)) == ["masked"]


def test_somebody_who_moves_within_the_place_is_a_person():
    """Whose face is nowhere else, as at a counter before a portrait: they move more than it does."""
    rng = random.Random(3)
    sway = [Wander(rng, 0.25 * 0.05, 3.0), Wander(rng, 0.1 * 0.05, 3.0)]
    pictures = [
        (n / 5, [sighting(0.5 + sway[0].at(n / 5), 0.2 + sway[1].at(n / 5), 0.05, "masked")]) for n in range(300)
    ]
    assert people(pictures, places_of(PORTRAIT)) == ["masked"]


def test_a_track_that_rests_where_a_place_becomes_known_is_a_portrait_from_then_on():
    """It hung there all the time. Somebody who stands there just then, and came from elsewhere, stays a person."""
    for way, wanted in (([(0.5, 0.2)] * 20, []), ([(0.3 + 0.01 * n, 0.2) for n in range(20)], ["masked"])):
        tracker = Tracker()
        for step, (x, y) in enumerate(way):
            tracker.step(step * SECOND // 5, ASPECT, [sighting(x, y, 0.05, "masked")], "m", GAP)
        tracker.settle(places_of(PORTRAIT))
        for step in range(20, 30):
            face = [sighting(0.5, 0.2, 0.05, "masked")]
            assert tracker.step(step * SECOND // 5, ASPECT, face, "m", GAP, places=places_of(PORTRAIT)) == []
        [track] = tracker.close_before(None)
        assert [track.evidence.verdict()] * (track.stillness.most >= 3) == wanted


def test_without_known_places_all_is_as_before():
    """Every sighting is free: a person is confirmed by as many as before."""
    tracker, ended = Tracker(), []
    for at, faces in Wall(9, 60, 40).pictures():
        ended += tracker.step(round(at * SECOND), ASPECT, faces, "m", GAP)
    assert all(track.stillness.most == track.hits for track in [*ended, *tracker.close_before(None)])
    assert len(ended) > 20


def test_the_limits_are_as_they_are_said():
    """`CALM` still sightings make a static face and end a row of free ones; so many at another point move the mean; a
    person's track has ended after `HOLD`.
    """
    here, places = Location(0.5, 0.2, 0.05), places_of(PORTRAIT)
    there, away = Location(0.52, 0.2, 0.05), Location(0.1, 0.2, 0.05)
    track = Stillness(0)
    found = [(track.add(n, here, places), track.is_static) for n in range(CALM)]
    assert found == [(False, False), (False, False), (False, True)]
    assert [track.add(n, there, places) for n in range(CALM + 1)] == [True] * CALM + [False]
    assert (track.free, track.most, track.is_static) == (CALM, CALM, False)
    assert track.add(7, away, places)
    assert [(track.add(8 + n, there, places), track.free) for n in range(CALM)][-2:] == [(False, 4), (False, 0)]
    assert (track.most, track.is_at_rest(there), track.is_at_rest(here)) == (4, True, False)
    assert (track.has_ended(7 + HOLD), track.has_ended(8 + HOLD)) == (False, True)
