"""`moretta simulate` as people type it: a film with its truth, and mistakes."""

import av
import msgspec
import numpy as np
import pytest
from annotated import portraits
from command_line import moretta
from market import market

from testbed.simulation.backdrop import backdrop
from testbed.simulation.crowd_plan import Plan, Truth
from testbed.simulation.film import film
from testbed.simulation.scenario import BUILT_IN, load_scenario
from testbed.simulation.walkers import FACE, HEIGHT, WIDTH

pytestmark = pytest.mark.xdist_group("simulate-film")
SHORT = """
phases: [{seconds: 12, arrivals_per_minute: 90, masked: 0.5, incorrect: 0.2}]
people: {towards: 0.3, away: 0.2}
freezes: [{start: 6, seconds: 1}]
outages: [{start: 8, seconds: 0.5}]
lights: [{start: 9, seconds: 1, level: 0.3}]
seed: 4
fps: 5
"""


HALF = """
phases: [{seconds: 6, arrivals_per_minute: 90, masked: 0}]
people: {towards: 0.3, away: 0.2}
seed: 4
fps: 5
"""
BRIEF = HALF.replace("seconds: 6", "seconds: 2")


@pytest.fixture(name="file", scope="module")
def _file(tmp_path_factory):
    file = tmp_path_factory.mktemp("scenario") / "short.yaml"
    file.write_text(SHORT)
    return file


@pytest.fixture(name="made", scope="module")
def _made(file):
    """The film's path, and its truth."""
    out = file.with_name("clip.mp4")
    run = moretta("simulate", file, "--out", out, "--truth", file.with_name("truth.json"), limit_s=100)
    assert run.returncode == 0, run.stderr
    true = msgspec.json.decode(file.with_name("truth.json").read_bytes(), type=Truth)
    assert f"{len(true.passages)} people who count as seen in 12 s, seed 4" in run.stdout
    return out, true


def decoded(path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]


def check_faces(frames: list[np.ndarray], plan: Plan, pictures: range) -> None:
    """Something is drawn in each box of a wholly free face, and there are such faces."""
    empty, looked = np.asarray(backdrop(plan.scenario.seed)).astype(int), 0
    for index in pictures:
        for face in plan.faces(index / plan.scenario.fps):
            x1, y1, x2, y2 = (round(c * side) for c, side in zip(face.box, (WIDTH, HEIGHT) * 2, strict=True))
            if face.visible == 1 and x2 - x1 > 10:
                looked += 1
                assert np.abs(frames[index] - empty)[y1:y2, x1:x2].mean() > 12, (index, face)
    assert looked >= 5


def test_the_film_shows_the_plan(made, file):
    """As many pictures as the scenario says, and in each of them a figure where a face is, for those wholly free."""
    out, true = made
    frames, plan = decoded(out), Plan.drawn(load_scenario(str(file)))
    assert len(frames) == 60
    assert frames[0].shape == (HEIGHT, WIDTH, 3)
    check_faces(frames, plan, range(30))
    assert true.passages == plan.passages("film")


def test_faces_are_in_place_in_the_demos_view(tmp_path):
    """The camera of `market` looks down steeply and is near: there, too, a figure is where a face is."""
    plan = Plan.drawn(market((6, 0.5), seed=4))
    frames = decoded(film(tmp_path / "market.mp4", plan))
    check_faces(frames, plan, range(0, len(frames), 3))


def test_frozen_black_and_dark_pictures(made):
    """A freeze repeats one picture, an outage is black, and the light goes down."""
    frames = decoded(made[0])
    assert np.abs(frames[34] - frames[31]).mean() < 1.5
    assert np.abs(frames[35] - frames[34]).mean() > 2 * np.abs(frames[34] - frames[33]).mean()
    assert max(frame.mean() for frame in frames[40:43]) < 5
    assert frames[47].mean() < 0.5 * frames[44].mean()


def test_help_names_the_built_in_scenarios():
    """All of them."""
    shown = " ".join(moretta("simulate", "--help").stdout.replace("│", " ").split())
    assert f"a YAML file, or {', '.join(BUILT_IN)}" in shown


def test_a_seed_fixes_the_film(tmp_path):
    """The same again is the same bytes; another seed is another film with another truth."""
    file, first, again, other = (tmp_path / name for name in ("brief.yaml", "first.mp4", "again.mp4", "other.mp4"))
    file.write_text(BRIEF)
    for out in (first, again):
        assert moretta("simulate", file, "--out", out).returncode == 0
    assert again.read_bytes() == first.read_bytes()
    run = moretta("simulate", file, "--out", other, "--seed", 5, "--truth", "-")
    assert run.returncode == 0
    assert msgspec.json.decode(run.stdout[: run.stdout.rindex("}") + 1], type=Truth).seed == 5
    assert other.read_bytes() != again.read_bytes()


def test_heads_from_photos(tmp_path):
    """With a folder of photos the heads are theirs, and all else stays."""
    photos, bare, out = portraits(tmp_path / "photos"), tmp_path / "bare.yaml", tmp_path / "people.mp4"
    bare.write_text(HALF)
    run = moretta("simulate", bare, "--out", out, "--people", photos)
    assert run.returncode == 0, run.stderr
    frames, plan = decoded(out), Plan.drawn(load_scenario(str(bare)))
    drawn = moretta("simulate", bare, "--out", tmp_path / "drawn.mp4")
    assert drawn.returncode == 0
    differing, others = [], decoded(tmp_path / "drawn.mp4")
    for index in range(30):
        for one in plan.people(index / 5):
            x1, y1, x2, y2 = (round(c) for c in one.part(FACE))
            if one.walker.shows_face and x1 >= 0 and y1 >= 0 and x2 <= WIDTH and y2 <= HEIGHT and one.size > 20:
                differing.append(np.abs(frames[index] - others[index])[y1:y2, x1:x2].mean())
    assert np.median(differing) > 8


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["sparse"], "moretta simulate: needs one of --out FILE.mp4, --bus and --truth FILE alone"),
        (["sparse", "--out", "a.mp4", "--bus"], "moretta simulate: needs one of"),
        (["sparse", "--bus"], "moretta simulate: --bus: needs -c FILE"),
        (["sparse", "--truth", "t", "--people", "p"], "moretta simulate: --people: is for a film; give --out too"),
        (["sprase", "--truth", "t"], "SCENARIO: 'sprase' is no file here; "),
        (["sparse", "--out", "a.txt"], "moretta simulate: --out: 'a.txt' is no film; end it in .mp4"),
        (
            ["sparse", "--out", "nowhere/a.mp4"],
            "moretta simulate: --out: 'nowhere/a.mp4' cannot be written: No such file",
        ),
        (["sparse", "--out", "a.mp4", "--people", "nowhere"], "moretta simulate: --people: nowhere: no such folder"),
        (["sparse", "--bus", "-c", "x.yaml", "--truth", "no/t"], "moretta simulate: --truth: 'no/t' cannot be written"),
        (["sparse", "--bus", "-c", "nowhere.yaml"], "nowhere.yaml: cannot be read: "),
    ],
)
def test_a_users_mistake_is_one_line(arguments, told, tmp_path, monkeypatch):
    """Exit code 2, no traceback, nothing written."""
    monkeypatch.chdir(tmp_path)
    run = moretta("simulate", *arguments)
    assert (run.returncode, run.stdout, len(run.stderr.splitlines())) == (2, "", 1), run.stderr
    assert run.stderr.startswith(told)
    assert list(tmp_path.iterdir()) == []
