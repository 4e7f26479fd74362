"""What a cheaper decoding costs: films of photos, and the figures of what is found in them."""

import numpy as np
import pytest
import skimage.data
from PIL import Image
from typer.testing import CliRunner

from bench import shortcuts as sut
from bench.shortcuts import SHORTCUTS, Seen, Sent, costs, enlarged, film, last_picture, looked, sway
from modelling.evaluation.labelled import Photo
from services.inference.model import load_model

FACE = (170.0, 65.0, 275.0, 195.0)
"""The astronaut's face in her portrait of 512 x 512 pixels."""


@pytest.fixture(name="portrait")
def _portrait(tmp_path):
    """A photo with one labelled face; films of it are short and small."""
    path = tmp_path / "portrait.png"
    Image.fromarray(skimage.data.astronaut()).save(path)
    return Photo(file=path.name, width=512, height=512, boxes=[FACE], label=["no_mask"]), path


SMALL = Sent(320, 25, 2_000_000)


@pytest.fixture(name="small")
def _small(monkeypatch):
    monkeypatch.setattr(sut, "ANALYSED", 320)


@pytest.mark.usefixtures("small")
def test_a_film_is_the_same_each_time_and_ends_before_its_second_key_frame():
    """So that each way of decoding sees the same, and all that is left out has added up."""
    photo = enlarged(skimage.data.astronaut(), SMALL)
    assert photo.shape == (320 + 2 * sut.SWAY_PX, 320 + 2 * sut.SWAY_PX, 3)
    content = film(photo, SMALL)
    assert content == film(photo, SMALL)
    with sut.av.open(sut.io.BytesIO(content)) as container:
        keys = [packet.is_keyframe for packet in container.demux(video=0) if packet.size]
    assert keys == [True] + [False] * (SMALL.pictures - 1)


@pytest.mark.usefixtures("small")
def test_the_shortcut_is_taken():
    """Without the loop filter the last picture is another one, and as large."""
    content = film(enlarged(skimage.data.astronaut(), SMALL), SMALL)
    (plain, _), (short, _) = (last_picture(content, options) for options in SHORTCUTS.values())
    assert plain.shape == short.shape == (480, 320)
    assert 0 < np.abs(plain.astype(int) - short.astype(int)).mean() < 8


@pytest.mark.usefixtures("small")
def test_faces_are_found_where_they_are_in_the_photo(portrait):
    """The sway is taken back, so that a box of the film fits the photo's."""
    for seen in looked(*portrait, load_model(), SMALL):
        assert (seen.hits, seen.right, seen.false_alarms) == ({0}, {0}, 0)
        assert seen.seconds > 0
    assert sway(SMALL.pictures - 1) != (sut.SWAY_PX, sut.SWAY_PX)


def test_costs_by_hand():
    """Of ten faces one was lost and two were won: +10 points, give or take the paired limits."""
    plain = [Seen(frozenset({0, 1, 2}), frozenset({0, 1}), 1, 2.0), Seen(frozenset({0}), frozenset({0}), 0, 2.0)]
    short = [Seen(frozenset({1, 2, 3}), frozenset({1}), 0, 1.5), Seen(frozenset({0, 1}), frozenset({0}), 0, 1.5)]
    base, other = costs(list(zip(plain, short, strict=True)), 10)
    assert (base.recall, base.recall_change, base.recall_limit, base.time) == (40.0, 0.0, 0.0, 1.0)
    assert (other.recall, other.recall_change, other.right, other.false_alarms) == (50.0, 10.0, 40.0, 0)
    assert other.recall_limit == pytest.approx(19.6 * 3**0.5)
    assert other.time == 0.75


def test_a_folder_without_annotations_is_one_line(tmp_path):
    """Exit code 2, and the file that is missing."""
    app = sut.typer.Typer()
    app.command()(sut.run)
    said = CliRunner().invoke(app, [str(tmp_path)])
    assert said.exit_code == 2
    assert said.stderr.startswith(f"bench.shortcuts: {tmp_path}")
