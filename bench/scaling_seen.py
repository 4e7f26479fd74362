"""What `bench.scaling` hears while it runs: each camera's sightings, leases, who shares them, and published states."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from nats.aio.msg import Msg

from bench.scale_stack import Stack
from proto.codec import decode_on
from proto.leases import CameraLeaseV1, ReplicaV1
from proto.public import CameraV1
from proto.sightings import SightingsV1
from proto.subjects import CAMERA_LEASES, CAMERAS, REPLICAS, SIGHTINGS
from services.bus import Bus
from services.bus.client import client_of
from services.kernel.app import end_tasks
from services.leases.leases import TTL_S

_SECOND = 10**9
_LOOK_S = 1.0
_LATE_S = 0.3
"""How much later than its holder wrote it, an entry may be heard of here."""


class Sighted(NamedTuple):
    """One analysed picture: when it was taken (unix s), under which lease, and its number in it."""

    at: float
    lease: int
    sequence: int


class Held(NamedTuple):
    """From when on (unix s) a lease was in this state; `holder` is empty while nobody holds it."""

    at: float
    holder: str
    live: bool = False


class Share(NamedTuple):
    """Who had how many cameras at a moment (unix s): replicas that are there and stay; `free` are held by nobody."""

    at: float
    cameras: dict[str, int]
    free: int

    @property
    def spread(self) -> int:
        """The largest difference between two replicas."""
        return max(self.cameras.values(), default=0) - min(self.cameras.values(), default=0)


@dataclass
class Seen:
    """All that was heard so far."""

    cameras: int
    sightings: dict[str, list[Sighted]] = field(default_factory=dict)
    leases: dict[str, list[Held]] = field(default_factory=dict)
    shares: list[Share] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)
    """The last published state of each camera."""
    not_live: list[tuple[float, str, str]] = field(default_factory=list)
    """When (unix s) which camera was published to be in which state other than live."""
    _beats: dict[str, float] = field(default_factory=dict)
    _replicas: dict[str, float] = field(default_factory=dict)
    """When each replica that stays last said that it is there."""

    async def sighted(self, message: SightingsV1, _request: Any) -> None:
        """Take the sightings of one picture."""
        seen = self.sightings.setdefault(message.camera, [])
        seen.append(Sighted(message.at / _SECOND, message.lease, message.sequence))

    async def state(self, message: CameraV1, _request: Any) -> None:
        """Take a published state."""
        if message.state not in {"live", self.states.get(message.camera)}:
            self.not_live.append((message.at / _SECOND, message.camera, message.state))
        self.states[message.camera] = message.state

    async def lease(self, msg: Msg) -> None:
        """Take a write of a lease, or its release, as its holder sends it to the bucket."""
        now, camera = time.time(), msg.subject.rsplit(".", 1)[-1]
        message = cast("CameraLeaseV1", decode_on(CAMERA_LEASES, msg.subject, msg.data)) if msg.data else None
        self._beats[camera] = now
        self._held(camera, Held(now, message.holder, message.live) if message else Held(now, ""))

    async def replica(self, msg: Msg) -> None:
        """Take a replica's sign of life, or that it is gone."""
        name = msg.subject.rsplit(".", 1)[-1]
        self._replicas.pop(name, None)
        if msg.data and not cast("ReplicaV1", decode_on(REPLICAS, msg.subject, msg.data)).leaving:
            self._replicas[name] = time.time()

    def _held(self, camera: str, now: Held) -> None:
        before = self.leases.setdefault(camera, [])
        if not before or before[-1][1:] != now[1:]:
            before.append(now)

    def look(self) -> Share:
        """Record who has how many cameras now; what was not written for the life of an entry has expired."""
        now = time.time()
        for camera, beat in self._beats.items():
            if now - beat > TTL_S + _LATE_S:
                self._held(camera, Held(beat + TTL_S, ""))
        held = Counter(last.holder for log in self.leases.values() if (last := log[-1]).holder)
        there = sorted(name for name, beat in self._replicas.items() if now - beat <= TTL_S + _LATE_S)
        share = Share(now, {name: held[name] for name in there}, self.cameras - held.total())
        self.shares.append(share)
        return share


async def _looking(seen: Seen) -> None:
    while True:
        await asyncio.sleep(_LOOK_S)
        seen.look()


@contextlib.asynccontextmanager
async def watching(running: Stack, cameras: int) -> AsyncIterator[Seen]:
    """Hear everything that concerns these cameras while the block runs."""
    seen = Seen(cameras)
    public = await Bus.connect(running.nats("subscriber"), "bench")
    ingest = await Bus.connect(running.nats("ingest"), "bench")
    tasks = [asyncio.create_task(_looking(seen))]
    try:
        await client_of(ingest.streams.js).subscribe(CAMERA_LEASES.wildcard(), cb=seen.lease)
        await client_of(ingest.streams.js).subscribe(REPLICAS.wildcard(), cb=seen.replica)
        await running.bus.serve(SIGHTINGS, seen.sighted, pending=100_000)
        await public.serve(CAMERAS, seen.state, pending=10_000)
        yield seen
    finally:
        await end_tasks(tasks)
        await public.close()
        await ingest.close()
