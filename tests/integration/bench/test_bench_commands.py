"""What the bench's commands say of a user's mistake, before anything is measured."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.clips import clips_by_eye


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["bench.capacity", "--only", "1440p"], ["--only"]),
        (["bench.capacity", "--soak", "0"], ["--soak"]),
        (["bench.clips", "{folder}"], ["{folder}", "a916241958_mask.mp4"]),
        (["bench.clips", "{folder}", "--json"], ["{folder}", "a916241958_mask.mp4"]),
        (["bench.passages", "{folder}"], ["annotations.jsonl"]),
    ],
)
def test_a_mistake_is_told(tmp_path: Path, command: list[str], told: list[str]):
    """A wrong option, a folder without the clips or without annotations: named, exit code 2, no traceback."""
    done = run(*(part.format(folder=tmp_path) for part in command))
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert [part for part in told if part.format(folder=tmp_path) not in done.stderr] == []


def test_a_clip_that_cannot_be_counted_is_told(tmp_path: Path):
    """When `moretta count` fails, its own words are passed on, in one line and with exit code 2."""
    for one in clips_by_eye():
        Path(tmp_path / one.file).write_bytes(b"no film")
    done = run("bench.clips", str(tmp_path))
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert clips_by_eye()[0].file in done.stderr


def run(module: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Return a command of the bench that has ended."""
    command = [sys.executable, "-P", "-m", module, *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
