"""The films of a simulation as they come out of the encoder, and how they are drawn."""

import av
import numpy as np
import pytest
from market import market

from testbed.simulation.backdrop import backdrop
from testbed.simulation.crowd_plan import Plan
from testbed.simulation.film import Cast, count, film, pictures
from testbed.simulation.walkers import FACE, HEIGHT, WIDTH, Walker, seen

pytestmark = pytest.mark.xdist_group("short-film")  # which is made once
PLAN = Plan.drawn(market((3, 1.0), seed=5))


def standing(seed: int, x: float, z: float) -> Walker:
    return Walker(seed, "unmasked", True, 0.0, (0.0, 10.0), ((x, z), (x, z)))


def drawn(*people: Walker, camera: int = 0) -> np.ndarray:
    """Return the film's first picture."""
    return np.asarray(next(pictures(Plan(PLAN.scenario, people, camera)))).astype(int)


@pytest.fixture(name="short_film", scope="module")
def _short_film(tmp_path_factory):
    return film(tmp_path_factory.mktemp("film") / "short.mp4", PLAN)


def test_film_is_h264_of_the_planned_size_and_length(short_film):
    """A camera reads it as H.264, 640x360, as long as the plan says; at its end it shows the empty hall."""
    with av.open(str(short_film)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", WIDTH, HEIGHT)
        assert stream.average_rate == PLAN.scenario.fps
        frames = [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]
    assert len(frames) == round(PLAN.scenario.length_s * PLAN.scenario.fps)
    assert np.abs(frames[-1] - np.asarray(backdrop(5))).mean() < 6


def test_same_plan_same_bytes(short_film, tmp_path):
    """The film is the same on every run, so that a miss can be repeated; and each picture is told once."""
    told: list[int] = []
    again = film(tmp_path / "again.mp4", PLAN, advance=lambda: told.append(1))
    assert again.read_bytes() == short_film.read_bytes()
    assert len(told) == count(PLAN)


def test_another_camera_shows_another_hall():
    """Cameras of one scenario stand in different places."""
    assert np.array_equal(drawn(), np.asarray(backdrop(5)))
    assert np.array_equal(drawn(camera=1), np.asarray(backdrop(6)))
    assert not np.array_equal(drawn(), drawn(camera=1))


def test_nearer_people_stand_before_farther_ones():
    """Where two overlap, the nearer one is seen."""
    far, near = standing(1, 0.0, 2.0), standing(2, 0.0, 1.7)
    together, alone = drawn(near, far), drawn(near)
    x1, y1, x2, y2 = (round(c) for c in seen(near, PLAN.scenario.view, 0.0).part(FACE))
    inner = slice(y1 + 4, y2 - 20), slice(x1 + 12, x2 - 12)  # within the face's outline
    assert np.array_equal(together[inner], alone[inner])
    assert not np.array_equal(together, alone)


def test_cast_draws_each_stance_once_and_forgets_who_has_left():
    """Drawing is done once per person, size and stance; who is gone takes no memory."""
    cast, walker = Cast(), Walker(1, "masked", True, 0.0, (0.0, 4.0), ((-1.0, 3.3), (1.0, 3.3)))
    view, picture = PLAN.scenario.view, backdrop(1)
    for at in np.arange(0, 4, 0.02):
        cast.put(picture, seen(walker, view, float(at)), float(at))
    assert len(cast._figures) == 1
    assert len(cast._pictures) == 6
    cast.forget(3.9)
    assert len(cast._pictures) == 6
    cast.forget(4.1)
    assert (cast._pictures, cast._figures) == ({}, {})


def test_backdrop_is_a_scene_not_a_flat_wall():
    """The hall has light and dark, colours, and sensor grain."""
    picture = np.asarray(backdrop(1)).astype(int)
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert picture.std() > 25
    assert (picture.max(axis=2) - picture.min(axis=2)).max() > 60
    assert 1 < np.diff(picture[300, :, 0]).std() < 8
