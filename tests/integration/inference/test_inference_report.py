"""The report: what is written, where, and what is never touched."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest
from annotated import annotate, portraits, with_errors
from fonts import open_fonts
from PIL import Image

from modelling.evaluation.labelled import InputError
from modelling.evaluation.measuring import evaluate_folder
from modelling.evaluation.report import MOST_CROPS, prepare, write_report

WRITTEN = ["by_size.png", "index.html", "reliability.png", "worst"]


@pytest.fixture(autouse=True, scope="module")
def _fonts():
    open_fonts()


@pytest.fixture(name="annotated", scope="module")
def _annotated(tmp_path_factory):
    """A folder with one error of each kind."""
    return with_errors(tmp_path_factory.mktemp("data") / "set")


@pytest.fixture(name="measured", scope="module")
def _measured(annotated, model):
    """What the shipped model makes of it."""
    return evaluate_folder(annotated, model=model)


@pytest.fixture(name="report", scope="module")
def _report(measured, tmp_path_factory):
    """The report of it, which no test changes."""
    folder = tmp_path_factory.mktemp("out") / "report"
    write_report(folder, measured)
    return folder


@pytest.fixture(name="earlier")
def _earlier(report, folder):
    """A folder with an earlier report."""
    shutil.copytree(report, folder)
    return folder


@pytest.fixture(name="folder")
def _folder(tmp_path):
    """Where the report goes; its parent is watched."""
    return tmp_path / "out" / "report"


def listed(folder):
    """Everything below a folder, with the bytes of files."""
    return {str(one.relative_to(folder)): one.read_bytes() if one.is_file() else b"" for one in folder.rglob("*")}


def test_what_is_written(measured, folder, tmp_path):
    """The page, two charts and a crop for each error, in a folder that is made; nothing beside it."""
    write_report(folder, measured)
    assert sorted(one.name for one in folder.iterdir()) == WRITTEN
    crops = sorted(one.name for one in (folder / "worst").iterdir())
    assert crops == ["01-wrong.png", "02-missed.png", "03-false-alarm.png"]
    assert [one.name for one in tmp_path.iterdir()] == ["out"]
    assert [one.name for one in folder.parent.iterdir()] == ["report"]


def test_the_page_names_what_there_is(report):
    """Every picture that the page shows is there, and every picture that is there is shown."""
    html = (report / "index.html").read_text("utf-8")
    shown = set(re.findall(r'<img src="([^"]+)"', html))
    assert shown == {name for name in listed(report) if name.endswith(".png")}
    assert "images/mirror.png" in html


def test_crops_show_the_annotated_pictures(report):
    """The wrong verdict's crop has the portrait's colours; the missed face's is its dark corner."""
    face, corner = (np.asarray(Image.open(report / f"worst/{name}.png")) for name in ("01-wrong", "02-missed"))
    middle = face[120:200, 120:200].reshape(-1, 3).mean(axis=0)
    assert middle[0] > middle[2] + 20  # skin is redder than blue
    assert abs(float(corner[100:150, 130:190].mean()) - float(face[120:200, 120:200].mean())) > 15


def test_the_annotated_folder_is_only_read(measured, annotated, folder):
    """Measuring and reporting change nothing in it."""
    before = listed(annotated)
    write_report(folder, measured)
    assert listed(annotated) == before


def test_an_earlier_report_is_replaced(earlier, model, tmp_path):
    """Its crops go, those of the new one come; a perfect measurement leaves none."""
    perfect = evaluate_folder(portraits(tmp_path / "perfect"), model=model)
    write_report(earlier, perfect)
    assert sorted(one.name for one in earlier.iterdir()) == WRITTEN
    assert list((earlier / "worst").iterdir()) == []
    assert "Wrong verdicts: 0" in (earlier / "index.html").read_text("utf-8")


def test_twice_the_same(measured, earlier):
    """The same measurement gives the same bytes."""
    before = listed(earlier)
    write_report(earlier, measured)
    assert listed(earlier) == before


def test_an_interrupted_report_can_be_replaced(measured, earlier):
    """A page without its pictures is still an earlier report."""
    (earlier / "by_size.png").unlink()
    (earlier / "worst/01-wrong.png").unlink()
    write_report(earlier, measured)
    assert (earlier / "worst/01-wrong.png").is_file()


def test_never_more_than_forty_crops(folder, model, tmp_path):
    """However many errors there are."""
    many = portraits(tmp_path / "many")
    nowhere = [([float(10 * n), 400.0, float(10 * n + 30), 440.0], "mask") for n in range(MOST_CROPS + 5)]
    annotate(many, {"portrait.png": nowhere, "mirror.png": [], "empty.png": []})
    write_report(folder, evaluate_folder(many, model=model))
    assert len(list((folder / "worst").iterdir())) == MOST_CROPS


@pytest.mark.parametrize(
    "name",
    ["notes.txt", "reliability.jpg", "worst/me.png", "worst/01-wrong.txt", "worst/deeper/01-wrong.png", ".hidden"],
)
def test_a_folder_with_something_else_is_refused(measured, earlier, name):
    """Also if it is an earlier report in all other respects; nothing is changed."""
    (earlier / name).parent.mkdir(exist_ok=True)
    (earlier / name).write_text("mine")
    before = listed(earlier)
    with pytest.raises(InputError, match=r"report: holds .*, which no report wrote; give a new folder"):
        write_report(earlier, measured)
    assert listed(earlier) == before


@pytest.mark.parametrize("name", ["index.html", "reliability.png"])
def test_a_file_that_only_has_the_name_is_kept(measured, folder, name):
    """Somebody's own index.html or picture is no earlier report."""
    folder.mkdir(parents=True)
    (folder / name).write_text("mine")
    with pytest.raises(InputError, match=r"report: holds files, but no index.html of an earlier report"):
        write_report(folder, measured)
    assert listed(folder) == {name: b"mine"}


@pytest.mark.parametrize("name", ["worst", "index.html", "worst/01-wrong.png"])
def test_links_are_not_followed(measured, earlier, tmp_path, name):
    """A link in the place of a report's file or folder is refused: what it points to stays."""
    kept = tmp_path / "kept"
    (earlier / name).rename(kept)
    before = kept.read_bytes() if kept.is_file() else listed(kept)
    (earlier / name).symlink_to(kept)
    with pytest.raises(InputError, match="which no report wrote"):
        write_report(earlier, measured)
    assert (kept.read_bytes() if kept.is_file() else listed(kept)) == before


def test_an_empty_folder_will_do(measured, folder):
    """It need not be made first, and may be."""
    folder.mkdir(parents=True)
    write_report(folder, measured)
    assert sorted(one.name for one in folder.iterdir()) == WRITTEN


def test_preparing_makes_the_folder_and_nothing_in_it(folder):
    """So that a mistake is told before minutes of measuring."""
    prepare(folder)
    assert listed(folder) == {}


@pytest.mark.parametrize("below", ["", "/deeper"])
def test_a_file_is_no_folder(tmp_path, below):
    """A file in its place, or above it, is named."""
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=r"file(/deeper)?: cannot take the report: .*; give a folder of your own"):
        prepare(tmp_path / f"file{below}")


def test_a_folder_that_cannot_be_written(measured, tmp_path):
    """What the system says is told in one line, with the file."""
    folder = tmp_path / "report"
    prepare(folder)
    (folder / "index.html").mkdir()
    with pytest.raises(InputError, match=r"holds index.html, which no report wrote"):
        write_report(folder, measured)
