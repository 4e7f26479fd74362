"""What the model's errors do to a rate, as it is measured, written and told."""

import msgspec
import pytest
from golden import ERRORS
from rich.console import Console
from typer.testing import CliRunner

from bench import model_errors as sut
from bench.model_errors import draws, run, sums, table
from modelling.evaluation.errors import People, PhotoCounts
from modelling.evaluation.interval_check import Draw, Held
from services.inference.errors import ERRORS_NAME, ErrorsFile

PHOTO = PhotoCounts(People(10, 9, 8), People(6, 6, 5), false_masked=1)


class Model:
    """A model, as far as it is named."""

    sha256 = "b" * 64


@pytest.fixture(name="measured")
def _measured(monkeypatch):
    """Four sources whose photos were analysed already."""
    monkeypatch.setattr(sut, "load_model", lambda _folder: Model)
    monkeypatch.setattr(sut, "measured", lambda _judge, _console: [PHOTO] * 10)
    monkeypatch.setattr(sut, "SCENES", 5)


def test_each_truth_and_share_has_each_size():
    """Both truths with a source's own share, and other shares at a place, for each size of scene once."""
    found = draws()
    assert len(set(found)) == len(found) == len(sut.SIZES) * (2 + len(sut.SHARES))
    assert {draw.truth for draw in found if draw.share is None} == {"passed", "place"}


def test_what_it_rests_on_is_told():
    """Photos and people of each source, judged and judged rightly."""
    assert sums({"gate": [PHOTO, PHOTO]}) == {
        "gate": {
            "photos": 2, "masked": 20, "masked_judged": 18, "masked_right": 16, "others": 12, "others_judged": 12,
            "others_right": 10,
        }
    }  # fmt: skip


def test_the_worst_comes_first():
    """The table has a line for each row, by kind of scenes, where fewest intervals hold first."""
    rows = [Held(name, Draw("place", 30, 0.5), held, 0.25, 0.5, 0.125) for name, held in (("good", 1.0), ("bad", 0.75))]
    console = Console(width=120, record=True)
    console.print(table(rows))
    text = console.export_text()
    assert text.index("bad") < text.index("good")
    assert "75.0%" in text
    assert "50%" in text


@pytest.mark.usefixtures("measured")
def test_the_file_is_what_inference_reads(tmp_path):
    """With --write the model's folder has the errors, its manifest's SHA-256, and what they rest on."""
    folders = [str(tmp_path / name) for name in "abcd"]
    said = CliRunner().invoke(sut_app(), [*folders, "--model", str(tmp_path), "--write", "--json"])
    assert said.exit_code == 0, said.output
    told = msgspec.json.decode(said.stdout)
    written = msgspec.json.decode((tmp_path / ERRORS_NAME).read_bytes(), type=ErrorsFile)
    assert written.model_sha256 == Model.sha256
    assert written.errors == msgspec.convert(told["errors"], type(ERRORS))
    assert written.sources == told["sources"]
    assert {row[0] for row in told["rows"]} == {"a", "b", "c", "d", "all"}


@pytest.mark.usefixtures("measured")
def test_each_source_is_measured_by_who_left_it_out(tmp_path, monkeypatch):
    """By the model that left it out; a source that none left out is named."""
    loaded = {}

    def load(folder):
        return loaded.setdefault(folder, type(f"Model{len(loaded)}", (Model,), {}))

    asked = []
    monkeypatch.setattr(sut, "load_model", load)
    monkeypatch.setattr(sut, "measured", lambda judge, _: asked.append(judge) or [PHOTO] * 10)
    east, west = tmp_path / "east", tmp_path / "west"
    for folder, names in ((east, "a/1.jpg a/2.jpg b/1.jpg"), (west, "c/1.jpg d/1.jpg")):
        folder.mkdir()
        (folder / "left_out.txt").write_text(names.replace(" ", "\n"))
    groups = ["--left-out", str(east), "--left-out", str(west), "--model", str(tmp_path), "--write"]
    said = CliRunner().invoke(sut_app(), [*(str(tmp_path / name) for name in "abcd"), *groups])
    assert said.exit_code == 0, said.output
    assert [judge.model for judge in asked] == [loaded[east]] * 2 + [loaded[west]] * 2
    assert asked[0].photos == frozenset({"1.jpg", "2.jpg"})
    said = CliRunner().invoke(sut_app(), [str(tmp_path / "e"), *groups])
    assert said.exit_code == 2
    assert f"e: none of {east}, {west} left e out of its training" in said.stderr


@pytest.mark.usefixtures("measured")
def test_too_few_sources_are_one_line(tmp_path):
    """Two sources tell nothing of how places differ: one line, exit code 2, no file."""
    said = CliRunner().invoke(
        sut_app(), [str(tmp_path / "a"), str(tmp_path / "b"), "--model", str(tmp_path), "--write"]
    )
    assert said.exit_code == 2
    assert said.stderr == "bench.model_errors: 2 sources with 20 people or more of a kind; at least 3\n"
    assert list(tmp_path.iterdir()) == []


def sut_app():
    """The command."""
    app = sut.typer.Typer()
    app.command()(run)
    return app
