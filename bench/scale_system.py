"""The bus, aggregate and notify under many cameras' sightings: processor time, memory, lag, bytes, a restart."""

import asyncio
from dataclasses import dataclass, field
from statistics import median
from typing import Any, cast

from bench.scale_load import Load
from bench.scale_stack import LIMIT_S, Counts, Stack, stack
from proto.public import WindowV1
from proto.subjects import WINDOWS
from proto.types import WHOLE_SITE

ZONE_CAMERAS = 5
"""Cameras that share a zone, which has a rule."""
RATE = 5
"""Sightings a second and camera."""
_LATENESS_S = 5.0
_TOLD, _BEHIND_S = 0.98, 1.0
_LOOK_S = 2.5
"""Seconds between two looks at the metrics. They are rare, because each look costs the service work."""


@dataclass(frozen=True)
class Layout:
    """The load and the replicas to run, and the duration of the measurement."""

    load: Load
    replicas: int = 1
    """Processes of aggregate."""
    seconds: float = 25.0
    warm_up_s: float = 8.0
    window_s: float = 10.0

    @property
    def settings(self) -> dict[str, Any]:
        """The settings file's content."""
        sites: dict[str, list[str]] = {}
        for site, camera in self.load.places:
            sites.setdefault(site, []).append(camera)
        found = [_site(name, cameras, self.window_s) for name, cameras in sites.items()]
        return {"sites": found, "log": {"level": "error"}}


def _site(name: str, cameras: list[str], window_s: float) -> dict[str, Any]:
    zones = [f"z{number:03}" for number in range(-(-len(cameras) // ZONE_CAMERAS))]
    return {
        "id": name,
        "profile": "lab",
        "window_s": window_s,
        "lateness_s": _LATENESS_S,
        "zones": [{"id": zone} for zone in zones],
        "rules": [{"id": f"masks-{zone}", "zone": zone, "fire_below": 0.01, "clear_above": 0.02} for zone in zones],
        "cameras": [
            {"id": camera, "url": "rtsp://192.0.2.1/", "zone": zones[number // ZONE_CAMERAS]}
            for number, camera in enumerate(cameras)
        ],
    }


@dataclass
class Measured:
    """The costs of one layout over its measured seconds."""

    layout: Layout
    seconds: float = 0.0
    cpu_s: dict[str, float] = field(default_factory=dict)
    """Processor time by program; all replicas of aggregate together; `teller` stands for inference."""
    rss: dict[str, int] = field(default_factory=dict)
    """Memory at the end, bytes; of aggregate's replicas the largest."""
    stored: dict[str, int] = field(default_factory=dict)
    """Messages that were added meanwhile, by stream."""
    size: dict[str, float] = field(default_factory=dict)
    """Bytes of a stored message on average, by stream."""
    lags: list[float] = field(default_factory=list)
    """The lag of the site that is furthest behind, s; one value a look."""
    closing: list[float] = field(default_factory=list)
    """The delay from the earliest close of a window to the publication of its last zone, s."""
    behind_s: float = 0.0
    """The largest delay of a sighting from the load generator, s. If it is late, the rate is not the planned one."""
    faces: float = 0.0
    """Faces in a picture, on average."""

    @property
    def sightings(self) -> int:
        """The number of messages that the stream of sightings took."""
        return self.stored.get("SIGHTINGS", 0)

    def ms(self, program: str) -> float:
        """Return a program's processor time per message of the stream of sightings, ms."""
        return 1e3 * self.cpu_s.get(program, 0.0) / max(1, self.sightings)

    def cores(self, program: str) -> float:
        """Return a program's processor time per second."""
        return self.cpu_s.get(program, 0.0) / max(1e-9, self.seconds)

    @property
    def told_share(self) -> float:
        """The share of the due sightings that were stored; both numbers include the ticks."""
        due = (self.layout.load.cameras * RATE + self.layout.load.sites) * self.seconds
        return self.sightings / max(1.0, due)

    @property
    def kept_up(self) -> bool:
        """Whether all due sightings were stored, and processed within a second: otherwise the costs are too low."""
        return self.told_share >= _TOLD and bool(self.lags) and median(self.lags) <= _BEHIND_S


async def measure(layout: Layout) -> Measured:
    """Return the costs of a warm layout; Restarted if a program ends meanwhile."""
    async with stack(layout.settings) as running:
        names = [f"aggregate-{number}" for number in range(layout.replicas)]
        for name in names:
            await running.start(name, "aggregate")
        await running.start("notify", "notify")
        await asyncio.gather(*(running.until_ready(name) for name in (*names, "notify")))
        await running.tell(layout.load)
        await _until_told(running, layout.load)
        await asyncio.sleep(layout.warm_up_s)
        found = await _watch(running, layout, names)
        told = await running.told()
        found.behind_s, found.faces = told["behind_s"], told["faces"]
        found.closing = await _closing(running, _LATENESS_S)
        return found


async def _until_told(running: Stack, load: Load) -> None:
    """Wait until sightings come: the load generator has to draw the people first."""
    beside = load.cameras + 10 * load.sites  # events of cameras, ticks
    async with asyncio.timeout(LIMIT_S):
        while (await running.counts())["SIGHTINGS"][0] < 2 * beside:
            running.cpu_s()
            await asyncio.sleep(0.5)


async def _watch(running: Stack, layout: Layout, names: list[str]) -> Measured:
    loop, found = asyncio.get_running_loop(), Measured(layout)
    before, counts, began = running.cpu_s(), await running.counts(), loop.time()
    while (left := layout.seconds - (loop.time() - began)) > 0:
        await asyncio.sleep(min(left, _LOOK_S))
        found.lags.append(max([await _lag(running, name) for name in names]))
    after, counts_after = running.cpu_s(), await running.counts()
    found.seconds = loop.time() - began
    found.cpu_s = _together({name: spent - before[name] for name, spent in after.items()}, sum)
    found.rss = _together(running.rss(), max)
    _take(found, counts, counts_after)
    return found


def _take(found: Measured, before: Counts, after: Counts) -> None:
    found.stored = {name: last - before[name][0] for name, (last, _, _) in after.items()}
    found.size = {name: size / count for name, (_, count, size) in after.items() if count}


def _together(values: dict[str, Any], how: Any) -> dict[str, Any]:
    """Return the values with aggregate's replicas as one."""
    replicas = [value for name, value in values.items() if name.startswith("aggregate")]
    return {name: value for name, value in values.items() if not name.startswith("aggregate")} | {
        "aggregate": how(replicas)
    }


async def _lag(running: Stack, name: str) -> float:
    lags = (await running.metrics(name)).by("moretta_aggregate_lag_seconds", "site").values()
    return max(lags, default=0.0)


async def _closing(running: Stack, lateness_s: float) -> list[float]:
    stored = await running.bus.history(WINDOWS, zone=WHOLE_SITE)
    return [one.time / 1e9 - cast("WindowV1", one.message).end / 1e9 - lateness_s for one in stored]


@dataclass(frozen=True)
class Restart:
    """The cost of starting aggregate again, with an open window in the stream."""

    messages: int
    passages: int
    seconds: float
    """From the start of the process until it is ready."""
    cpu_s: float
    rss: int
    stream_bytes: int


async def restart(load: Load, window_s: float) -> Restart:
    """Kill aggregate in a window of which a part is stored, and start it again; return the cost of the restart."""
    async with stack(Layout(load, window_s=window_s).settings) as running:
        await running.tell(load)
        await running.told(all_of_it=True)
        await running.start("aggregate", "aggregate")
        await running.until_ready("aggregate")
        await running.kill("aggregate")
        counts, loop = await running.counts(), asyncio.get_running_loop()
        began = loop.time()
        await running.start("aggregate", "aggregate")
        await running.until_ready("aggregate")
        return Restart(
            counts["SIGHTINGS"][1],
            counts["PASSAGES"][1],
            loop.time() - began,
            running.cpu_s()["aggregate"],
            running.rss()["aggregate"],
            counts["SIGHTINGS"][2],
        )
