"""Any one of the five processes may be killed or frozen; `moretta up` goes on without a hand."""

import os
import signal
import time
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from clips import make_clip
from up_process import PROGRAMS, UpProcess

from proto.public import HINTS

WINDOW_S = 3


@pytest.fixture(name="settings_file")
def _settings_file(tmp_path: Path) -> Path:
    """Two looped cameras, windows of a few seconds; and the NATS that they have elsewhere, which `up` leaves alone."""
    clip = make_clip(tmp_path / "clip.mp4", width=160, height=96, fps=5, pictures=10, key_every=5)
    cameras = [{"id": name, "url": str(clip), "loop": True, "fps": 3.0} for name in ("a", "b")]
    site = {"id": "s", "profile": "lab", "window_s": WINDOW_S, "lateness_s": 1.5, "cameras": cameras}
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump({"sites": [site], "nats": {"url": "tls://bus.example", "ca_file": "system"}}))
    return file


def whole(run: UpProcess) -> list[int]:
    """The starts of the windows that were observed (nearly) all the time."""
    return [w["start"] for w in run.windows() if w["coverage"] >= 0.9]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["SIGKILL", "SIGSTOP"])
@pytest.mark.first
def test_any_process_killed_or_frozen(settings_file: Path, number: int):
    """Windows go on with full coverage, none twice, none missing; what was lost shows as coverage, with a reason."""
    run = UpProcess(["-c", str(settings_file), "--temporary"]).start()
    try:
        run.wait_for(lambda: len(whole(run)) >= 1, 60, "a first whole window")
        for program in PROGRAMS:
            strike(run, program, number)
    finally:
        code = run.stop()
    starts = [w["start"] for w in run.windows()]
    assert code == 0
    assert {b - a for a, b in pairwise(starts)} == {WINDOW_S * 10**9}, f"twice, missing or out of order: {starts}"
    assert all(set(w["gaps"]) - HINTS for w in run.windows() if w["coverage"] < 0.9), (
        "coverage was lost without a reason"
    )


def strike(run: UpProcess, program: str, number: int) -> None:
    """Kill or freeze one process, and wait until all is well again without a hand."""
    victim = run.pid(program)
    os.kill(victim, number)
    run.wait_for(lambda: run.pid_or_none(program) not in {None, victim}, 60, f"{program} started again")
    again = time.time_ns()
    run.wait_for(lambda: any(start > again for start in whole(run)), 90, f"a whole window after {program}")
