"""`moretta eval` as people type it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from annotated import with_errors

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


def moretta(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `moretta eval` with nothing of this process's caches and settings."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "MPL"))}
    scratch = home.with_name("scratch")
    scratch.mkdir(exist_ok=True)
    environment = {**kept, "HOME": str(home), "TMPDIR": str(scratch), "NO_COLOR": "1", "COLUMNS": "120"}
    command = [sys.executable, "-P", "-W", "error", "-m", "services.cli", "eval", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=home, env=environment, check=False)


def assert_mistake(run: subprocess.CompletedProcess[str], line: str) -> None:
    """Exit code 2, nothing on standard output, one line."""
    assert (run.returncode, run.stdout, len(run.stderr.splitlines())) == (2, "", 1), run.stderr
    assert run.stderr.startswith(f"moretta eval: {line}"), run.stderr


def test_json(home, folder):
    """The keys of the reference script, and those that this command adds."""
    run = moretta(home, str(folder), "--json")
    values = json.loads(run.stdout)
    assert (run.returncode, run.stderr) == (0, "")
    assert set(values) >= REFERENCE_KEYS
    assert set(values) - REFERENCE_KEYS == {
        *("all_sizes", "by_size", "total", "unknown_effect", "calibration"),
        *("min_px", "threshold", "unknown_below", "long_side", "model"),
    }
    assert set(values["all_sizes"]) == REFERENCE_KEYS


def test_tables(home, folder):
    """Words instead of keys."""
    run = moretta(home, str(folder))
    assert run.returncode == 0
    assert "right about mask / no mask, of the found and judged faces" in run.stdout
    assert "64 to 128 px" in run.stdout
    assert not [key for key in ("mask_acc", "abs_error_pp", "by_size", "None") if key in run.stdout]


def test_without_a_report_nothing_is_written(home, folder):
    """No picture, no cache, no file: not at home, not where it runs, not in the annotated folder, not in /tmp."""
    before = sorted(folder.rglob("*"))
    assert moretta(home, str(folder)).returncode == 0
    assert list(home.iterdir()) == []
    assert list(home.with_name("scratch").iterdir()) == []
    assert sorted(folder.rglob("*")) == before


def test_a_report_is_written_there_only(home, folder):
    """What draws it leaves nothing at home and nothing in /tmp."""
    run = moretta(home, str(folder), "--report", "report")
    assert (run.returncode, run.stderr) == (0, "")
    assert [one.name for one in home.iterdir()] == ["report"]
    assert sorted(one.name for one in (home / "report").iterdir()) == [
        "by_size.png",
        "index.html",
        "reliability.png",
        "worst",
    ]
    assert list(home.with_name("scratch").iterdir()) == []


def test_a_report_changes_no_figure(home, folder):
    """The same JSON with and without, also over an earlier report."""
    plain = moretta(home, str(folder), "--json").stdout
    for _ in range(2):
        assert moretta(home, str(folder), "--json", "--report", "report").stdout == plain


def test_another_size(home, folder):
    """`--long-side` is what the figures hold for."""
    run = moretta(home, str(folder), "--long-side", "320", "--json")
    assert json.loads(run.stdout)["long_side"] == 320


@pytest.mark.parametrize("size", ["100", "500", "2048"])
def test_a_size_that_cannot_be_analysed(home, folder, size):
    """One line that says which would do."""
    run = moretta(home, str(folder), "--long-side", size)
    assert_mistake(run, f"--long-side: {size} is no size to analyse at; give a multiple of 32 from 160 to 1920")


def test_a_report_over_something_else(home, folder):
    """The annotated folder itself is no place for a report; it is told before anything is measured."""
    before = sorted(folder.rglob("*"))
    assert_mistake(
        moretta(home, str(folder), "--report", str(folder)), f"{folder}: holds annotations.jsonl, which no report"
    )
    assert sorted(folder.rglob("*")) == before


def test_a_report_without_what_draws_it(home, folder):
    """Who did not install the extra is told its name; measuring alone needs none of it."""
    hidden = home.with_name("hidden")
    (hidden / "matplotlib").mkdir(parents=True)
    (hidden / "matplotlib/__init__.py").write_text("raise ModuleNotFoundError('gone', name='matplotlib')\n")
    start = f"import sys; sys.path.insert(0, {str(hidden)!r}); from services.cli.__main__ import main; main()"
    for options, code in ((["--report", "report"], 2), (["--json"], 0)):
        command = [sys.executable, "-P", "-c", start, "eval", str(folder), *options]
        run = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=home, check=False)
        assert run.returncode == code, run.stderr
        if code:
            assert_mistake(run, "--report: needs matplotlib; install it with: pip install 'moretta[eval]'")
    assert list(home.iterdir()) == []
