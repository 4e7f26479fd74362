"""The main ratio: the whole system's processor time per analysed picture / that of the same work in one process."""

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.table import Table

from bench.system import PROGRAMS, Run, Scenario, run
from operate import output
from operate.box.machine import BoxError

_LONG_SIDE = 640
ROUNDS = 2


async def bench(
    source: Path, cameras: int, fps: float, seconds: float, progress: Callable[[str, float], None]
) -> dict[str, Any]:
    """Return the figures of `python -m bench ratio`; yardstick and system are run alternately, `ROUNDS` times each."""
    scenario = Scenario([source], cameras, seconds / ROUNDS, fps)
    yardsticks, systems = [], []
    for number in range(ROUNDS):
        progress(f"in one process, {number + 1}/{ROUNDS}", 0.0)
        yardsticks.append((await yardstick(scenario)).cpu_ms)
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


def shown(values: dict[str, Any]) -> Table:
    """Return the figures as a table."""
    table = Table(title=f"{values['cameras']} cameras, {values['analysed_fps']} analysed pictures a second")
    table.add_column("processor ms per analysed picture")
    table.add_column("", justify="right")
    for name, ms in values["cpu_ms_per_frame"].items():
        table.add_row(name, f"{ms:.2f}")
    table.add_row("the same work in one process", f"{values['in_process_cpu_ms_per_frame']:.2f}")
    table.add_row("ratio", f"{values['ratio']:.3f}")
    life = values["lifetime_ms"]
    p50, p99 = ("over 100" if life[name] is None else f"{life[name]:.0f}" for name in ("p50", "p99"))
    table.add_row("pixel lifetime p50 / p99", f"{p50} / {p99} ms")
    table.add_row("shed", output.percent(values["shed_share"]))
    return table


def lifetime_ms(runs: list[Run]) -> dict[str, float | None]:
    """Return p50 and p99 over all pictures of the worst run, ms; None beyond 100 ms, where nothing is measured."""
    found = {name: 1e3 * max(r.lifetime.quantile(share) for r in runs) for name, share in (("p50", 0.5), ("p99", 0.99))}
    return {name: None if ms == float("inf") else round(ms, 2) for name, ms in found.items()}


@dataclass(frozen=True)
class Yardstick:
    """The same work in one process: processor time and faces found, per analysed picture."""

    cpu_ms: float
    faces: float


async def yardstick(scenario: Scenario) -> Yardstick:
    """Return the yardstick's figures. It runs in a separate process, to measure it alone.

    BoxError if it fails; its error text is on standard error.
    """
    how = (scenario.cameras, scenario.fps, scenario.seconds, _LONG_SIDE)
    arguments = [*map(str, how), *map(str, scenario.sources)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "bench.in_process", *arguments, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise BoxError(f"the yardstick ended with exit code {process.returncode}")
    found = json.loads(output)
    return Yardstick(found["cpu_ms"], found["faces"])
