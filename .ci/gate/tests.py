"""Runs the stages, and what failed once more, alone."""

import json
import random
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from gate.records import Result, Run, read
from gate.stages import Only, Place, Stage, command, ended, environment
from gate.verdict import MAX_FAILED, Unsteady, Verdict, fatal, passed_again, reds

AGAIN_S = 600.0
"""How many seconds all second chances may take together."""
PAUSE_S = 10.0
"""How many seconds pass before a test that failed twice is run by itself."""


@dataclass
class Failed:
    """A test that failed in its stage, and has not passed since."""

    stage: Stage
    test: Result

    def only(self) -> Only:
        """Return what is run again: the test, or its file where another test may be to blame."""
        test = self.test
        return Only(files=frozenset({test.file})) if test.blames_others else Only(frozenset({test.id}))


def run(stages: Sequence[Stage], place: Place, *, pause_s: float = PAUSE_S, again_s: float = AGAIN_S) -> Verdict:
    """Run all stages, whatever an earlier one said; a failed test gets a second and a third chance."""
    seed = random.SystemRandom().randrange(2**32)
    shutil.rmtree(place.build / "gate", ignore_errors=True)
    verdict, failed = Verdict(), list[Failed]()
    for stage in stages:
        code, found = _run(stage, place, stage.name, seed)
        verdict.tests += sum(not one.skipped for one in found.tests.values())
        verdict.broken |= found.broken
        verdict.red += fatal(stage.name, code, found, place.limit_s)
        failed += [Failed(stage, test) for test in found.failed]
    if not verdict.red and len(failed) <= MAX_FAILED:
        first = failed
        failed = _second(first, place, seed, time.monotonic() + again_s, pause_s)
        ids = {(one.stage.name, one.test.id) for one in failed}
        steady = [one for one in first if (one.stage.name, one.test.id) not in ids]
        verdict.unsteady = [Unsteady(one.stage.name, one.test.id, one.test.error, seed) for one in steady]
    for one in failed:
        verdict.red += reds(one.stage.name, [one.test])
    _write(place, verdict)
    return verdict


def _second(failed: list[Failed], place: Place, seed: int, end: float, pause_s: float) -> list[Failed]:
    """Run what failed once more, a stage's tests in one run; then each by itself. Return what passed neither time."""
    still = list[Failed]()
    for name in dict.fromkeys(one.stage.name for one in failed):
        of_stage = [one for one in failed if one.stage.name == name]
        still += _not_passed(of_stage, place, f"{name}-again", seed, together(of_stage), end)
    left = list[Failed]()
    for number, one in enumerate(still):
        if time.monotonic() + pause_s < end:
            time.sleep(pause_s)
        left += _not_passed([one], place, f"{one.stage.name}-by-itself-{number}", seed, one.only(), end)
    return left


def together(failed: list[Failed]) -> Only:
    """Return what one run has to run of these."""
    parts = [one.only() for one in failed]
    return Only(frozenset().union(*(one.ids for one in parts)), frozenset().union(*(one.files for one in parts)))


def _not_passed(failed: list[Failed], place: Place, name: str, seed: int, only: Only, end: float) -> list[Failed]:
    limit_s = end - time.monotonic()
    if limit_s <= 0:
        return failed
    code, found = _run(failed[0].stage, replace(place, limit_s=limit_s), name, seed, only)
    return [one for one in failed if not passed_again(one.test, code, found)]


def _run(stage: Stage, place: Place, name: str, seed: int, only: Only | None = None) -> tuple[int, Run]:
    records = place.records(name)
    records.mkdir(parents=True)
    if only is not None:
        (records / "only.json").write_text(json.dumps({"ids": sorted(only.ids), "files": sorted(only.files)}))
    (place.build / "junit" / f"{name}.xml").unlink(missing_ok=True)
    began = time.monotonic()
    print(f"--- {name}", flush=True)
    code = ended(command(stage, place, name, seed, only), place, environment(stage, records, seed, only))
    print(f"--- {name}: exit code {code} after {time.monotonic() - began:.0f} s", flush=True)
    return code, read(records)


def _write(place: Place, verdict: Verdict) -> None:
    place.build.mkdir(parents=True, exist_ok=True)
    (place.build / "unsteady.json").write_text(json.dumps([asdict(one) for one in verdict.unsteady], indent=1) + "\n")
    (place.build / "gate" / "verdict.json").write_text(
        json.dumps(asdict(verdict) | {"last_line": verdict.last_line()}, indent=1) + "\n"
    )
