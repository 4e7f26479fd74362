"""Which pictures of a still scene are left out, and that nothing that moves is: services.ingest.core.unmoved."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.core.unmoved import GRID, SECOND_NS, SETTLE_NS, Unmoved, differs, grid_of

STEP_NS = SECOND_NS // 5
SHAPE = 360, 640


def scene(seed: int, noise: float, *, shape: tuple[int, int] = SHAPE, drawn: int = 0) -> np.ndarray:
    """A scene of blocks, with a sensor's noise; `drawn` is the noise's seed."""
    blocks = np.random.default_rng(seed).integers(20, 220, (shape[0] // 40 + 1, shape[1] // 40 + 1))
    picture = np.kron(blocks, np.ones((40, 40)))[: shape[0], : shape[1]]
    return np.clip(picture + np.random.default_rng(drawn).normal(0, noise, shape), 0, 255).astype(np.uint8)


def with_person(picture: np.ndarray, left: int, top: int, *, width: int, step: int) -> np.ndarray:
    """The same picture with somebody of this width, thrice as high, brighter or darker by `step`."""
    changed = picture.astype(int)
    changed[top : top + 3 * width, left : left + width] += step
    return np.clip(changed, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("noise", [0.0, 3.0, 8.0, 15.0])
def test_of_a_still_scene_one_a_second_is_analysed(noise):
    """After two seconds, and noise is no movement."""
    unmoved = Unmoved()
    left = [unmoved.leaves_out(scene(1, noise, drawn=n), n * STEP_NS) for n in range(50)]
    settled = SETTLE_NS // STEP_NS
    assert not any(left[: settled + 1])
    analysed = [n for n, out in enumerate(left) if not out and n >= settled]
    assert analysed == list(range(settled, 50, 5))


@given(
    st.integers(0, 600), st.integers(0, 280), st.integers(24, 80), st.sampled_from([-60, -35, 35, 60]),
    st.sampled_from([0.0, 3.0]),
)  # fmt: skip
def test_who_comes_is_analysed_at_once(left, top, width, step, noise):
    """A person 24 pixels wide, whose face has 8, or wider: in the first picture that shows them, at any place."""
    unmoved = Unmoved()
    for number in range(40):
        unmoved.leaves_out(np.full(SHAPE, 120, np.uint8), number * STEP_NS)
    assert unmoved.is_still
    noisy = np.clip(120 + np.random.default_rng(left).normal(0, noise, SHAPE), 0, 255).astype(np.uint8)
    comes = with_person(noisy, left, top, width=width, step=step)
    assert not unmoved.leaves_out(comes, 40 * STEP_NS)
    assert not unmoved.is_still
    assert not unmoved.leaves_out(comes, 41 * STEP_NS), "and for two seconds after"


@pytest.mark.parametrize("share", [0.1, 0.45, 0.55, 0.7, 1.0])
@pytest.mark.parametrize("step", [15, 60])
def test_however_much_changes_is_seen(share, step):
    """Somebody before the lens, a vehicle, a light: more than half of the picture is not taken for its noise."""
    unmoved = Unmoved()
    for number in range(41):
        unmoved.leaves_out(scene(3, 3.0, drawn=number), number * STEP_NS)
    picture = scene(3, 3.0, drawn=99).astype(int)
    picture[:, : round(share * SHAPE[1])] += step
    assert not unmoved.leaves_out(np.clip(picture, 0, 255).astype(np.uint8), 41 * STEP_NS)


@given(st.integers(1, 12))
def test_who_comes_slowly_is_seen(pixels):
    """They are compared with the last analysed picture, so that a little at a time is not nothing."""
    unmoved, seen = Unmoved(), 0
    for number in range(60):
        left = max(0, number - 25) * pixels
        picture = with_person(scene(2, 0.0), left, 100, width=40, step=40)
        seen += not unmoved.leaves_out(picture, number * STEP_NS) and number > 26
    assert seen > 20


def test_the_first_picture_of_a_connection_is_analysed():
    """So is one of another size, and one that is older than the last."""
    unmoved = Unmoved()
    for number in range(41):
        unmoved.leaves_out(scene(1, 0.0), number * STEP_NS)
    assert unmoved.leaves_out(scene(1, 0.0), 41 * STEP_NS)
    assert not unmoved.leaves_out(scene(1, 0.0, shape=(352, 640)), 41 * STEP_NS)
    assert not unmoved.leaves_out(scene(1, 0.0, shape=(352, 640)), 3 * STEP_NS)
    unmoved.forget()
    assert not unmoved.leaves_out(scene(1, 0.0, shape=(352, 640)), 4 * STEP_NS)


@given(st.integers(16, 700), st.integers(16, 700))
def test_every_size_has_the_same_grid(height, width):
    """45 by 80 means of four pixels, of pictures smaller than that, too."""
    grid = grid_of(np.full((height, width), 200, np.uint8))
    assert grid.shape == GRID
    assert (grid == 200).all()
    assert not differs(grid, grid)
