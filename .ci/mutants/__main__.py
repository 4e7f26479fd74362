#!/usr/bin/env python
"""Changes the pure cores, one place at a time, and says whether the unit tests notice: `make mutants`.

    .venv-mutants/bin/python .ci/mutants [--checkout FOLDER] [--result JSON] [--jobs N] [--only PART_OF_A_NAME[:LINE]]
        [--again JSON]

300 mutants are drawn by a seed (fixed.py) and made by cosmic-ray. Each is tried with those of the cores' unit tests
that run the changed line. It is killed if one of them fails, or needs far more processor time than without the change.
A file of tests that cannot be imported is left out and named; any other run that does not reach its end is an error.
All runs in a copy of the checkout, with the tests' own Python. Exit code 1 below 90 %, or if what is listed as
equivalent is too much or no longer survives.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import fixed
from making import Mutant, drawn, modules
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from tests_by_line import Tests

HERE = Path(__file__).resolve().parents[2]
PYTHON = HERE / ".venv/bin/python"
_CHUNKS = 12
_PASSED, _RAN = {0, 5}, {0, 1}
"""Exit codes of pytest: all passed, or the change left none of the chosen tests to run; it ran to its end."""
_SPARE_S, _TIMES, _LONGEST_S = 20, 10, 120
"""A mutant's processor time: seconds more, and times what its tests needed when they were traced with few examples."""


@dataclass
class Outcome:
    """What became of a mutant: killed (by a test), timed out, survived; or untested: no test runs its line."""

    mutant: Mutant
    what: str
    by: str = ""
    tests: int = 0
    equivalent: str = ""
    diff: str = field(default="", repr=False)

    @property
    def is_killed(self) -> bool:
        return self.what in {"killed", "timed out"}


class Runners:
    """One Python each for so many threads; see runner.py."""

    def __init__(self, folder: Path, scratch: Path, count: int) -> None:
        self._folder, self._scratch, self._mine = folder, scratch, threading.local()
        self._started: list[subprocess.Popen[str]] = []
        self.pool = ThreadPoolExecutor(count)

    def ask(self, job: dict[str, Any]) -> dict[str, Any]:
        """Run one job."""
        process = getattr(self._mine, "process", None) or self._start()
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()
        return dict(json.loads(process.stdout.readline()))

    def finish(self, job: dict[str, Any]) -> dict[str, Any]:
        """Run one job without any change. If it does not reach its end, nothing is known: that is an error."""
        result = self.ask(job)
        if result["code"] not in _RAN:
            said = self._said().read_text()[-2_000:]
            raise SystemExit(f"did not end as it should: {result}\nfiles: {' '.join(job['files'])}\n{said}")
        return result

    def _said(self) -> Path:
        return self._scratch / f"said-{threading.get_ident()}.txt"

    def _start(self) -> "subprocess.Popen[str]":
        ours = {"PYTHONPATH": str(self._folder), "PYTHONHASHSEED": "0"}
        quiet = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # threads don't live on in a fork
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | ours | quiet
        self._mine.process = process = subprocess.Popen(
            [PYTHON, "-P", Path(__file__).with_name("runner.py"), self._said()],
            cwd=self._folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        self._started.append(process)
        return process

    def close(self) -> None:
        """End the runners, whatever they do; what they have forked ends with them (runner.py)."""
        for process in self._started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkout", type=Path, default=HERE, help="whose code and tests (this one's)")
    parser.add_argument("--result", type=Path, default=HERE / "build/mutants.json")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="how many at a time")
    parser.add_argument("--only", default="", help="try only those of files with this in their name; NAME:LINE too")
    parser.add_argument("--again", type=Path, help="an earlier result: try only what it does not say was killed")
    chosen = parser.parse_args()
    scratch = HERE / "build/mutants"
    folder = copied(chosen.checkout.resolve(), scratch / f"of-{chosen.checkout.resolve().name}")
    mutants, counts = drawn(folder)
    name, _, line = chosen.only.partition(":")
    mutants = [one for one in mutants if name in one.file and line in {"", str(one.line)}]
    before = killed_before(chosen.again, mutants) if chosen.again else []
    mutants = [one for one in mutants if one not in {outcome.mutant for outcome in before}]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # as Ctrl-C does: the runners end, too
    with contextlib.closing(Runners(folder, scratch, chosen.jobs)) as runners:
        outcomes, failed = found(runners, folder, mutants)
    listed = tomllib.loads(Path(__file__).with_name("equivalent.toml").read_text()).get("mutant", [])
    outcomes += before
    mark_equivalent(outcomes, listed)
    rows = [asdict(outcome) for outcome in outcomes]
    result = {"possible": counts, "failed_before": sorted(failed), "mutants": rows}
    chosen.result.write_text(json.dumps(result, indent=1))
    return judged(outcomes, counts, failed, Console())


def found(runners: Runners, folder: Path, mutants: list[Mutant]) -> tuple[list[Outcome], set[str]]:
    """Return what became of each mutant, and which tests fail without any change."""
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        tests = traced(runners, folder, progress)
        outcomes = tried(runners, folder, tests, mutants, progress)
        tests.failed |= controlled(runners, outcomes, progress)
    return outcomes, tests.failed


def killed_before(result: Path, mutants: list[Mutant]) -> list[Outcome]:
    """Return what an earlier result says was killed of these mutants, which are told apart as in the draw."""
    by_lot = {mutant.lot: mutant for mutant in mutants}
    found = (Outcome(**row | {"mutant": Mutant(**row["mutant"])}) for row in json.loads(result.read_text())["mutants"])
    killed = [outcome for outcome in found if outcome.is_killed and outcome.mutant.lot in by_lot]
    return [replace(outcome, mutant=by_lot[outcome.mutant.lot]) for outcome in killed]


def copied(checkout: Path, to: Path) -> Path:
    """Return a copy of what git has and would have, so that work may go on meanwhile."""
    shutil.rmtree(to, ignore_errors=True)
    listed = subprocess.check_output(["git", "ls-files", "-coz", "--exclude-standard"], cwd=checkout, text=True)
    for name in filter(None, listed.split("\0")):
        if (checkout / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(checkout / name, to / name, follow_symlinks=False)
    return to


def traced(runners: Runners, folder: Path, progress: Progress) -> Tests:
    """Run the cores' unit tests once, and return which lines each of them runs."""
    files = sorted(
        path.relative_to(folder).as_posix() for name in fixed.TESTS for path in (folder / name).rglob("test_*.py")
    )
    tests, cores = Tests(folder), [name for names in modules(folder).values() for name in names]
    jobs = [{"files": files[i::_CHUNKS], "lines": cores} for i in range(_CHUNKS)]
    for result in each(runners.pool, runners.finish, jobs, progress, "which tests run which lines"):
        tests.add(result)
    return tests


def controlled(runners: Runners, outcomes: list[Outcome], progress: Progress) -> set[str]:
    """Run all tests that killed something without any change; what fails kills nothing."""
    killers = [
        sorted({one.by for one in outcomes if one.mutant.part == part and "::" in one.by}) for part in fixed.PARTS
    ]
    jobs = [
        {"files": sorted({test.partition("::")[0] for test in tests}), "tests": tests} for tests in killers if tests
    ]
    results = each(runners.pool, runners.finish, jobs, progress, "control")
    found = {test for result in results for test in result["failed"]}
    for outcome in outcomes:
        outcome.what = "survived" if outcome.by in found else outcome.what
    return found


def tried(runners: Runners, folder: Path, tests: Tests, mutants: list[Mutant], progress: Progress) -> list[Outcome]:
    """Try each mutant, and show at once which lives; the order is that of the draw."""
    found: dict[Mutant, Outcome] = {}
    for outcome in each(
        runners.pool, lambda mutant: try_one(runners, folder, tests, mutant), mutants, progress, "mutants"
    ):
        found[outcome.mutant] = outcome
        if not outcome.is_killed:
            progress.console.print("\n".join(told(outcome)), markup=False, highlight=False, soft_wrap=True)
    return [found[mutant] for mutant in mutants]


def try_one(runners: Runners, folder: Path, tests: Tests, mutant: Mutant) -> Outcome:
    """Run a mutant's tests until one fails."""
    outcome = Outcome(mutant, "untested", diff=mutant.diff(folder))
    for stage in tests.of(mutant.file, mutant.line):
        outcome.tests += len(stage)
        job = {
            "files": sorted({test.partition("::")[0] for test in stage}), "tests": stage,
            "module": mutant.module, "path": str(folder / mutant.file), "source": mutant.source(folder),
            "cpu_s": min(_LONGEST_S, round(_SPARE_S + _TIMES * sum(tests.cost_s[test] for test in stage))),
        }  # fmt: skip
        result = runners.ask(job)
        outcome.what, outcome.by = verdict(result)
        if outcome.is_killed:
            break
    return outcome


def verdict(result: dict[str, Any]) -> tuple[str, str]:
    """Return what a run says of a mutant, and by which test."""
    if result.get("timed_out"):
        return "timed out", ""
    if result["failed"]:
        return "killed", result["failed"][0]
    if result["code"] in _PASSED:
        return "survived", ""
    raise SystemExit(f"the tests did not run: {result}")


def each(
    pool: ThreadPoolExecutor, do: Callable[[Any], Any], work: Iterable[Any], progress: Progress, what: str
) -> Iterable[Any]:
    """Yield what comes of each piece of work, as it comes, and show how many there are still."""
    doing = [pool.submit(do, one) for one in work]
    bar = progress.add_task(what, total=len(doing))
    try:
        for done in as_completed(doing):
            yield done.result()
            progress.advance(bar)
            if not progress.console.is_terminal:
                progress.console.print(f"{what}: {progress.tasks[bar].completed:.0f} of {len(doing)}")
    finally:
        for one in doing:
            one.cancel()


def mark_equivalent(outcomes: list[Outcome], listed: list[dict[str, str]]) -> None:
    """Say of the survivors that equivalent.toml names why no test can tell."""
    reasons = {(one["file"], one["operator"], one["text"], one.get("nth", 1)): one["reason"] for one in listed}
    for outcome in outcomes:
        one = outcome.mutant
        outcome.equivalent = reasons.get((one.file, one.operator, one.text, one.nth), "")


def judged(outcomes: list[Outcome], counts: dict[str, int], failed: set[str], console: Console) -> int:
    """Print the table and the survivors; return the exit code."""
    killed = sum(outcome.is_killed for outcome in outcomes)
    equivalent = [outcome for outcome in outcomes if outcome.equivalent]
    wrong = [outcome for outcome in equivalent if outcome.is_killed]
    share = killed / len(outcomes)
    console.print(table(outcomes, counts))
    lines = [line for outcome in outcomes if not outcome.is_killed for line in told(outcome)]
    lines += [f"fails without any change, so it kills nothing: {test}" for test in sorted(failed)]
    lines += [f"equivalent.toml names what {one.by} kills: {one.mutant.file} {one.mutant.text}" for one in wrong]
    lines.append(f"{killed} of {len(outcomes)} killed: {share:.1%}, at least {fixed.WANTED:.0%}")
    lines.append(f"{len(equivalent)} equivalent, at most {fixed.MAX_EQUIVALENT:.0%}")
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
    return int(share < fixed.WANTED or len(equivalent) > fixed.MAX_EQUIVALENT * len(outcomes) or bool(wrong))


def told(outcome: Outcome) -> list[str]:
    """Return what is printed of one that lives."""
    one = outcome.mutant
    where = f"{one.file}:{one.line} {one.operator} {one.nth}: {outcome.what} by {outcome.tests} tests"
    return [f"{where}; equivalent: {outcome.equivalent}" if outcome.equivalent else where, outcome.diff]


def table(outcomes: list[Outcome], counts: dict[str, int]) -> Table:
    """Return the outcomes by part."""
    ends = ("killed", "timed out", "survived", "untested")
    found = Table("core", "possible", "drawn", *ends)
    for part, count in counts.items():
        of = Counter(outcome.what for outcome in outcomes if outcome.mutant.part == part)
        found.add_row(part, str(count), str(of.total()), *(str(of[what]) for what in ends))
    return found


if __name__ == "__main__":
    sys.exit(main())
