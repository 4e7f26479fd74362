"""The ratio that counts: the whole system's processor time per analysed picture / the same work in one process."""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

from bench.system import PROGRAMS, lifetime_ms, run

_LONG_SIDE = 640
ROUNDS = 2


async def bench(
    source: Path, cameras: int, fps: float, seconds: float, progress: Callable[[str, float], None]
) -> dict[str, Any]:
    """Return the figures of `moretta bench`; yardstick and system are run alternately, `ROUNDS` times each."""
    part = seconds / ROUNDS
    yardsticks, systems = [], []
    for number in range(ROUNDS):
        progress(f"in one process, {number + 1}/{ROUNDS}", 0.0)
        yardsticks.append(await _yardstick(source, cameras, fps, part))
        name = f"{cameras} cameras, {number + 1}/{ROUNDS}"
        systems.append(await run(source, cameras, fps, part, lambda done, name=name: progress(name, done)))  # type: ignore[misc]
    by_program = {name: fmean(system.cpu_ms[name] for system in systems) for name in PROGRAMS}
    total, alone = sum(by_program.values()), fmean(y["cpu_ms"] for y in yardsticks)
    shown = {name.removesuffix("-server"): round(ms, 3) for name, ms in by_program.items()}
    return {
        "cameras": cameras,
        "analysed_fps": round(sum(s.analysed for s in systems) / sum(s.seconds for s in systems), 2),
        "shed_share": round(fmean(s.shed_share for s in systems), 4),
        "lifetime_ms": {name: round(ms, 2) for name, ms in lifetime_ms(systems).items()},
        "cpu_ms_per_frame": {**shown, "total": round(total, 3)},
        "in_process_cpu_ms_per_frame": round(alone, 3),
        "ratio": round(total / alone, 4),
    }


async def _yardstick(source: Path, cameras: int, fps: float, seconds: float) -> dict[str, float]:
    """Return the yardstick's figures from a process of its own: its processor time is its alone."""
    arguments = [str(source), str(cameras), str(fps), str(seconds), str(_LONG_SIDE)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "bench.in_process", *arguments, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    result: dict[str, float] = json.loads(output)
    return result
