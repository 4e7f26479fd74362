"""A load generator that stores sightings of many cameras: `python -m bench.scale_load FOLDER URL LOAD`.

It is a separate process, so that its own cost is in no other program's figures. A few cameras are simulated, and many
cameras replay their faces, each shifted in time. `LOAD` is a `Load` as JSON. The end of standard input ends the
process; it then prints its result as one line of JSON.
"""

import asyncio
import json
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import msgspec
import uvloop
from msgspec import Struct

from proto.sightings import CameraEventV1, SightingsV1, SightingV1
from proto.subjects import CAMERA_EVENTS, SIGHTINGS
from services.bus import Bus, NatsSettings
from services.bus.nkey import Seed
from services.kernel.app import end_tasks
from services.kernel.log import LogSettings, configure
from testbed.simulation.scenario import RATE, Phase, Scenario, load_scenario
from testbed.simulation.sightings import PERIOD, SECOND, plans, sightings

VIEWS = 20
"""The number of different cameras that are simulated. The others show the same, later."""
NOBODY = "nobody"
_EMPTY_S = 20.0
_SHIFT = 37
"""Pictures between two cameras that show the same. It is coprime to the drawn length, so that none are in step."""
_AHEAD_S = 0.02
_IN_FLIGHT = 4_096


class Load(Struct, frozen=True, kw_only=True):
    """The load to store: so many cameras in so many sites, with the people of a scenario."""

    cameras: int
    sites: int = 1
    scenario: str = "medium"
    """A built-in one of `moretta simulate`, or `nobody`."""
    at_once_s: float = 0.0
    """Store so many seconds as fast as possible and end; 0: at the cameras' rate, forever."""

    @property
    def places(self) -> list[tuple[str, str]]:
        """Site and name of each camera; sites differ by one camera at most."""
        return [(f"s{number % self.sites:03}", f"c{number // self.sites:04}") for number in range(self.cameras)]


class Crowd:
    """The sightings of the cameras, picture by picture, in a loop."""

    def __init__(self, scenario: Scenario, views: int = VIEWS) -> None:
        names = [f"v{number}" for number in range(views)]
        self._views: dict[str, list[list[SightingV1]]] = {name: [] for name in names}
        for message in sightings(scenario, plans(scenario, names), site="bench", began=0, lease=1):
            self._views[message.camera].append(message.faces)
        self._lists = list(self._views.values())

    def faces(self, camera: int, sequence: int) -> list[SightingV1]:
        """Return the sightings of one picture of one camera."""
        view = self._lists[camera % len(self._lists)]
        return view[(sequence + camera // len(self._lists) * _SHIFT) % len(view)]

    @property
    def mean(self) -> float:
        """Faces in a picture."""
        pictures = [faces for view in self._lists for faces in view]
        return sum(map(len, pictures)) / len(pictures)


def crowd_of(load: Load) -> Crowd:
    """Return the crowd of a load; SettingsError for an unknown scenario."""
    empty = Scenario(phases=[Phase(seconds=_EMPTY_S)], seconds=_EMPTY_S)
    return Crowd(empty, views=1) if load.scenario == NOBODY else Crowd(load_scenario(load.scenario))


def told(load: Load, crowd: Crowd, began: int, lease: int) -> Iterator[SightingsV1]:
    """Yield the sightings of all pictures from `began` (ns) on, forever; the cameras take turns in a period."""
    places, sequence = load.places, 0
    while True:
        for number, (site, camera) in enumerate(places):
            yield SightingsV1(
                site=site,
                camera=camera,
                lease=lease,
                sequence=sequence,
                at=began + sequence * PERIOD + number * PERIOD // len(places),
                period=PERIOD,
                aspect=16 / 9,
                model="simulated",
                model_sha256="0" * 64,
                faces=crowd.faces(number, sequence),
            )
        sequence += 1


class Teller:
    """Stores sightings through the bus; counts them, and notes how far behind it fell."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._waiting: deque[asyncio.Task[int]] = deque()
        self.count, self.behind_s = 0, 0.0

    async def tell(self, messages: Iterator[SightingsV1], *, until: int | None) -> None:
        """Store each at its time, or all up to `until` (event time, ns) as fast as possible."""
        try:
            for message in messages:
                if until is not None and message.at >= until:
                    break
                if until is None:
                    await self._its_time(message.at)
                self._waiting.append(asyncio.create_task(self._store(message)))
                self.count += 1
                await self._drain(_IN_FLIGHT if until is None else _IN_FLIGHT // 16)
            await self._drain(0)
        finally:
            for task in self._waiting:
                task.cancel()
            await asyncio.gather(*self._waiting, return_exceptions=True)

    async def _its_time(self, at: int) -> None:
        early = at / SECOND - time.time()
        self.behind_s = max(self.behind_s, -early)
        if early > _AHEAD_S:
            await asyncio.sleep(early)

    async def _store(self, message: SightingsV1) -> int:
        name = f"{message.site}/{message.camera}/{message.lease}/{message.sequence}"
        return await self._bus.store(SIGHTINGS, message, message_id=name)

    async def _drain(self, most: int) -> None:
        while len(self._waiting) > most or (self._waiting and self._waiting[0].done()):
            await self._waiting.popleft()


async def announce(bus: Bus, load: Load, began: int, lease: int) -> None:
    """Publish as ingest that each camera is live."""
    for site, camera in load.places:
        event = CameraEventV1(site=site, camera=camera, lease=lease, state="live", at=began)
        await bus.store(CAMERA_EVENTS, event)


async def run(folder: Path, url: str, load: Load) -> dict[str, float]:
    """Store until standard input ends, or all at once; return the figures of it."""
    crowd, lease = await asyncio.to_thread(crowd_of, load), time.time_ns() // 1_000
    began = time.time_ns() + SECOND
    ingest = await Bus.connect(_identity(folder, url, "ingest"), "ingest")
    await announce(ingest, load, began, lease)
    await ingest.close()
    bus = await Bus.connect(_identity(folder, url, "inference"), "inference")
    teller = Teller(bus)
    until = began + round(load.at_once_s * SECOND) if load.at_once_s else None
    telling = asyncio.create_task(teller.tell(told(load, crowd, began, lease), until=until))
    ended = asyncio.create_task(_end_of_input())
    try:
        await asyncio.wait([telling, ended], return_when=asyncio.FIRST_COMPLETED)
        if telling.done():
            telling.result()
    finally:
        await end_tasks([telling, ended])
        await bus.close()
    return {"count": teller.count, "behind_s": teller.behind_s, "faces": crowd.mean, "rate": RATE}


async def _end_of_input() -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


def _identity(folder: Path, url: str, name: str) -> NatsSettings:
    seed = Seed((folder / f"{name}.nk").read_text(encoding="utf-8").strip())
    return NatsSettings(url=url, user=name, seed=seed)


if __name__ == "__main__":
    configure("bench", LogSettings(level="error"))
    where, server, wanted = sys.argv[1:]
    print(json.dumps(uvloop.run(run(Path(where), server, msgspec.json.decode(wanted, type=Load)))), flush=True)
