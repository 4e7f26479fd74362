"""The whole system on one box under N looped cameras: processor time per analysed picture, by process."""

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import yaml

from proto.public import CameraV1
from proto.sightings import SightingsV1
from proto.subjects import CAMERAS, SIGHTINGS
from services.bus import Bus
from services.cli.box import Box, BoxError

PROGRAMS = ("ingest", "inference", "aggregate", "notify", "nats-server")
_WARM_UP_S = 4.0
_LIVE_LIMIT_S = 60.0


@dataclass
class Run:
    """What one run measured."""

    analysed: int = 0
    seconds: float = 0.0
    shed_share: float = 0.0
    cpu_ms: dict[str, float] = field(default_factory=dict)
    lifetimes: list[tuple[float, float, float, int]] = field(default_factory=list)
    """p50, p99, max in ms and frames, a camera each."""


@dataclass
class Seen:
    """Sightings on the bus since the start."""

    sightings: int = 0


def settings_of(source: Path, cameras: int, fps: float, report_s: float) -> dict[str, Any]:
    """Return the settings of a run: N cameras that loop one file."""
    posts = [{"id": f"c{n}", "url": str(source.resolve()), "fps": fps, "loop": True} for n in range(cameras)]
    site = {"id": "bench", "profile": "lab", "window_s": 10.0, "cameras": posts}
    return {"sites": [site], "log": {"level": "error"}, "ingest": {"report_s": report_s}}


async def run(source: Path, cameras: int, fps: float, seconds: float, progress: Callable[[float], None]) -> Run:
    """Return the figures of `seconds` of a warm system."""
    with tempfile.TemporaryDirectory(prefix="moretta-bench-") as name:
        file = Path(name) / "settings.yaml"
        # Two reports a run: the second one covers them both, so its percentiles are those of all pictures.
        file.write_text(yaml.safe_dump(settings_of(source, cameras, fps, seconds / 2)), encoding="utf-8")
        async with Box(Path(name), file, on_line=lambda _name, _line: None) as box:
            return await _measure(box, cameras, seconds, progress)


async def _measure(box: Box, cameras: int, seconds: float, progress: Callable[[float], None]) -> Run:
    result, states = Run(), dict[str, CameraV1]()
    seen = Seen()
    bus = await Bus.connect(box.nats("aggregate"), "bench")
    public = await Bus.connect(box.nats("subscriber"), "bench")

    async def sighted(_message: SightingsV1, _request: Any) -> None:
        seen.sightings += 1

    async def state(message: CameraV1, _request: Any) -> None:
        states[message.camera] = message

    try:
        await bus.serve(SIGHTINGS, sighted, pending=10_000)
        await public.serve(CAMERAS, state, pending=1_000)
        await _until_live(seen, states, cameras)
        await asyncio.sleep(_WARM_UP_S)
        await _watch(box, result, seen, states, seconds, progress)
    finally:
        await bus.close()
        await public.close()
    return result


async def _until_live(seen: Seen, states: dict[str, CameraV1], cameras: int) -> None:
    try:
        async with asyncio.timeout(_LIVE_LIMIT_S):
            while seen.sightings < cameras or sum(s.state == "live" for s in states.values()) < cameras:
                await asyncio.sleep(0.1)
    except TimeoutError:
        told = {name: (s.state, s.reason) for name, s in states.items()}
        raise BoxError(f"the cameras did not come up within {_LIVE_LIMIT_S:.0f} s: {told}") from None


async def _watch(
    box: Box, result: Run, seen: Seen, states: dict[str, CameraV1], seconds: float, progress: Callable[[float], None]
) -> None:
    before, count = _cpu_s(box), seen.sightings
    loop = asyncio.get_running_loop()
    started = loop.time()
    while (passed := loop.time() - started) < seconds:
        progress(passed)
        await asyncio.sleep(0.5)
    after = _cpu_s(box)
    result.seconds, result.analysed = loop.time() - started, seen.sightings - count
    result.cpu_ms = {name: 1e3 * (after[name] - before[name]) / max(1, result.analysed) for name in PROGRAMS}
    reported = {name: message.at for name, message in states.items()}
    async with asyncio.timeout(seconds):  # until every camera has reported the second half too
        while any(states[name].at == reported[name] for name in reported):
            await asyncio.sleep(0.1)
    result.lifetimes = [
        (s.lifetime.p50_ms, s.lifetime.p99_ms, s.lifetime.max_ms, s.lifetime.frames)
        for s in states.values()
        if s.lifetime
    ]
    sheds = [s.shed_share for s in states.values() if s.shed_share is not None]
    result.shed_share = sum(sheds) / max(1, len(sheds))


def _cpu_s(box: Box) -> dict[str, float]:
    """Return user and system time of each program's process so far."""
    found = {}
    for name, pid in box.pids().items():
        times = psutil.Process(pid).cpu_times()
        found[name] = times.user + times.system
    return found


def lifetime_ms(runs: list[Run]) -> dict[str, float]:
    """Return p50 (the cameras' median), p99 and max (the worst camera's) in ms."""
    rows = [row for run in runs for row in run.lifetimes]
    return {"p50": median(r[0] for r in rows), "p99": max(r[1] for r in rows), "max": max(r[2] for r in rows)}
