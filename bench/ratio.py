"""The ratio that counts: the whole system's processor time per analysed picture / the same work in one process."""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

from bench.system import PROGRAMS, Run, Scenario, run
from operate.box.error import BoxError

_LONG_SIDE = 640
ROUNDS = 2


async def bench(
    source: Path, cameras: int, fps: float, seconds: float, progress: Callable[[str, float], None]
) -> dict[str, Any]:
    """Return the figures of `moretta bench`; yardstick and system are run alternately, `ROUNDS` times each."""
    scenario = Scenario([source], cameras, seconds / ROUNDS, fps)
    yardsticks, systems = [], []
    for number in range(ROUNDS):
        progress(f"in one process, {number + 1}/{ROUNDS}", 0.0)
        yardsticks.append(await yardstick_ms(scenario))
        name = f"{cameras} cameras, {number + 1}/{ROUNDS}"
        systems.append(await run(scenario, lambda done, name=name: progress(name, done)))  # type: ignore[misc]
    by_program = {name: fmean(system.cpu_ms[name] for system in systems) for name in PROGRAMS}
    total, alone = sum(by_program.values()), fmean(yardsticks)
    shown = {name.removesuffix("-server"): round(ms, 3) for name, ms in by_program.items()}
    return {
        "cameras": cameras,
        "analysed_fps": round(sum(s.analysed for s in systems) / sum(s.seconds for s in systems), 2),
        "shed_share": round(fmean(s.shed_share for s in systems), 4),
        "lifetime_ms": lifetime_ms(systems),
        "cpu_ms_per_frame": {**shown, "total": round(total, 3)},
        "in_process_cpu_ms_per_frame": round(alone, 3),
        "ratio": round(total / alone, 4),
    }


def lifetime_ms(runs: list[Run]) -> dict[str, float | None]:
    """Return p50 and p99 of all pictures, the worst run's; None beyond 100 ms, where nothing is measured."""
    found = {name: 1e3 * max(r.lifetime.quantile(share) for r in runs) for name, share in (("p50", 0.5), ("p99", 0.99))}
    return {name: None if ms == float("inf") else round(ms, 2) for name, ms in found.items()}


async def yardstick_ms(scenario: Scenario) -> float:
    """Return the yardstick's processor time per picture, in a process of its own: its processor time is its alone.

    BoxError if it fails; what it says of it is on standard error.
    """
    numbers = (scenario.cameras, scenario.fps, scenario.seconds, _LONG_SIDE)
    arguments = [str(scenario.sources[0]), *map(str, numbers)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "bench.in_process", *arguments, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise BoxError(f"the yardstick ended with exit code {process.returncode}")
    return float(json.loads(output)["cpu_ms"])
