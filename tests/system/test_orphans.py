"""`moretta up` is killed at a random moment, or the reader of its log is: no process of the box is left.

A service that went on would read its cameras, and no order would reach it. The camera is out of reach meanwhile, as
when a machine loses power: its thread waits for the next attempt.
"""

import contextlib
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import yaml
from command_line import MODULE
from patience import patient, wait_until
from seeds import seeds
from warm import COMMAND_LINE, WarmProcess, warm

Killable = WarmProcess | subprocess.Popen[bytes]

NOBODY = "http://127.0.0.1:9/"
LATEST_S = 3.0
"""How long after the start of the box, or of its camera, something is killed at the latest."""


@pytest.mark.skipif(sys.platform != "linux", reason="a program ends with its parent on Linux")
@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", [3, *(pytest.param(seed, marks=pytest.mark.long) for seed in seeds(10))])
@pytest.mark.first
def test_nothing_is_left_of_a_box(tmp_path: Path, seed: int):
    """Ten times a seed, at moments of its own. Without a reader, too, the box ends."""
    chance = random.Random(seed)
    for number in range(10):
        folder = tmp_path / f"box-{number}"
        begins, victim = chance.choice(["", "camera in service"]), chance.choice(["moretta", "reader"])
        moment = chance.uniform(0, LATEST_S)
        what = f"seed {seed}, box {number}: {victim} was killed {moment:.2f} s after {begins or 'the start'}"
        with box(folder) as running:
            wait_until(lambda folder=folder, begins=begins: begins in (folder / "log").read_text(), begins)
            time.sleep(moment)
            for process in running[victim]:
                process.kill()
            running["moretta"][0].wait(patient(30))
        wait_until(lambda folder=folder: not of_box(folder), lambda what=what, folder=folder: (what, of_box(folder)))
    assert not of_box(tmp_path), "nothing that was just being started then came up later"


@contextmanager
def box(folder: Path) -> Iterator[dict[str, list[Killable]]]:
    """Run a box whose output goes through pipes to another program; yield both by name. They are killed in the end."""
    folder.mkdir()
    site = {"id": "s", "profile": "lab", "window_s": 5, "cameras": [{"id": "gate", "url": NOBODY}]}
    (folder / "box.yaml").write_text(yaml.safe_dump({"sites": [site], "aggregate": {"page": {"port": 0}}}))
    up = warm(COMMAND_LINE).start(MODULE, ["up", "-c", str(folder / "box.yaml"), "--data", str(folder / "data")])
    with (folder / "log").open("w") as log, up.stdout as printed, up.stderr as said:
        readers = [subprocess.Popen(["cat"], stdin=one, stdout=log) for one in (printed, said)]
    try:
        yield {"moretta": [up], "reader": [*readers]}
    finally:
        for process in (up, *readers):
            process.kill()
            process.wait()


@pytest.fixture(autouse=True)
def _a_failed_test_leaves_nothing(tmp_path: Path) -> Iterator[None]:
    yield
    for process in of_box(tmp_path):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def of_box(folder: Path) -> list[psutil.Process]:
    """Return the processes whose command line names a file below the folder."""
    given = [(process, process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    return [process for process, line in given if any(str(folder) in part for part in line)]
