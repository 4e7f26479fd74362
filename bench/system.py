"""The whole system on one box with N looped cameras: processor time, pixel lifetime, dropped pictures."""

import asyncio
import contextlib
import tempfile
import urllib.request
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from bench.histogram import Histogram, Samples, read
from operate.box.box import Box
from operate.box.machine import BoxError
from proto.public import CameraV1
from proto.sightings import SightingsV1
from proto.subjects import CAMERAS, SIGHTINGS
from services.bus import Bus

PROGRAMS = ("ingest", "inference", "aggregate", "notify", "nats-server")
_LIVE_LIMIT_S = 60.0
_REPORT_S = 2.0
_NOTICE_S = 0.5
"""Seconds after the end of a process until its end is known."""
Progress = Callable[[float], None]


@dataclass(frozen=True)
class Scenario:
    """A run: `cameras` cameras loop these files in turn, measured after `warm_up_s`, for `seconds`."""

    sources: list[Path]
    cameras: int
    seconds: float
    fps: float = 5.0
    warm_up_s: float = 4.0
    lanes: int | None = None
    """How many pictures inference analyses at a time; None: as many as it finds worth it."""

    @property
    def due(self) -> float:
        """The pictures due for analysis in a second."""
        return self.cameras * self.fps

    def settings(self) -> dict[str, Any]:
        """Return the settings file's content."""
        posts = [
            {"id": f"c{n}", "url": str(self.sources[n % len(self.sources)].resolve()), "fps": self.fps, "loop": True}
            for n in range(self.cameras)
        ]
        site = {"id": "bench", "profile": "lab", "window_s": 10.0, "cameras": posts}
        inference = {"inference": {"threads": self.lanes}} if self.lanes else {}
        return {"sites": [site], "log": {"level": "error"}, "ingest": {"report_s": _REPORT_S}, **inference}


@dataclass
class Run:
    """The results of one run, over its measured seconds alone."""

    due: float
    seconds: float = 0.0
    analysed: int = 0
    faces: float = 0.0
    """Faces found in an analysed picture, on average."""
    cpu_ms: dict[str, float] = field(default_factory=dict)
    """Processor time per analysed picture, by program."""
    lifetime: Histogram = field(default_factory=Histogram)
    lag: Histogram = field(default_factory=Histogram)
    frame_age: Histogram = field(default_factory=Histogram)
    service_ms: float = 0.0
    """The time of a lane for a picture, on average."""
    outcomes: dict[str, float] = field(default_factory=dict)
    """Ingest's pictures by outcome."""
    dropped: float = 0.0
    """Frames that inference never looked at, because more came than it could even refuse."""
    shed_share: float = 0.0
    others: float = 0.0
    """Cores that other work on the machine used meanwhile."""

    @property
    def analysed_share(self) -> float:
        """The share of the due pictures that were analysed; a camera that falls behind lowers it too."""
        return self.analysed / max(1e-9, self.due * self.seconds)

    @property
    def cpu_total_ms(self) -> float:
        """Processor time of all programs per analysed picture."""
        return sum(self.cpu_ms.values())

    @property
    def cores(self) -> float:
        """Processor time of all programs per second."""
        return self.cpu_total_ms * self.analysed / 1e3 / self.seconds


@dataclass
class _Seen:
    """The messages that came over the bus since the start."""

    sightings: int = 0
    faces: int = 0
    states: dict[str, CameraV1] = field(default_factory=dict)


class NotMeasured(BoxError):
    """The event to measure did not happen; the text says what happened."""


class Restarted(NotMeasured):
    """A program ended while it was measured. Its times, counts and memory began anew and would look too good."""


def require_same(before: dict[str, int], now: dict[str, int]) -> None:
    """Raise Restarted unless every program runs as the process that it was before."""
    names = [name for name in PROGRAMS if name not in before or before[name] != now.get(name)]
    if names:
        raise Restarted(f"{' and '.join(names)} ended, or was started again, while it was measured")


def require_work(measured: Run) -> None:
    """Raise NotMeasured if no picture was analysed or had a lifetime: without pictures, none is late."""
    if not measured.analysed or not measured.lifetime.count:
        raise NotMeasured("no picture was analysed")


@contextlib.asynccontextmanager
async def running(settings: dict[str, Any]) -> AsyncIterator[Box]:
    """Run a box with these settings in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="moretta-bench-") as name:
        file = Path(name) / "settings.yaml"
        file.write_text(yaml.safe_dump(settings), encoding="utf-8")
        async with Box(Path(name), file, on_line=lambda _name, _line: None) as box:
            yield box


async def run(scenario: Scenario, progress: Progress) -> Run:
    """Return the figures of a warm system.

    BoxError if the cameras do not come up, Restarted if a program ends, NotMeasured if nothing is analysed.
    """
    async with running(scenario.settings()) as box, _listening(box) as seen:
        await _until_live(seen, scenario.cameras)
        await asyncio.sleep(scenario.warm_up_s)
        pids = box.pids()
        require_same(pids, pids)
        try:
            measured = await _watch(box, scenario, seen, progress)
        except (psutil.Error, OSError, KeyError):  # a program that has ended doesn't answer
            await asyncio.sleep(_NOTICE_S)
            require_same(pids, box.pids())
            raise
        require_same(pids, box.pids())
        require_work(measured)
        return measured


@contextlib.asynccontextmanager
async def _listening(box: Box) -> AsyncIterator[_Seen]:
    seen = _Seen()
    bus = await Bus.connect(box.nats("aggregate"), "bench")
    public = await Bus.connect(box.nats("subscriber"), "bench")

    async def sighted(message: SightingsV1, _request: Any) -> None:
        seen.sightings += 1
        seen.faces += len(message.faces)

    async def state(message: CameraV1, _request: Any) -> None:
        seen.states[message.camera] = message

    try:
        await bus.serve(SIGHTINGS, sighted, pending=10_000)
        await public.serve(CAMERAS, state, pending=1_000)
        yield seen
    finally:
        await bus.close()
        await public.close()


async def _until_live(seen: _Seen, cameras: int) -> None:
    try:
        async with asyncio.timeout(_LIVE_LIMIT_S):
            while seen.sightings < cameras or sum(s.state == "live" for s in seen.states.values()) < cameras:
                await asyncio.sleep(0.1)
    except TimeoutError:
        told = {name: (s.state, s.reason) for name, s in seen.states.items()}
        raise BoxError(f"the cameras did not come up within {_LIVE_LIMIT_S:.0f} s: {told}") from None


async def _watch(box: Box, scenario: Scenario, seen: _Seen, progress: Progress) -> Run:
    result, loop = Run(scenario.due), asyncio.get_running_loop()
    metrics = await _metrics(box)
    before, count, faces, busy, started = cpu_s(box), seen.sightings, seen.faces, machine_s(), loop.time()
    while (passed := loop.time() - started) < scenario.seconds:
        progress(passed / scenario.seconds)
        await asyncio.sleep(0.5)
    spent = {name: after - before.get(name, 0.0) for name, after in cpu_s(box).items()}
    result.seconds, result.analysed = loop.time() - started, seen.sightings - count
    result.faces = (seen.faces - faces) / max(1, result.analysed)
    result.others = max(0.0, machine_s() - busy - sum(spent.values())) / result.seconds
    result.cpu_ms = {name: 1e3 * spent[name] / max(1, result.analysed) for name in PROGRAMS}
    _evaluate(result, metrics, await _metrics(box))
    return result


def _evaluate(result: Run, before: dict[str, Samples], after: dict[str, Samples]) -> None:
    ingest, inference = (after[name].since(before[name]) for name in ("ingest", "inference"))
    result.lifetime = ingest.histogram("moretta_pixel_lifetime_seconds")
    result.lag = ingest.histogram("moretta_ingest_decode_lag_seconds")
    result.outcomes = ingest.by("moretta_ingest_frames_total", "outcome")
    result.shed_share = result.outcomes.get("shed", 0.0) / max(1.0, sum(result.outcomes.values()))
    result.frame_age = inference.histogram("moretta_inference_frame_age_seconds")
    result.service_ms = 1e3 * inference.mean("moretta_inference_service_seconds")
    result.dropped = inference.by("moretta_bus_dropped_total", "row").get("FrameV1", 0.0)


async def _metrics(box: Box) -> dict[str, Samples]:
    return {name: read(await asyncio.to_thread(_fetch, box.probe_url(name))) for name in ("ingest", "inference")}


def _fetch(url: str) -> str:
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        text: bytes = answer.read()
    return text.decode()


def cpu_s(box: Box) -> dict[str, float]:
    """Return user and system time of each program's process so far."""
    found = {}
    for name, pid in box.pids().items():
        times = psutil.Process(pid).cpu_times()
        found[name] = times.user + times.system
    return found


def machine_s() -> float:
    """Return the processor time of all work on this machine so far, in seconds of one core."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))
