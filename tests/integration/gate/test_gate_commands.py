"""A command of the gate: what it says is shown, and the line that says why it failed is found."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from gate.commands import failure


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo fine", None),
        (
            "echo one; echo 'a.py:3: error: no such name'; echo 'make: *** [check] Error 2'; exit 2",
            "a.py:3: error: no such name",
        ),
        ("echo one; echo two; exit 3", "two"),
        ("exit 1", "it said nothing"),
        ("printf 'caf\\351 failed'; exit 1", "caf\ufffd failed"),
    ],
)
def test_the_first_line_that_says_why(tmp_path: Path, script: str, why: str | None):
    """The first that speaks of an error, else the last."""
    assert failure(["sh", "-c", script], tmp_path) == (None if why is None else f"sh -c {script}: {why}")


def test_what_is_left_behind_holds_nothing_up(tmp_path: Path):
    """A process that the command left may hold its output open."""
    stay = f"{sys.executable} -c 'import time; time.sleep(60)' & echo $! > pid; echo done"
    began = time.monotonic()
    assert failure(["sh", "-c", stay], tmp_path) is None
    assert time.monotonic() - began < 50
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_all_is_shown_in_order(tmp_path: Path, capfdbinary):
    """Both outputs, also the last bytes before the end."""
    assert failure(["sh", "-c", "seq 1 20000; echo end >&2"], tmp_path) is None
    assert capfdbinary.readouterr().out == b"".join(b"%d\n" % n for n in range(1, 20_001)) + b"end\n"
