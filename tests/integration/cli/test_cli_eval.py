"""`moretta eval` as people type it."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from annotated import with_errors
from command_line import moretta

from services.inference.model import MANIFEST_NAME, MODELS

REFERENCE_KEYS = {
    *("images", "faces", "precision", "recall", "false_per_image", "recall_by", "f1", "unknown_share"),
    *("mask_acc_on_found", "mask_balanced_acc", "confusion gt->pred", "mask_rate"),
}


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory) -> Path:
    """A folder with one error of each kind."""
    return with_errors(tmp_path_factory.mktemp("data") / "set")


@pytest.fixture(name="home")
def _home(tmp_path) -> Path:
    """An empty home directory, which is also where the command runs."""
    home = tmp_path / "home"
    home.mkdir()
    return home


def evaluate(home: Path, *arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
    """Run `moretta eval` with nothing of this process's caches and settings."""
    scratch = home.with_name("scratch")
    scratch.mkdir(exist_ok=True)
    unset = dict.fromkeys(name for name in os.environ if name.startswith(("XDG_", "MPL")))
    more |= {"HOME": str(home), "TMPDIR": str(scratch), "COLUMNS": "120"}
    return moretta("eval", *arguments, folder=home, **unset, **more)


def assert_mistake(run: subprocess.CompletedProcess[str], line: str) -> None:
    """Exit code 2, nothing on standard output, one line."""
    assert (run.returncode, run.stdout, len(run.stderr.splitlines())) == (2, "", 1), run.stderr
    assert run.stderr.startswith(f"moretta eval: {line}"), run.stderr


def test_json(home, folder):
    """The keys of the reference script, and those that this command adds."""
    run = evaluate(home, folder, "--json")
    values = json.loads(run.stdout)
    assert (run.returncode, run.stderr) == (0, "")
    assert set(values) >= REFERENCE_KEYS
    assert set(values) - REFERENCE_KEYS == {
        *("all_sizes", "by_size", "by_source", "by_pose", "total", "unknown_effect", "calibration", "ap50"),
        *("min_px", "threshold", "unknown_below", "long_side", "model"),
    }
    assert set(values["all_sizes"]) == REFERENCE_KEYS


def test_a_model_of_ones_own_is_measured(home, folder, tmp_path):
    """By the folder that `inference.model` names; one that is damaged is a mistake in one line."""
    shutil.copytree(MODELS, own := tmp_path / "own")
    manifest = json.loads((own / MANIFEST_NAME).read_text())
    (own / MANIFEST_NAME).write_text(json.dumps(manifest | {"id": "mine-1"}))
    run = evaluate(home, folder, "--model", own, "--json")
    assert (run.returncode, json.loads(run.stdout)["model"]) == (0, "mine-1")
    both = json.loads(evaluate(home, folder, "--model", own, "--compare", "shipped", "--json").stdout)
    assert both.pop("compared") == both | {"model": json.loads((MODELS / MANIFEST_NAME).read_text())["id"]}
    assert_mistake(
        evaluate(home, folder, "--compare", tmp_path), f"{tmp_path}/model.json: cannot be read: No such file"
    )
    (own / "detector.onnx").unlink()
    assert_mistake(evaluate(home, folder, "--model", own), f"{own}/detector.onnx: cannot be read: No such file")


def test_tables(home, folder):
    """Words instead of keys."""
    run = evaluate(home, folder)
    assert run.returncode == 0
    assert "right about mask / no mask, of the found and judged faces" in run.stdout
    assert "64 to 128 px" in run.stdout
    assert not [key for key in ("mask_acc", "abs_error_pp", "by_size", "None") if key in run.stdout]


def test_nothing_is_written(home, folder):
    """No picture, no cache, no file: not at home, not where it runs, not in the annotated folder, not in /tmp."""
    before = sorted(folder.rglob("*"))
    assert evaluate(home, folder).returncode == 0
    assert list(home.iterdir()) == []
    assert list(home.with_name("scratch").iterdir()) == []
    assert sorted(folder.rglob("*")) == before


def test_another_size(home, folder):
    """`--long-side` is what the figures hold for."""
    run = evaluate(home, folder, "--long-side", "320", "--json")
    assert json.loads(run.stdout)["long_side"] == 320


@pytest.mark.parametrize("size", ["100", "500", "2048"])
def test_a_size_that_cannot_be_analysed(home, folder, size):
    """One line that says which would do."""
    run = evaluate(home, folder, "--long-side", size)
    assert_mistake(run, f"--long-side: {size} is no size to analyse at; give a multiple of 32 from 160 to 1920")
