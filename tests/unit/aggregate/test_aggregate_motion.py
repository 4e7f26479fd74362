"""The filter of a face's motion, and how well a face explains a track: both against the textbook's formulas."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.aggregate.core.association import gains
from services.aggregate.core.geometry import Location
from services.aggregate.core.motion import Motion

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


def explains(track, unseen_s: float, face: Location) -> tuple[float, bool]:
    """Return by hand how much a face explains, and whether the motion begins anew with it."""
    motion, jitter = track.motion, (0.25 * face.size) ** 2
    alike = 10.0 - (math.log(motion.size / face.size) / 0.22) ** 2

    def gain(x: float, y: float, spread: float) -> float:
        gap = ((x - face.x) ** 2 + (y - face.y) ** 2) / (spread + jitter)
        return alike - gap - 2 * math.log((spread + jitter) / motion.size**2) if gap <= 16.0 else -math.inf

    on = gain(motion.x, motion.y, motion.a)
    anew = gain(track.seen.x, track.seen.y, (2.0 * motion.size) ** 2 * unseen_s) - 6.0
    return max(on, anew, 0.0), anew > on


@given(st.lists(st.tuples(PLACE, PLACE, st.floats(0.2, 2.0)), min_size=1, max_size=3), st.data())
def test_what_a_face_explains(tracks, data):
    """Going on as before, or beginning anew near the last place, whichever is likelier; far off or unlike: nothing."""
    followed = []
    for first, second, seconds in tracks:
        motion = Motion.start(first)
        motion.predict(seconds)
        motion.correct(second)
        motion.predict(seconds)
        followed.append(SimpleNamespace(motion=motion, seen=second))
    near = st.builds(
        lambda track, x, y, size: Location(track.seen.x + x, track.seen.y + y, track.motion.size * size),
        st.sampled_from(followed), st.floats(-0.2, 0.2), st.floats(-0.2, 0.2), st.floats(0.6, 1.6),
    )  # fmt: skip
    faces = data.draw(st.lists(near | PLACE, min_size=1, max_size=3))
    unseen = [seconds for _, _, seconds in tracks]
    found, anew = gains(followed, unseen, faces)
    by_hand = [
        [explains(track, seconds, face) for face in faces] for track, seconds in zip(followed, unseen, strict=True)
    ]
    assert found == pytest.approx(np.array([[one for one, _ in row] for row in by_hand]), rel=1e-6, abs=1e-6)
    assert anew.tolist() == [[is_anew for _, is_anew in row] for row in by_hand]
