"""The filter of a face's motion, and how well a face explains a track: both against the textbook's formulas."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.aggregate.core.counting.motion import Location, Motion, gains

SHARE = st.floats(0.01, 0.99)
PLACE = st.builds(Location, SHARE, SHARE, st.floats(0.01, 0.2))


@given(PLACE, st.lists(st.tuples(st.floats(0.0, 2.0), PLACE), max_size=6))
def test_a_motion_is_a_kalman_filter_of_constant_velocity(first: Location, seen):
    """As matrices say it: state and covariance, predicted by white acceleration, corrected by each place."""
    motion = Motion.start(first)
    state = np.array([[first.x, first.y], [0.0, 0.0]])
    spread = np.diag([(0.25 * first.size) ** 2, (5.0 * first.size) ** 2])
    size = first.size
    for seconds, at in seen:
        motion.predict(seconds)
        step = np.array([[1.0, seconds], [0.0, 1.0]])
        noise = np.array([[seconds**3 / 3, seconds**2 / 2], [seconds**2 / 2, seconds]]) * (2.5 * size) ** 2
        state, spread = step @ state, step @ spread @ step.T + noise
        motion.correct(at)
        gain = spread[:, :1] / (spread[0, 0] + (0.25 * at.size) ** 2)
        state = state + gain * (np.array([at.x, at.y]) - state[0])
        spread = spread - gain @ spread[:1]
        size += (at.size - size) / 2
        assert np.array([[motion.x, motion.y], [motion.vx, motion.vy]]) == pytest.approx(state, rel=1e-6, abs=1e-9)
        assert np.array([[motion.a, motion.b], [motion.b, motion.c]]) == pytest.approx(spread, rel=1e-6, abs=1e-12)
        assert motion.size == pytest.approx(size)


def explains(track, unseen_s: float, face: Location, faces: int = 1) -> tuple[float, bool]:
    """Return by hand how much a face among so many explains, and whether the motion begins anew with it."""
    motion, jitter = track.motion, (0.25 * face.size) ** 2
    alike = 10.0 if track.is_waiting or faces < 8 else 10.0 - math.log(faces / 8)
    alike -= (math.log(motion.size / face.size) / (0.15 if track.is_waiting else 0.22)) ** 2

    def gain(x: float, y: float, spread: float) -> float:
        gap = ((x - face.x) ** 2 + (y - face.y) ** 2) / (spread + jitter)
        return alike - gap - 2 * math.log((spread + jitter) / motion.size**2) if gap <= 16.0 else -math.inf

    on = gain(motion.x, motion.y, motion.a)
    if track.is_waiting:
        anew = gain(track.seen.x, track.seen.y, (0.45 * motion.size) ** 2)
    else:
        anew = gain(track.seen.x, track.seen.y, (2.0 * motion.size) ** 2 * unseen_s) - 6.0
    return max(on, anew, 0.0), anew > on


@given(st.lists(st.tuples(PLACE, PLACE, st.floats(0.2, 2.0), st.booleans()), min_size=1, max_size=3), st.data())
def test_what_a_face_explains(tracks, data):
    """Going on as before, or beginning anew near the last place, whichever is likelier; far off or unlike: nothing."""
    followed = []
    for first, second, seconds, is_waiting in tracks:
        motion = Motion.start(first)
        motion.predict(seconds)
        motion.correct(second)
        motion.predict(seconds)
        followed.append(SimpleNamespace(motion=motion, seen=second, is_waiting=is_waiting))
    near = st.builds(
        lambda track, x, y, size: Location(track.seen.x + x, track.seen.y + y, track.motion.size * size),
        st.sampled_from(followed), st.floats(-0.2, 0.2), st.floats(-0.2, 0.2), st.floats(0.6, 1.6),
    )  # fmt: skip
    faces = data.draw(st.lists(near | PLACE, min_size=1, max_size=3))
    unseen = [seconds for _, _, seconds, _ in tracks]
    found, anew = gains(followed, unseen, faces)
    by_hand = [
        [explains(track, seconds, face, len(faces)) for face in faces]
        for track, seconds in zip(followed, unseen, strict=True)
    ]
    assert found == pytest.approx(np.array([[one for one, _ in row] for row in by_hand]), rel=1e-6, abs=1e-6)
    assert anew.tolist() == [[is_anew for _, is_anew in row] for row in by_hand]


def track_at(place: Location, *, is_waiting: bool) -> SimpleNamespace:
    """Return a track that was seen in one place for a while."""
    motion = Motion.start(place)
    for _ in range(10):
        motion.predict(0.2)
        motion.correct(place)
    return SimpleNamespace(motion=motion, seen=place, is_waiting=is_waiting)


def test_who_stood_is_expected_there_for_long():
    """A face where somebody stood half a minute ago is theirs; one four sizes beside it, or another's place, is not."""
    place, beside = Location(0.5, 0.3, 0.05), Location(0.7, 0.3, 0.05)
    standing, walking = track_at(place, is_waiting=True), track_at(place, is_waiting=False)
    for track in (standing, walking):
        track.motion.predict(30.0)
    found, anew = gains([standing, walking], [30.0, 30.0], [place, beside])
    assert found[0][0] > 5
    assert anew[0][0]
    assert found[0][1] == found[1][0] == 0


def test_a_crowd_makes_a_new_face_likelier():
    """Of forty faces one is less surely somebody's who was seen before than of eight; who stands is as sure as ever."""
    place, face = Location(0.5, 0.3, 0.05), Location(0.52, 0.3, 0.05)
    tracks = [track_at(place, is_waiting=is_waiting) for is_waiting in (False, True)]
    few, many = (gains(tracks, [0.2, 0.2], [face] * count)[0][:, 0] for count in (8, 40))
    assert few[0] - many[0] == pytest.approx(math.log(5))
    assert few[1] == many[1]
