"""A face that hangs on a wall is nobody: what is learnt, for how long it is kept, and what it does to the figures."""

import random
from collections import Counter

import pytest
from msgspec import structs
from wall import SECOND, START, Wall, cashier, sleeper, stream

from proto.codec import decode, encode
from proto.public import WindowV1
from proto.sightings import PassageV1, StaticFacesV1
from proto.subjects import STATIC_FACES
from services.aggregate.core import static_faces
from services.aggregate.core.motion import Location
from services.aggregate.core.places import NOWHERE, cell_of
from services.aggregate.core.site import SiteCore
from services.aggregate.core.static_faces import FORGET, LEARN, MOST, StaticFaces, is_learnt
from services.sites.settings import TrackingSettings

WINDOW = 1_200 * SECOND
HERE, THERE = Location(0.5, 0.2, 0.05), Location(0.2, 0.3, 0.08)


def closed(known, *windows, window=WINDOW, start=0):
    """Close windows with these places of the camera `door`; returns the message of the last one."""
    for number, places in enumerate(windows, 1):
        message = known.close(start + number * window, window, {"door": places})
    return message


def test_a_place_is_known_after_an_hour_and_three_windows():
    """Whichever is later; until then the camera is learning."""
    for window, count in ((300 * SECOND, 12), (WINDOW, 3), (3_600 * SECOND, 3)):
        known = StaticFaces("market")
        for number in range(1, count + 1):
            assert (known.is_learning("door"), known.places("door")) == (True, NOWHERE)
            closed(known, [HERE], window=window, start=(number - 1) * window)
        assert (known.is_learning("door"), known.places("door").hold(HERE)) == (False, True)
        assert (known.fresh("door"), known.fresh("gate")) == (known.places("door"), NOWHERE)
        closed(known, [HERE], window=window, start=count * window)
        assert known.fresh("door") == NOWHERE


def test_a_place_that_is_missed_before_it_is_known_begins_anew():
    """Two windows, none, two windows: nothing is known."""
    known = StaticFaces("market")
    message = closed(known, [HERE], [HERE], [], [HERE], [HERE])
    assert ([c.windows for c in message.cameras[0].cells], known.places("door")) == ([2], NOWHERE)


def test_a_known_place_is_forgotten_after_a_day_without_it():
    """Observed time alone counts: a night in which the camera was off forgets nothing."""
    known = StaticFaces("market")
    closed(known, *[[HERE]] * 3)
    closed(known, *[[]] * (FORGET // WINDOW - 1), *[None] * 100, start=3 * WINDOW)
    assert known.places("door").hold(HERE)
    closed(known, [HERE], *[[]] * (FORGET // WINDOW - 1), start=200 * WINDOW)
    assert known.places("door").hold(HERE)
    closed(known, [], start=400 * WINDOW)
    assert known.places("door") == NOWHERE


def test_a_window_that_says_nothing_changes_nothing():
    """Neither for nor against: what was observed only partly is no evidence."""
    known = StaticFaces("market")
    before = closed(known, [HERE], [HERE])
    after = closed(known, None, start=2 * WINDOW)
    assert structs.replace(after, until=before.until) == before


def test_a_face_on_a_cells_border_stays_one_place():
    """Its mean place comes to lie on this side and on that; a second face close by gets a cell of its own."""
    known, side = StaticFaces("market"), 2.0**-5
    left, right = (Location(16 * side + off, 16.5 * side, 0.05) for off in (-0.001, 0.001))
    message = closed(known, [left], [right], [left])
    assert [is_learnt(cell) for cell in message.cameras[0].cells] == [True]
    beside = Location(16 * side + 0.05, 16.5 * side, 0.05)
    message = closed(known, [left, beside], [beside, right], start=3 * WINDOW)
    assert [is_learnt(cell) for cell in message.cameras[0].cells] == [True, False]


def test_only_so_many_cells_are_kept():
    """Those that were held longest: a wall of a thousand faces, or a forger, fills nothing."""
    known = StaticFaces("market")
    many = [Location(x / 40, y / 40, 0.02) for x in range(40) for y in range(20)]
    message = closed(known, [HERE], [HERE, *many])
    [camera] = message.cameras
    assert len(camera.cells) == MOST
    assert [cell.windows for cell in camera.cells].count(2) == 1


def test_what_a_thousand_cameras_know_is_one_message():
    """NATS takes no message of more than a mebibyte."""
    known = StaticFaces("market")
    walls = [Location(x / 60 + 0.01, y / 20 + 0.01, 0.012) for x in range(60) for y in range(2)]
    names = [f"a-camera-with-a-long-name-{n:05}" for n in range(10)]
    for window, places in enumerate([walls, walls, walls, []], 1):
        message = known.close(window * WINDOW, WINDOW, dict.fromkeys(names, places))
    assert [len(camera.cells) for camera in message.cameras] == [MOST] * 10
    assert 100 * len(encode(STATIC_FACES, message)) < 1 << 20


def test_a_camera_that_is_gone_is_forgotten():
    """Its places are no other camera's."""
    known = StaticFaces("market")
    closed(known, *[[HERE]] * 3)
    message = known.close(4 * WINDOW, WINDOW, {"gate": [THERE]})
    assert [camera.camera for camera in message.cameras] == ["gate"]
    assert (known.places("door"), known.is_learning("door")) == (NOWHERE, True)


def test_what_is_stored_holds_cells_and_nothing_finer():
    """Two faces in the same cell, of other places, sizes and histories of the window, give the same bytes."""
    one, two = StaticFaces("market"), StaticFaces("market")
    near = Location(0.509, 0.195, 0.047)
    assert cell_of(near) == cell_of(HERE)
    data = [encode(STATIC_FACES, closed(known, *[[place]] * 3)) for known, place in ((one, HERE), (two, near))]
    assert data[0] == data[1]
    assert decode(STATIC_FACES, data[0]).cameras[0].cells[0].held == LEARN


def test_a_start_goes_on_from_what_is_stored():
    """From each border: the same messages follow, and those that are stored are not told again."""
    windows = [[HERE], [HERE, THERE], [HERE], [THERE], [THERE], [THERE], []]
    first, stored = StaticFaces("market"), []
    for number, places in enumerate(windows):
        stored.append(closed(first, places, start=number * WINDOW))
    for cut in range(1, len(windows)):
        again = StaticFaces("market")
        again.restore(stored[:cut])
        for begins in range(cut + 1):
            again = StaticFaces("market")
            again.restore(stored[:cut])
            again.begin(begins * WINDOW, 2 * WINDOW)
            told = [closed(again, windows[n], start=n * WINDOW) for n in range(begins, len(windows))]
            assert [message for message in told if message is not None] == stored[cut:]


def test_after_a_hole_it_learns_again():
    """What ended longer ago than a start could read is forgotten, by who was there all the time too."""
    known = StaticFaces("market")
    closed(known, *[[HERE]] * 3)
    known.begin(4 * WINDOW, 2 * WINDOW)
    assert known.places("door").hold(HERE)
    known.begin(6 * WINDOW, 2 * WINDOW)
    assert (known.places("door"), known.is_learning("door")) == (NOWHERE, True)


def test_a_lost_stream_is_learnt_from_anew():
    """And nothing of what was stored in it comes back."""
    known = StaticFaces("market")
    message = closed(known, *[[HERE]] * 3)
    known.restore([message])
    known.forget()
    known.begin(3 * WINDOW, 2 * WINDOW)
    assert (known.places("door"), known.is_learning("door")) == (NOWHERE, True)
    assert closed(known, [HERE], start=3 * WINDOW).cameras[0].windows == 1


# --- with people ------------------------------------------------------------------------------------------------------


def counted(make, wall, window_s=300.0):
    """Return the passages, the windows and what was learnt of a wall."""
    core, found = SiteCore(make.config(window_s=window_s, lateness_s=5.0, tracking=TrackingSettings())), []
    for message in stream(wall):
        found += core.step(message)
    kinds = (PassageV1, WindowV1, StaticFacesV1)
    return tuple([one for one in found if isinstance(one, kind)] for kind in kinds)


def unlearnt(make, wall, monkeypatch):
    """Return the passages of a wall as they are without learning."""
    with monkeypatch.context() as patch:
        patch.setattr(static_faces, "WINDOWS", 1 << 30)
        return counted(make, wall)[0]


HOUR = 3_600


def error(passages, wall, since, until):
    """Return how far the people between two moments are off, as a share, and the rate, in points."""
    true = Counter(one.verdict for one in wall.people if one.hits >= 3 and since <= one.start < until)
    mine = Counter(p.verdict for p in passages if since <= (p.at - START) / SECOND < until)
    judged = mine["masked"] + mine["unmasked"]
    return mine.total() / true.total() - 1, 100 * (mine["masked"] / judged - true["masked"] / true.total())


SEEDS = [pytest.param(n, marks=[pytest.mark.long] * (n > 0)) for n in range(4)]


@pytest.mark.parametrize("seed", SEEDS)
def test_five_portraits_behind_passers_by_are_nobody_after_an_hour(make, seed):
    """People within 4 %, the rate within 2 points; before it, far too many, and a rate that is far too low."""
    wall = Wall(seed, HOUR + 1_800, per_minute=20)
    passages, windows, learnt = counted(make, wall)
    before, after = error(passages, wall, 0, HOUR), error(passages, wall, HOUR + 60, HOUR + 1_800)
    assert (before[0] > 0.04, before[1] < -10) == (True, True), before
    assert (abs(after[0]) < 0.04, abs(after[1]) < 2) == (True, True), after
    assert sum(map(is_learnt, learnt[-1].cameras[0].cells)) == 5
    assert [w.gaps for w in windows] == [["static-learning"]] * 12 + [[]] * 6


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("window_s", [300.0, pytest.param(1_200.0, marks=pytest.mark.long)])
def test_who_sits_or_sleeps_for_two_hours_is_a_person(make, seed, window_s, monkeypatch):
    """A cashier and somebody on a bench, a passage each time they end: as many as if nothing were learnt."""

    def wall():
        rng = random.Random(seed)
        people = [cashier(rng, 0.3, 0.3, 0.06), sleeper(rng, 0.7, 0.35, 0.05, until=2 * HOUR - 30)]
        return Wall(seed, 2 * HOUR, 0, [], fps=2, others=people)

    passages, _, learnt = counted(make, wall(), window_s)
    assert not any(map(is_learnt, learnt[-1].cameras[0].cells))
    assert [(p.at, p.code) for p in passages] == [(p.at, p.code) for p in unlearnt(make, wall(), monkeypatch)]
    assert Counter(p.verdict for p in passages)["masked"] >= 1


def test_somebody_who_never_stirs_counts_when_they_come_and_when_they_go(make):
    """Where somebody lies as still as a portrait for an hour, their place is learnt; they are not lost by that."""
    rng = random.Random(5)
    lies = sleeper(rng, 0.7, 0.35, 0.05, shift_s=1e9, until=5_000)
    wall = Wall(5, 5_400, 0, [], fps=2, others=[lies])
    passages, _, learnt = counted(make, wall)
    assert any(map(is_learnt, learnt[-1].cameras[0].cells))
    assert [p.verdict for p in passages][-1:] == ["masked"]
    assert passages[-1].at > START + 4_990 * SECOND


def test_a_poster_that_is_changed_for_another_is_learnt_again(make):
    """Of another size, at another place: an hour later it is nobody, and the old place is still known for a day."""

    def hangs(at):
        return (0.3, 0.2, 0.05, "unmasked") if at < 4_500 else (0.5, 0.25, 0.08, "unmasked")

    _, _, learnt = counted(make, Wall(6, 8_700, 2, [], fps=1, others=[hangs]))
    counts = {m.until // SECOND - START // SECOND: sum(map(is_learnt, m.cameras[0].cells)) for m in learnt}
    assert [counts[second] for second in (3_300, 3_600, 4_800, 7_800, 8_400)] == [0, 1, 1, 1, 2]
