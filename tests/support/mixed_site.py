"""A site whose services run in two versions: cameras, a mail server, replicas that are replaced as Kubernetes does."""

import asyncio
import itertools
import json
import signal
import time
import urllib.error
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import clips
import numpy as np
from msgspec.structs import replace
from patience import until
from previous_version import Version
from program import Program
from site_process import Site

from proto.subjects import (
    ALERTS,
    CAMERA_EVENTS,
    DEAD,
    DELIVERIES,
    OPERATIONS,
    SIGHTINGS,
    WINDOWS,
    Identity,
)
from services.bus import Bus
from testbed.simulation.crowd_plan import Plan
from testbed.simulation.film import pictures
from testbed.simulation.scenario import Phase, load_scenario
from testbed.simulation.walkers import HEIGHT, WIDTH, walker

SECOND = 1_000_000_000
WINDOW_S, LATENESS_S = 5, 2.0
CAMERAS = {"a": "hall", "b": "hall", "c": "quay"}
REPLICAS: dict[Identity, int] = {"aggregate": 2, "inference": 1, "ingest": 2, "notify": 2}
"""In the order in which a chart's Deployments are written, which is the alphabet's."""
RULE = {"fire_below": 0.7, "clear_above": 0.75, "for_windows": 1, "min_persons": 5}
LAUNCHER = Path(__file__).with_name("named_service.py")
LIMIT_S = 150.0
FPS, _FILM_S = 10, 6
_CONFIG = """
try:
    from services.identities import nats_config  # as it was called earlier
except ModuleNotFoundError:
    from operate.identities import nats_config
print(nats_config(int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])))
"""


def film(path: Path, *, masked: bool) -> Path:
    """Draw some seconds of people who pass a camera, all of them with a mask or none."""
    scenario = replace(load_scenario("market"), phases=[Phase(seconds=_FILM_S)], fps=FPS)
    source, verdict = np.random.default_rng(3), "masked" if masked else "unmasked"
    people = [walker(source, i * 0.9 - 4, verdict, scenario.people, scenario.view) for i in range(10)]
    drawn = [np.asarray(picture) for picture in pictures(Plan(scenario, tuple(people)))]
    return clips.make_clip(
        path, width=WIDTH, height=HEIGHT, fps=FPS, pictures=len(drawn), codec="mjpeg", pixel_format="yuvj420p",
        picture=lambda _width, _height, index: drawn[index],
    )  # fmt: skip


def settings(url: str, smtp_port: int) -> dict:
    """Return a site of three cameras and two zones, each with a rule, and somebody who is told of it by mail."""
    at_once = {"group_by": ["zone", "rule"], "group_wait_s": 0, "group_interval_s": 1}
    site = {
        "id": "market", "profile": "lab", "window_s": WINDOW_S, "lateness_s": LATENESS_S,
        "tracking": {"max_gap_s": 1.5}, "zones": [{"id": zone} for zone in sorted(set(CAMERAS.values()))],
        "cameras": [{"id": name, "zone": zone, "url": url} for name, zone in CAMERAS.items()],
        "rules": [{"id": "low", "zone": "_site", **RULE}, {"id": "low-hall", "zone": "hall", **RULE}],
        "operations": {"camera_down_windows": 4},
    }  # fmt: skip
    notify = {
        "smtp": {"port": smtp_port, "security": "none", "sender": "alerts@example.org"},
        "receivers": [{"id": "field-staff", "email": ["anna@example.org"], "max_per_hour": 3000}],
        "routes": [{"receiver": "field-staff", **at_once}],
        "salt": "0123456789abcdef",
    }
    return {"log": {"format": "json"}, "sites": [site], "aggregate": {"tick_s": 0.5}, "notify": notify}


@dataclass
class Replica:
    """One replica, what it is, and what it counted before it was told to end."""

    version: Version
    service: Program
    counted: dict[str, float] = field(default_factory=dict)

    def is_ready(self) -> bool:
        """Whether its probe says that it is ready."""
        try:
            return self.service.running and self.service.get("/readyz")[0] == 200
        except (urllib.error.URLError, OSError):
            return False

    def count(self) -> None:
        """Note what its metrics say of messages that were not understood."""
        for name in ("moretta_bus_undecodable_total", "moretta_bus_handler_errors_total"):
            self.counted[name] = self.service.metric(name)

    def code(self) -> dict[str, str]:
        """What it said of whose code it is."""
        return self.service.said("code")[0]


class MixedSite(Site):
    """A site whose streams are made by its own aggregate, and each of whose replicas has a version."""

    makes_streams = False

    def __init__(self, folder: Path, server: Version) -> None:
        super().__init__(folder)
        self.server.whole = lambda port, store: self.config(server, port, store)
        self.replicas: dict[str, list[Replica]] = {name: [] for name in REPLICAS}
        self.gone: list[Replica] = []
        self.rolled: list[tuple[str, str, int, int]] = []
        """What was rolled out: service, version, when it began and when it was done (ns)."""

    def config(self, version: Version, port: int, store: str) -> str:
        """The server's configuration as a version writes it."""
        return version.tell(_CONFIG, str(port), store, json.dumps(self.identities.public))

    async def reload(self, version: Version) -> None:
        """Have the server run by a version's configuration from now on."""
        said = len(self.server.output)
        text = await asyncio.to_thread(self.config, version, self.server.port, f"{self.folder}/js")
        (self.folder / "nats.conf").write_text(text)
        self.server.signal(signal.SIGHUP)
        await until(
            lambda: any("Reloaded" in line for line in self.server.output[said:]), "the server has reloaded", 60
        )

    def begin(self, name: Identity, version: Version) -> Replica:
        """Start a replica."""
        replica = Replica(version, self.start(name, script=LAUNCHER, **version.environment))
        self.replicas[name].append(replica)
        return replica

    async def ready(self, *replicas: Replica) -> None:
        """Wait until these are ready, as Kubernetes asks them."""
        for one in replicas:
            ready = lambda one=one: asyncio.to_thread(one.is_ready)  # noqa: E731
            await until(ready, lambda one=one: f"ready; it said {one.service.lines[-8:]}", LIMIT_S, every_s=0.1)

    async def roll(self, name: Identity, version: Version) -> None:
        """Replace a service's replicas as a Deployment with maxSurge 1 and maxUnavailable 0 does."""
        began, old, ends = time.time_ns(), list(self.replicas[name]), []
        for one in old:
            await self.ready(self.begin(name, version))
            await asyncio.to_thread(one.count)
            self.replicas[name].remove(one)
            ends.append(asyncio.create_task(asyncio.to_thread(one.service.stop, limit_s=30)))
        codes = await asyncio.gather(*ends)
        self.gone += old
        assert set(codes) == {0}, [one.service.lines[-8:] for one in old]
        self.rolled.append((name, version.name, began, time.time_ns()))

    def everyone(self) -> list[Replica]:
        """Every replica that ever was."""
        return [*self.gone, *(one for replicas in self.replicas.values() for one in replicas)]

    def takers(self) -> dict[int, str]:
        """By a lease's number the version of the replica that took a camera under it."""
        return {
            line["lease"]: one.version.name for one in self.everyone() for line in one.service.said("camera in service")
        }

    async def whole(self) -> int:
        """Wait for the first window that was observed all the time; returns its start."""
        async with self.bus("operator") as bus:

            async def start() -> int:
                last = await bus.last(WINDOWS, site="market", zone="_site")
                return last.message.start if last is not None and last.message.coverage > 0.98 else 0

            return int(await until(start, "a window that was observed all the time", LIMIT_S, every_s=0.3))

    async def end(self) -> None:
        """Stop all in order, the cameras first; each ends well."""
        for name in ("ingest", "inference", "aggregate", "notify"):
            for one in self.replicas[name]:
                await asyncio.to_thread(one.count)
            codes = await asyncio.gather(*(asyncio.to_thread(one.service.stop) for one in self.replicas[name]))
            assert set(codes) == {0}, [one.service.lines[-8:] for one in self.replicas[name]]


class Gap(NamedTuple):
    """Between two counted pictures of a camera: how long, since when (ns), and the lease of who took it over, or 0."""

    seconds: float
    at: int
    taken: int


@dataclass
class Run:
    """All that a run left on the bus."""

    windows: dict[str, list]
    alerts: list
    operations: list
    deliveries: list
    dead: list
    analysed: dict[str, list[tuple[int, int]]]
    """Of each camera's pictures that counted: event time and lease."""
    words: list
    """What cameras said of their state, in the order of the stream."""
    since: int = 0
    """When all had started: what comes before is not looked at."""

    def gaps(self, camera: str) -> list[Gap]:
        """Between counted pictures of a camera, the longest first."""
        pairs = itertools.pairwise(one for one in self.analysed[camera] if one[0] >= self.since)
        found = [Gap((after - at) / SECOND, at, now if now != lease else 0) for (at, lease), (after, now) in pairs]
        return sorted(found, reverse=True)

    def silences(self) -> list[tuple[int, str, str]]:
        """When a camera's source itself was silent: since when (ns), the camera's name, its state."""
        silent = [one for one in self.words if one.state in {"stalled", "backing-off"} and one.at > self.since]
        return [(one.at, one.camera, one.state) for one in silent]

    def shortfall(self) -> dict[int, float]:
        """By start of a window in which somewhat was not observed: which share of the cameras' time that was."""
        windows = [one for one in self.windows["_site"] if one.start > self.since]
        return {one.start: 1 - one.coverage for one in windows if one.coverage < 1}

    def expected(self, zone: str) -> list[tuple[str, int]]:
        """The alerts that a rule of one window makes of a zone's windows: state and start (ADR 7)."""
        found: list[tuple[str, int]] = []
        firing = False
        for one in self.windows[zone]:
            judged = (one.masked or 0) + (one.unmasked or 0) + (one.incorrect or 0)
            if judged < RULE["min_persons"] or one.coverage < 0.5:
                continue
            breaches = max(one.rate, one.interval[1]) < RULE["fire_below"]
            if (not firing and breaches) or (firing and one.rate > RULE["clear_above"]):
                firing = not firing
                found.append(("firing" if firing else "resolved", one.start))
        return found


async def read(bus: Bus) -> Run:
    """Read all streams, as aggregate may."""
    windows = defaultdict(list)
    for stored in await bus.history(WINDOWS):
        windows[stored.message.zone].append(stored.message)
    rows = (ALERTS, OPERATIONS)
    alerts, operations = [[stored.message for stored in await bus.history(row)] for row in rows]
    analysed = {name: await _counted(bus, name) for name in CAMERAS}
    words = [stored.message for stored in await bus.history(CAMERA_EVENTS, site="market")]
    return Run(windows, alerts, operations, [], [], analysed, words)


async def read_told(notify: Bus, operator: Bus, run: Run) -> None:
    """Add what only others may read: deliveries and dead letters."""
    run.deliveries = [stored.message for stored in await notify.history(DELIVERIES)]
    run.dead = [stored.message for stored in await operator.history(DEAD)]


async def _counted(bus: Bus, camera: str) -> list[tuple[int, int]]:
    """The pictures that aggregate counts, as time and lease: none older than (lease, sequence) of one before it."""
    stored = [*await bus.history(SIGHTINGS, site="market", camera=camera)]
    stored += [s for s in await bus.history(CAMERA_EVENTS, site="market") if s.message.camera == camera]
    fence, times = (-1, -1), list[tuple[int, int]]()
    for item in sorted(stored, key=lambda each: each.sequence):
        position = (item.message.lease, getattr(item.message, "sequence", -1))
        if position > fence:
            fence = position
            times += [(item.message.at, item.message.lease)] if item.row is SIGHTINGS else []
    return sorted(times)
