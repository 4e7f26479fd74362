"""The cost of a crash for aggregate, and of a sighting: `python -m bench.replay [--minutes 20] [--json]`.

Aggregate reads a window's sightings of twelve cameras again from a real nats-server, as after a crash just before the
window closes: its passages are stored, and nothing is published. The bench then measures aggregate's processor time for
one sighting with 20 faces, with one camera and with 100. It covers the way from the socket to the windows, without the
server's own time.
"""

import asyncio
import contextlib
import json
import random
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console
from rich.table import Table

from bench.bus_cost import server_url, start_program
from bench.verdicts import Row, at_most
from operate.box.programs import SERVER, nats_server
from proto.sightings import CODES, PassageV1, SightingsV1, SightingV1
from proto.subjects import PASSAGES, SIGHTINGS
from services.aggregate.core.config import SECOND, CameraConfig, SiteConfig
from services.aggregate.core.site import SiteCore
from services.aggregate.runner import SiteRunner
from services.aggregate.settings import AggregateSettings
from services.bus import Bus, NatsSettings
from services.bus.clock import HostClock
from services.kernel.app import end_tasks
from services.kernel.log import LogSettings, configure

PERIOD = SECOND // 5
_AT_ONCE = 256
_STREAMS = ("SIGHTINGS", "PASSAGES", "WINDOWS", "ALERTS", "RULES", "OPERATIONS")
_GIB = 1 << 30


@dataclass(frozen=True)
class Scene:
    """Cameras that always have so many faces in view, for so many pictures each; `site` tells scenes apart."""

    site: str
    cameras: int
    faces: int
    pictures: int

    @property
    def config(self) -> SiteConfig:
        """The site's configuration: windows as long as a profile demands."""
        cameras = [CameraConfig(id=name) for name in self.names]
        return SiteConfig(site=self.site, profile="lab", window_s=1_200.0, lateness_s=5.0, cameras=cameras)

    @property
    def names(self) -> list[str]:
        """The cameras."""
        return [f"c{number:03}" for number in range(self.cameras)]

    def sightings(self, start: int) -> Iterator[SightingsV1]:
        """Yield the cameras' sightings from `start` (ns) on, in the order of the pictures."""
        views = {name: _View(random.Random(f"{self.site}/{name}"), self.faces) for name in self.names}
        for number in range(self.pictures):
            for index, name in enumerate(self.names):
                at = start + number * PERIOD + index * PERIOD // self.cameras
                yield _sightings(self.site, name, number, at, views[name].step())


class _View:
    """The view of one camera: people cross the picture in some seconds. A new person replaces one who has left."""

    def __init__(self, rng: random.Random, count: int) -> None:
        self._rng = rng
        self._people = [self._person(rng.random()) for _ in range(count)]

    def _person(self, x: float = 0.0) -> list[Any]:
        rng = self._rng
        return [
            x,
            rng.uniform(0.05, 0.9),
            rng.uniform(0.02, 0.05),
            rng.uniform(0.01, 0.05),
            rng.choice(("masked", "unmasked")),
        ]

    def step(self) -> list[SightingV1]:
        rng, faces = self._rng, []
        for number, (x, y, size, speed, verdict) in enumerate(self._people):
            jitter = rng.gauss(0, 0.08) * size
            box = (x + jitter, y, min(1.0, x + jitter + size), min(1.0, y + size))
            if 0 <= box[0] < box[2] and rng.random() > 0.05:
                faces.append(SightingV1(box=box, code=CODES[verdict], score=0.9, confidence=0.9))
            self._people[number][0] = x + speed
            if x + speed >= 1 - size:
                self._people[number] = self._person()
        return faces


def _sightings(site: str, camera: str, number: int, at: int, faces: list[SightingV1]) -> SightingsV1:
    return SightingsV1(
        site=site,
        camera=camera,
        lease=1,
        sequence=number,
        at=at,
        period=PERIOD,
        aspect=16 / 9,
        model="bench",
        model_sha256="0" * 64,
        faces=faces,
    )


@dataclass(frozen=True)
class Cost:
    """The cost of reading a scene again."""

    sightings: int
    passages: int
    seconds: float
    cpu_s: float

    @property
    def cpu_ms(self) -> float:
        """Processor time of this process per sighting."""
        return 1e3 * self.cpu_s / self.sightings


async def replayed(bus: Bus, scene: Scene) -> Cost:
    """Store a scene and its passages, then let aggregate read it as after a crash."""
    start = scene.config.start_of(time.time_ns())
    count = await _stored(bus.store(SIGHTINGS, message) for message in scene.sightings(start))
    passages = await _passages(bus, scene.config)
    await _stored(bus.store(PASSAGES, passage) for passage in passages)
    seconds, cpu_s = await _followed(bus, scene.config)
    return Cost(count, len(passages), seconds, cpu_s)


async def _stored(writes: Iterable[Coroutine[Any, Any, int]]) -> int:
    """Store in order, some hundred at a time; return the number stored."""
    count, left = 0, iter(writes)
    while batch := list(islice(left, _AT_ONCE)):
        await asyncio.gather(*batch)
        count += len(batch)
    return count


async def _passages(bus: Bus, config: SiteConfig) -> list[PassageV1]:
    core, filters = SiteCore(config), [SIGHTINGS.wildcard(site=config.site)]
    history = await bus.streams.history("SIGHTINGS", filters)
    return [output for stored in history for output in core.step(stored) if isinstance(output, PassageV1)]


async def _followed(bus: Bus, config: SiteConfig) -> tuple[float, float]:
    """Return the time and the processor time until all that was stored has been read."""
    read = asyncio.Event()
    host = HostClock(lambda: bus.clock_offset("SIGHTINGS"), lambda *_: None)

    def ready(done: bool, why: str = "") -> None:
        if done and not why:
            read.set()

    runner = SiteRunner(bus, config, AggregateSettings(), host, ready)
    began, cpu = time.perf_counter(), time.process_time()
    following, done = asyncio.create_task(runner.follow()), asyncio.create_task(read.wait())
    watching = asyncio.create_task(host.watch())  # if NATS's first answer about the clock is late
    try:
        await asyncio.wait([following, done], return_when=asyncio.FIRST_COMPLETED)
        if not read.is_set():
            following.result()
        return time.perf_counter() - began, time.process_time() - cpu
    finally:
        await end_tasks([following, done, watching])


@contextlib.asynccontextmanager
async def _bus() -> AsyncIterator[Bus]:
    """Run a server with its streams; yield a connection."""
    with tempfile.TemporaryDirectory(prefix="moretta-bench-") as name:
        config = Path(name) / "nats.conf"
        store = {"store_dir": name, "max_memory_store": 2 * _GIB, "max_file_store": 2 * _GIB}
        config.write_text(json.dumps({"listen": "127.0.0.1:-1", "ports_file_dir": name, "jetstream": store}))
        server = await start_program(nats_server(), "-c", str(config), more=SERVER)
        try:
            bus = await Bus.connect(NatsSettings(url=await server_url(Path(name))), "bench")
            await bus.ensure_streams(_STREAMS)
            try:
                yield bus
            finally:
                await bus.close()
        finally:
            server.kill()
            await server.wait()


async def measure(minutes: float, cameras: int, pictures: int, rounds: int) -> dict[str, list[Cost]]:
    """Replay in turn a window of so many minutes, and pictures of 20 faces with 1 and with 100 cameras."""
    scenes = [
        Scene("window", cameras, 5, round(minutes * 300)),
        Scene("one", 1, 20, pictures),
        Scene("hundred", 100, 20, max(1, pictures // 20)),
    ]
    found: dict[str, list[Cost]] = {scene.site: [] for scene in scenes}
    for scene in scenes * rounds:
        async with _bus() as bus:
            found[scene.site].append(await replayed(bus, scene))
    return found


def measured(minutes: float, cameras: int, pictures: int, rounds: int) -> dict[str, list[Cost]]:
    """Run `measure` on a separate event loop, of the same kind as a service's."""
    configure("bench", LogSettings(level="error"))
    return uvloop.run(measure(minutes, cameras, pictures, rounds))


def rows(found: dict[str, list[Cost]]) -> list[Row]:
    """Return the rows of the table."""
    window, one, hundred = found["window"], found["one"], found["hundred"]
    growth = [100 * (many.cpu_ms / single.cpu_ms - 1) for single, many in zip(one, hundred, strict=True)]
    cpu_s = median(cost.cpu_s for cost in window)
    what = f"{window[0].sightings} sightings, {window[0].passages} passages stored, {cpu_s:.1f} s of processor time"
    return [
        at_most("replay of a window", 10.0, [cost.seconds for cost in window], " s", what),
        at_most("a sighting with 20 faces, 1 camera", 0.5, [cost.cpu_ms for cost in one], " ms"),
        at_most("a sighting with 20 faces, 100 cameras", 0.5, [cost.cpu_ms for cost in hundred], " ms"),
        at_most("growth from 1 to 100 cameras", 10.0, growth, " %"),
    ]


def run(
    minutes: Annotated[float, typer.Option(help="length of the window that is read again")] = 20.0,
    cameras: Annotated[int, typer.Option(help="its cameras, at 5 sightings a second with 5 faces each")] = 12,
    pictures: Annotated[
        int, typer.Option(help="pictures with 20 faces at 1 camera, five times as many at 100")
    ] = 3_000,
    rounds: Annotated[int, typer.Option(help="the median of so many counts")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Measure what reading a window again takes, and what a sighting costs."""
    found = rows(measured(minutes, cameras, pictures, rounds))
    if as_json:
        print(json.dumps([{"name": r.name, "runs": r.runs, "met": r.met} for r in found]))
        return
    table = Table("", "target", "measured", "", "")
    for row in found:
        table.add_row(row.name, row.target, row.measured, row.verdict, row.note)
    Console().print(table)


if __name__ == "__main__":
    typer.run(run)
