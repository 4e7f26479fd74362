"""Films that are nearly whole, read as ingest reads them: refused with a reason or decoded; no hang, no memory lost."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import clips
import fuzz_media
import pytest
from fuzzing import COUNT, report

LIMIT_S = 60 + COUNT
MAX_MIB = 2_500
"""A codec may keep 16 pictures of the largest size that is taken, 8192x4320 (53 MiB each), and one is converted."""
REASONS = {
    *("pictures", "no-pictures", "inconvertible", "undecodable", "no-video", "end-of-stream", "not-found", "other"),
    *("bad-source", "unauthorised", "refused", "timeout"),
}
FILMS = {
    "clip.mp4": {},
    "clip.ts": {},
    "clip.mkv": {"codec": "libx265"},
    "clip.avi": {"codec": "mjpeg", "pixel_format": "yuvj420p"},
    "clip.webm": {"codec": "libvpx"},
    "clip.flv": {"b_frames": 2},
    "clip.mpg": {"codec": "mpeg2video"},
}


@pytest.fixture(name="films", scope="module")
def _films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One small film of each container and codec that cameras send."""
    folder = tmp_path_factory.mktemp("films")
    for name, options in FILMS.items():
        clips.make_clip(folder / name, width=64, height=48, pictures=8, key_every=4, **options)
    return folder


def test_a_broken_film_harms_nothing(films: Path):
    """Truncated, flipped, with headers that never end and sizes that nobody has: each seed ends with a known word."""
    said, most = tried(films, 0, COUNT)
    counts = Counter(said.values())
    report("films", **counts, mib=most)
    assert len(said) == COUNT
    assert set(counts) <= REASONS
    assert counts["pictures"] > 0
    assert COUNT - counts["pictures"] > 0
    assert most < MAX_MIB


def tried(films: Path, first: int, count: int) -> tuple[dict[int, str], int]:
    """Return what became of each seed, and the most memory in MiB."""
    command = [sys.executable, fuzz_media.__file__, str(films), str(first), str(count)]
    path = os.pathsep.join([str(Path(fuzz_media.__file__).parent), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(
        command, capture_output=True, text=True, timeout=LIMIT_S, env={**os.environ, "PYTHONPATH": path}
    )
    lines = [line.split(maxsplit=1) for line in run.stdout.splitlines()]
    assert run.returncode == 0, f"died by {run.returncode} at seed {lines[-1:]}: {run.stderr[-2000:]}"
    said = {int(seed): what for seed, what in lines if seed != "most" and what != "began"}
    return said, int(lines[-1][1])


def test_the_films_are_whole_before_they_are_broken(films: Path):
    """Else nothing behind the first header would be tried."""
    for name in FILMS:
        assert fuzz_media.read(films / name) == "pictures"
