"""The command `python -m bench.model`."""

import hashlib
import json
import logging
import shutil
import time
from pathlib import Path

import pytest

from bench import model, model_int8, model_speed
from bench.model_tables import markdown
from modelling.evaluation.labelled import InputError, Photo
from services.inference.model import MODELS, ModelError, load_model


@pytest.fixture(autouse=True)
def _logging_as_before():
    yield
    logging.disable(logging.NOTSET)


def run(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["bench.model", *arguments])
    return model.main()


def test_json(monkeypatch, capsys, report):
    """With --json one object with all figures, and nothing else, is on standard output."""
    monkeypatch.setattr(model, "measure", lambda *_: report(0.1875))
    assert run(monkeypatch, "data", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ratio"] == 0.1875
    assert told["speed"][0]["size"] == [480, 272]
    assert set(told["speed"][0]["classifier"]) == {"16", "32", "64"}


def test_markdown(monkeypatch, capsys, report):
    """With --markdown exactly the section of the document is on standard output."""
    monkeypatch.setattr(model, "measure", lambda *_: report())
    assert run(monkeypatch, "data", "--markdown") == 0
    assert capsys.readouterr().out == markdown(report())


def test_tables(monkeypatch, capsys, report):
    """Without either, tables for reading."""
    monkeypatch.setattr(model, "measure", lambda *_: report())
    assert run(monkeypatch, "data") == 0
    assert "The target" in capsys.readouterr().out


def test_what_is_measured(monkeypatch, report):
    """The folders and the number of rounds are those of the command line; the shipped model is the default."""
    asked = []
    monkeypatch.setattr(model, "measure", lambda *arguments: asked.append(arguments) or report())
    run(monkeypatch, "data")
    run(monkeypatch, "data", "--model", "other", "--rounds", "7")
    assert asked == [(Path("data"), MODELS, 120), (Path("data"), Path("other"), 7)]


@pytest.mark.parametrize("error", [InputError("x.txt: no such file"), ModelError("model.json: damaged")], ids=repr)
def test_a_mistake(monkeypatch, capsys, error):
    """What cannot be used is one line on standard error, and exit code 2."""

    def fails(*_):
        raise error

    monkeypatch.setattr(model, "measure", fails)
    assert run(monkeypatch, "data") == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"bench.model: {error}\n")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [((), "DATA"), (("data", "--rounds", "0"), "--rounds 0"), (("data", "--json", "--markdown"), "not allowed")],
)
def test_a_wrong_call(monkeypatch, capsys, arguments, word):
    """Usage, the word that is wrong, exit code 2."""
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, *arguments)
    assert caught.value.code == 2
    assert word in capsys.readouterr().err


def test_no_model(monkeypatch, capsys, tmp_path):
    """A folder without a model is named before anything is measured, as `moretta eval` names it."""
    assert run(monkeypatch, "data", "--model", str(tmp_path)) == 2
    assert capsys.readouterr().err == f"bench.model: {tmp_path}/model.json: cannot be read: No such file or directory\n"


def test_a_damaged_model(monkeypatch, capsys, tmp_path):
    """So is a file that is not what the manifest says."""
    shutil.copytree(MODELS, tmp_path / "model")
    (tmp_path / "model" / "detector.onnx").write_bytes(b"")
    assert run(monkeypatch, "data", "--model", str(tmp_path / "model")) == 2
    assert "detector.onnx: sha256 is" in capsys.readouterr().err


def test_the_int8_copy(monkeypatch, tmp_path):
    """The copy loads as a model: its manifest holds its own checksums, all else is as in the model it was made from."""
    source, target = tmp_path / "model", tmp_path / "int8"
    shutil.copytree(MODELS, source)
    made = []

    def same_but_named(path, feeds):
        made.append((path.name, feeds))
        return path.read_bytes()

    monkeypatch.setattr(model_int8, "quantised", same_but_named)
    model._write_int8(source, target, [(tmp_path / "a.png", Photo("a.png", 10, 10, [], []))])
    assert [name for name, _ in made] == ["detector.onnx", "classifier.onnx"]
    assert load_model(target).manifest == load_model(source).manifest


def test_the_int8_copy_has_its_own_checksums(monkeypatch, tmp_path):
    """A network that changed has another checksum, and the model that it was made from is left alone."""
    before = (MODELS / "model.json").read_bytes()
    monkeypatch.setattr(model_int8, "quantised", lambda path, _feeds: path.name.encode())
    model._write_int8(MODELS, tmp_path / "int8", [])
    manifest = json.loads((tmp_path / "int8" / "model.json").read_text())
    for name in ("detector", "classifier"):
        assert manifest[name]["sha256"] == hashlib.sha256(f"{name}.onnx".encode()).hexdigest()
        assert (tmp_path / "int8" / f"{name}.onnx").read_bytes() == f"{name}.onnx".encode()
    assert (MODELS / "model.json").read_bytes() == before


def test_the_most_crowded_photo():
    """Time is taken on the photo with the most faces, whichever source it is from."""
    boxes = [(0.0, 0.0, 9.0, 9.0)]
    photos = {
        "one": [(Path("a"), Photo("a", 10, 10, boxes, ["mask"]))],
        "two": [(Path("b"), Photo("b", 10, 10, boxes * 3, ["mask"] * 3)), (Path("c"), Photo("c", 10, 10, [], []))],
    }
    assert model._crowd(photos) == Path("b")


def test_the_processor_has_a_name():
    """There is always something to write above the tables."""
    assert model.processor().strip()
    assert "\n" not in model.processor()


@pytest.mark.parametrize(("sleep_s", "least", "most"), [(0.3, 0.5, 1.0), (0.0, 0.0, 0.99)], ids=["waits", "works"])
def test_waiting_is_told(monkeypatch, sleep_s, least, most):
    """A process that sleeps while times are taken waited; the figures come through as they were measured."""

    def slow(*_, rounds, progress):
        time.sleep(sleep_s)
        sum(range(2_000_000))
        progress(rounds)
        return "figures"

    monkeypatch.setattr(model_speed, "measure", slow)
    measured, waited = model._time({}, {}, Path("a.png"), 3)
    assert measured == "figures"
    assert least <= waited <= most


def test_networks_are_the_models(monkeypatch):
    """Both sessions are of the files that the manifest names."""
    opened = []
    monkeypatch.setattr(model, "session", lambda content, name: opened.append((content, Path(name).name)) or name)
    network = model._network(MODELS, load_model().manifest)
    assert [name for _, name in opened] == ["detector.onnx", "classifier.onnx"]
    assert (Path(network.detector).name, Path(network.classifier).name) == ("detector.onnx", "classifier.onnx")
    assert all(content == (MODELS / name).read_bytes() for content, name in opened)
