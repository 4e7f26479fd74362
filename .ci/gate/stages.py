"""The stages of the tests, and how one is run."""

import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

LIMIT_S = 1800.0
"""How many seconds a stage may take."""
TIMED_OUT = -1000
"""The exit code of a run that was ended because it took too long."""
_GRACE_S = 10.0


@dataclass(frozen=True)
class Stage:
    """Tests that run together: where they are, with how many workers of pytest-xdist ("0": in pytest's own process)."""

    name: str
    paths: tuple[str, ...]
    workers: str = "auto"
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)


# Tests with real peers mostly wait. With six workers a core they took as long as with five, and two failed.
_WAITING = str(5 * (os.cpu_count() or 1))
STAGES = (
    Stage("unit", ("tests/unit", "tests/contract")),
    Stage(
        "integration", ("tests/integration", "tests/system"), _WAITING, ("-m", "not long and not alone and not broken")
    ),
    # What must see real time runs where nothing else makes it late; the proof searches every process of its box.
    Stage("alone", ("tests/integration", "tests/system"), "0", ("-m", "alone and not long and not broken")),
    # The training code is not in the wheel: it runs from the checkout. Tests that need PyTorch are skipped by name.
    Stage("training", ("tests/training",), environment={"PYTHONPATH": "."}),
)


@dataclass(frozen=True)
class Place:
    """Where stages run, and where they leave what they say."""

    root: Path
    build: Path
    pytest: tuple[str, ...] = (str(Path(sys.executable).with_name("pytest")),)
    limit_s: float = LIMIT_S

    def records(self, run: str) -> Path:
        """Return the folder in which a run's records are."""
        return self.build / "gate" / run


@dataclass(frozen=True)
class Only:
    """Tests that are run again: these, and all tests of these files."""

    ids: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()

    def paths(self) -> list[str]:
        """Return the files that hold these tests."""
        return sorted({one.partition("::")[0] for one in self.ids} | self.files)


def command(stage: Stage, place: Place, run: str, seed: int, only: Only | None) -> list[str]:
    """Return the command that runs a stage, or with `only` some of its tests in one worker."""
    # A test that ends its worker is given to the next one; what is run again has one try.
    spread = ["--dist", "loadgroup", "--max-worker-restart", "4" if only is None else "0"]
    workers = [] if stage.workers == "0" else ["-n", stage.workers if only is None else "1", *spread]
    paths = stage.paths if only is None else only.paths()
    report = ["--junitxml", str(place.build / "junit" / f"{run}.xml")]
    return [*place.pytest, "-q", "-p", "randomly", f"--randomly-seed={seed}", *workers, *report, *stage.options, *paths]


def environment(stage: Stage, records: Path, seed: int, only: Only | None) -> dict[str, str]:
    """Return the variables of a stage's process: where to write records, and which tests to run."""
    found = {**os.environ, **stage.environment, "MORETTA_RECORDS": str(records)}
    # pytest keeps the tests that it has rewritten as bytecode; where that is forbidden, each worker rewrites them all.
    found.pop("PYTHONDONTWRITEBYTECODE", None)
    found.pop("MORETTA_ONLY", None)
    if not found.get("MORETTA_SEED"):
        found["MORETTA_FIRST_SEED"] = str(seed % 1_000_000)
    if only is not None:
        found["MORETTA_ONLY"] = str(records / "only.json")
    return found


def ended(arguments: list[str], place: Place, variables: dict[str, str]) -> int:
    """Run a command in a process group of its own; return its exit code, TIMED_OUT past the limit.

    Nothing of the group is left, whatever the command started.
    """
    process = subprocess.Popen(arguments, cwd=place.root, env=variables, stdin=subprocess.DEVNULL, process_group=0)
    try:
        return process.wait(place.limit_s)
    except subprocess.TimeoutExpired:
        return TIMED_OUT
    finally:
        _end_group(process)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_S)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
