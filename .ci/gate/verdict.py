"""The verdict on a run of the tests: a pure function of what was recorded."""

from dataclasses import dataclass, field

from gate.records import Result, Run
from gate.stages import TIMED_OUT

MAX_FAILED = 20
"""How many failed tests are still run again."""
_PASSED, _FAILED = 0, 1
"""pytest's exit codes."""


@dataclass(frozen=True)
class Red:
    """Why the gate is red: a test's id, or what else is wrong with its stage."""

    stage: str
    what: str
    error: str

    def __str__(self) -> str:
        return f"{self.stage}: {self.what}: {self.error}" if self.error else f"{self.stage}: {self.what}"


@dataclass(frozen=True)
class Unsteady:
    """A test that failed and passed when it was run again, alone."""

    stage: str
    id: str
    error: str
    seed: int


@dataclass
class Verdict:
    """What the tests came to."""

    tests: int = 0
    """How many passed or failed."""
    red: list[Red] = field(default_factory=list)
    unsteady: list[Unsteady] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)

    def last_line(self) -> str:
        """Return the one line that says it all."""
        return f"red: {self.red[0]}" if self.red else f"green: {self.tests} tests, {len(self.unsteady)} unsteady"


def fatal(stage: str, code: int, run: Run, limit_s: float) -> list[Red]:
    """Return what no second run can mend: tests of which no outcome is known, or that ended their interpreter."""
    if code == TIMED_OUT:
        open_ = ", ".join(sorted(run.missing)[:3])
        return [Red(stage, f"ended after {limit_s:.0f} s", f"not finished: {open_}" if open_ else "")]
    if run.not_collected:
        return [Red(stage, "not collected", run.not_collected)]
    lost = [Red(stage, one, "collected, and no outcome was heard of") for one in sorted(run.missing)[:MAX_FAILED]]
    if found := reds(stage, [one for one in run.tests.values() if one.crashed]) + lost:
        return found
    if not run.tests:
        return [Red(stage, "no test ran", f"pytest ended with {code}")]
    if code not in {_PASSED, _FAILED} or (code == _FAILED) != bool(run.failed):
        return [Red(stage, f"pytest ended with {code}", f"{len(run.failed)} failed tests were recorded")]
    return []


def reds(stage: str, tests: list[Result]) -> list[Red]:
    """Return a line for each of these failed tests."""
    return [Red(stage, one.id, one.error) for one in tests]


def passed_again(first: Result, code: int, run: Run) -> bool:
    """Return whether a test that had failed passed when it was run again.

    Where others may be to blame its whole file was run, and nothing of that may fail.
    """
    again = run.tests.get(first.id)
    if code not in {_PASSED, _FAILED} or run.missing or again is None:
        return False
    others = [one for one in run.failed if one.file == first.file]
    return again.passed and not (first.blames_others and others)
