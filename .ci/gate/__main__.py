"""Decides whether work lands.    .ci/run    or: python .ci/gate tests [STAGE ...], which is `make test`

`.ci/run` runs `make setup`, `make check` and `make test`, with every optional part but PyTorch required. A test that
fails, in its fixtures too, is run again, alone; one that passes then is unsteady: a defect to mend next, which holds up
nobody. The last line is "green: N tests, M unsteady" or "red: STAGE: what: the first line of the error". Standard
library only: it runs before anything is installed.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / ".ci"))

from gate.commands import failure  # noqa: E402
from gate.stages import STAGES, Place  # noqa: E402
from gate.tests import run  # noqa: E402
from gate.verdict import Verdict  # noqa: E402

_MISLEADING = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MORETTA_ONLY", "MORETTA_RECORDS", "MORETTA_SEED")
"""Variables that would choose what is run; those of pytest, too."""


def tests(names: list[str]) -> int:
    """Run the stages, all of them or those of these names; return 1 if one is red."""
    if unknown := set(names) - {stage.name for stage in STAGES}:
        print(f"no such stage: {', '.join(sorted(unknown))}; there are {', '.join(one.name for one in STAGES)}")
        return 2
    stages = [stage for stage in STAGES if not names or stage.name in names]
    verdict = run(stages, Place(ROOT, ROOT / "build"))
    subprocess.run([sys.executable, ROOT / ".ci/stages", ROOT / "build/junit", *(s.name for s in stages)], check=False)
    _say(verdict)
    return 1 if verdict.red else 0


def _say(verdict: Verdict) -> None:
    for name, reason in sorted(verdict.broken.items()):
        print(f"broken, left out: {name}: {reason}")
    for one in verdict.unsteady:
        print(f"unsteady: {one.id}: {one.error}")
    for red in verdict.red[1:]:
        print(f"red: {red}")
    print(verdict.last_line(), flush=True)


def gate() -> int:
    """Run what decides whether work lands; return 1 if it is red."""
    began = time.monotonic()
    (told := ROOT / "build/gate/verdict.json").unlink(missing_ok=True)
    for name in [one for one in os.environ if one in _MISLEADING or one.startswith("PYTEST_")]:
        del os.environ[name]
    os.environ["MORETTA_REQUIRE_ALL"] = "1"
    red = [line for line in [_make("setup")] if line]
    if not red:
        red = [line for line in [_make("check"), _make("test")] if line]
    said = json.loads(told.read_text("utf-8"))["last_line"] if told.is_file() else "red: test: it did not run"
    print(f"all: {(time.monotonic() - began) / 60:.1f} minutes")
    return _last(red, said)


def _last(red: list[str], said: str) -> int:
    """Print the last lines of commands that were red and of the tests; return the exit code that goes with them."""
    if said.startswith("red:"):  # the tests' own line says more than that `make test` failed
        red = [line for line in red if not line.startswith("red: test:")] + [said]
    for line in red[1:]:
        print(line)
    print(red[0] if red else said, flush=True)
    return 1 if red else 0


def _make(target: str) -> str | None:
    """Run `make TARGET`; return None if it was green, else the line that says why not."""
    print(f"=== make {target}", flush=True)
    why = failure(["make", target], ROOT)
    return None if why is None else f"red: {target}: {why}"


def _told_to_end(number: int, _frame: object) -> NoReturn:
    """End what was started, too: a stage has a process group of its own. A second signal does not interrupt that."""
    for one in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)
    sys.exit(128 + number)


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _told_to_end)
    try:
        sys.exit(tests(sys.argv[2:]) if sys.argv[1:2] == ["tests"] else gate())
    except KeyboardInterrupt:
        sys.exit(130)
