"""The command `moretta` as people type it, each time a process of its own."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from patience import patient
from warm import COMMAND_LINE, warm

MODULE = "moretta"
PLAIN = {"NO_COLOR": "1", "COLUMNS": "200"}


def moretta(
    *arguments: object,
    limit_s: float = 60.0,
    folder: Path | None = None,
    strict: bool = True,
    cold: bool = False,
    unread: str = "",
    modules: tuple[str, ...] = COMMAND_LINE,
    **environ: str | None,
) -> subprocess.CompletedProcess[str]:
    """Run the command with these arguments, and these variables besides; return its exit code and what it wrote.

    `strict`: a warning is an error. `cold`: by an interpreter of its own, for what happens before `main`; else it is a
    fork of one that has imported `modules`. A variable that is None is left out.
    `unread`: nobody reads what is written to that stream.
    """
    words, named = list(map(str, arguments)), os.environ | PLAIN | environ
    environment = {name: value for name, value in named.items() if value is not None}
    if cold:
        command = [sys.executable, "-P", *(["-W", "error"] if strict else []), "-m", MODULE, *words]
        with _streams(unread) as streams:
            return subprocess.run(
                command, **streams, text=True, timeout=patient(limit_s), env=environment, cwd=folder, check=False
            )
    process = warm(modules).start(MODULE, words, environment=environment, folder=folder, strict=strict, unread=unread)
    out, err = process.communicate(patient(limit_s))
    return subprocess.CompletedProcess(["moretta", *words], process.returncode, out, err)


@contextlib.contextmanager
def _streams(unread: str) -> Iterator[dict[str, Any]]:
    """Where a process writes to: pipes, of which nobody reads this one."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        yield {name: writer if name == unread else subprocess.PIPE for name in ("stdout", "stderr")}
    finally:
        os.close(writer)


def assert_mistakes(run: subprocess.CompletedProcess[str], *starts: str) -> None:
    """A user's mistakes: exit code 2, nothing on standard output, and exactly these lines."""
    lines = run.stderr.splitlines()
    assert run.returncode == 2, run.stderr
    assert run.stdout == ""
    assert len(lines) == len(starts), lines
    assert all(line.startswith(start) for line, start in zip(lines, starts, strict=True)), lines
