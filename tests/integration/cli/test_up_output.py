"""`moretta up | head`: a box ends once nobody reads what it prints, since it would run on unseen."""

import os
import sys
from pathlib import Path

import psutil
import pytest
from command_line import MODULE
from program import Program


@pytest.mark.timeout(240)
@pytest.mark.parametrize("command", ["up", "demo"])
def test_a_box_ends_with_the_reader_of_its_output(tmp_path: Path, command: str):
    """In order, with exit code 0: no complaint of Python's, no process and no file is left."""
    cameras = {"up": ["--camera", "gate=rtsp://127.0.0.1:9/none"], "demo": ["--camera", "rtsp://127.0.0.1:9/none"]}
    line = [sys.executable, "-P", "-m", MODULE, command, *cameras[command]]
    piped = ["bash", "-c", '"$@" | head -n 1; exit "${PIPESTATUS[0]}"', "bash", *line]
    (scratch := tmp_path / "scratch").mkdir()
    with Program(piped, environment=os.environ | {"TMPDIR": str(scratch)}, folder=tmp_path, group=True) as run:
        code = run.ended(120)
    assert (code, len(run.printed)) == (0, 1), run.last_words()
    assert not [said for said in run.words if "Traceback" in said or "BrokenPipe" in said]
    assert not [one.pid for one in psutil.process_iter(["cmdline"]) if str(scratch) in str(one.info["cmdline"])]
    assert list(scratch.iterdir()) == []
