"""The demo's films as they come out of the encoder."""

import av
import numpy as np
import pytest

from operate.simulation.demo.backdrop import backdrop
from operate.simulation.demo.clips import FPS, Cast, film, pictures
from operate.simulation.demo.scene import BOTH_WAYS, HEIGHT, LEAD_S, OUTWARDS, WIDTH, Phase, Walker, length_s, plan

pytestmark = pytest.mark.xdist_group("demo-film")  # which is made once
SHORT = (Phase(1.7, 1.0),)


@pytest.fixture(name="walkers", scope="module")
def _walkers():
    return plan(5, phases=SHORT)


@pytest.fixture(name="short_film", scope="module")
def _short_film(walkers, tmp_path_factory):
    return film(tmp_path_factory.mktemp("film") / "short.mp4", walkers, 5)


@pytest.fixture(name="again", scope="module")
def _again(walkers, tmp_path_factory):
    """The same film made once more, and how many pictures it told of on the way."""
    told: list[int] = []
    return film(tmp_path_factory.mktemp("film") / "again.mp4", walkers, 5, told.append), told


@pytest.fixture(name="frames", scope="module")
def _frames(short_film):
    """The film's pictures, decoded."""
    with av.open(str(short_film)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_film_is_h264_of_the_planned_size_and_length(short_film, frames, walkers):
    """A camera reads it as H.264, 640x360, as long as the plan says."""
    with av.open(str(short_film)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", WIDTH, HEIGHT)
        assert stream.average_rate == FPS
    assert len(frames) == round(length_s(walkers) * FPS)


def test_same_seed_same_bytes(short_film, again):
    """The film is the same on every run, so that a miss can be repeated."""
    assert again[0].read_bytes() == short_film.read_bytes()


def test_other_seed_other_scene(short_film, walkers, tmp_path):
    """Another camera shows another hall."""
    assert film(tmp_path / "other.mp4", walkers, 6).read_bytes() != short_film.read_bytes()
    assert not np.array_equal(np.asarray(backdrop(5)), np.asarray(backdrop(6)))


def test_progress_reaches_every_picture(walkers, again):
    """The bar ends full: each picture is told once."""
    assert sum(again[1]) == round(length_s(walkers) * FPS)


def test_first_and_last_pictures_are_empty(frames):
    """At both ends the decoded film shows the empty hall."""
    empty = np.asarray(backdrop(5)).astype(int)
    for picture in (frames[0], frames[round(LEAD_S * FPS) - 1], frames[-1]):
        assert np.abs(picture - empty).mean() < 6


def test_film_shows_faces_where_the_plan_has_them(frames, walkers):
    """A person's face is where the truth says it is: skin there, hall a little later."""
    empty = np.asarray(backdrop(5)).astype(int)
    for walker in walkers:
        index = round((walker.enter_s + walker.seen_until_s) / 2 * FPS)
        x1, y1, x2, y2 = (round(c) for c in walker.face(index / FPS))
        inside = np.abs(frames[index] - empty)[y1:y2, x1:x2]
        assert inside.mean() > 20
    outside = np.abs(frames[round(LEAD_S * FPS) + 30] - empty)[:20, :].mean()
    assert outside < inside.mean()


def test_nearer_people_stand_before_farther_ones():
    """Where two overlap, the larger one is seen."""
    far, near = BOTH_WAYS[0], BOTH_WAYS[2]
    at = 6.0
    both = [
        Walker(1, at - (WIDTH / 2 + 364 * lane.scale / 2) / (260 * lane.scale), lane, False) for lane in (far, near)
    ]
    index = round(at * FPS)
    together, alone = (list(pictures(people, 1))[index] for people in (both, both[1:]))
    x1, y1, x2, y2 = (round(c) for c in both[1].face(at))
    x1, x2, y2 = x1 + 12, x2 - 12, y2 - 20  # within the face's outline
    assert np.array_equal(np.asarray(together)[y1:y2, x1:x2], np.asarray(alone)[y1:y2, x1:x2])
    assert not np.array_equal(np.asarray(together), np.asarray(alone))


def test_cast_draws_each_stance_once_and_forgets_who_has_left():
    """Drawing is done once per person and stance; who is gone takes no memory."""
    cast, walker = Cast(), Walker(1, 0.0, OUTWARDS[0], True)
    assert cast.picture(walker, 1.0) is cast.picture(walker, 1.0)
    assert len({id(cast.picture(walker, t / 50)) for t in range(100)}) == 6
    first = cast.picture(walker, 1.0)
    cast.forget(1.0)
    assert cast.picture(walker, 1.0) is first
    cast.forget(walker.leave_s + 1)
    assert cast.picture(walker, 1.0) is not first


def test_backdrop_is_a_scene_not_a_flat_wall():
    """The hall has light and dark, colours, and sensor grain."""
    picture = np.asarray(backdrop(1)).astype(int)
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert picture.std() > 25
    assert (picture.max(axis=2) - picture.min(axis=2)).max() > 60
    assert 1 < np.diff(picture[300, :, 0]).std() < 8
