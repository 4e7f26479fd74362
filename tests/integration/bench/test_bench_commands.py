"""What the bench's commands say of a user's mistake, before anything is measured."""

from pathlib import Path

import pytest
from patience import patient
from warm import COMMAND_LINE, warm

from bench.clips import clips_by_eye


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["bench", "ratio", "--source", "{folder}/film.mp4"], ["{folder}/film.mp4"]),
        (["bench", "counts", "{folder}/crowd.yaml"], ["{folder}/crowd.yaml"]),
        (["bench.capacity", "--only", "1440p"], ["--only"]),
        (["bench.capacity", "--soak", "0"], ["--soak"]),
        (["bench.clips", "{folder}"], ["{folder}", "a916241958_mask.mp4"]),
        (["bench.clips", "{folder}", "--json"], ["{folder}", "a916241958_mask.mp4"]),
        (["bench.passages", "{folder}"], ["annotations.jsonl"]),
    ],
)
def test_a_mistake_is_told(tmp_path: Path, command: list[str], told: list[str]):
    """A wrong option, a folder without the clips or without annotations: named, exit code 2, no traceback."""
    code, said = run(*(part.format(folder=tmp_path) for part in command))
    assert (code, "Traceback" in said) == (2, False)
    assert [part for part in told if part.format(folder=tmp_path) not in said] == []


def test_a_clip_that_cannot_be_counted_is_told(tmp_path: Path):
    """When `moretta count` fails, its own words are passed on, in one line and with exit code 2."""
    for one in clips_by_eye():
        Path(tmp_path / one.file).write_bytes(b"no film")
    code, said = run("bench.clips", str(tmp_path))
    assert (code, "Traceback" in said) == (2, False)
    assert clips_by_eye()[0].file in said


def run(module: str, *options: str) -> tuple[int | None, str]:
    """Return exit code and standard error of a command of the bench."""
    process = warm(COMMAND_LINE).start(module, options)
    _, said = process.communicate(patient(60))
    return process.returncode, said
