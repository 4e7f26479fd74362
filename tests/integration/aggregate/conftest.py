"""A site on a real NATS server, with synthetic sightings."""

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import nats.errors
import pytest
from fair_clock import fair_host
from messages import sightings
from on_bus import connected
from patience import LIMIT_S, until
from program import Program
from warm import SERVICES, warm

from proto.codec import encode
from proto.sightings import CODES, SightingV1
from proto.subjects import OPERATIONS, PASSAGES, RULES, SIGHTINGS, STREAMS, WINDOWS
from services.aggregate.core.config import SECOND, SiteConfig
from services.aggregate.core.site import SiteCore
from services.aggregate.runner import SiteRunner
from services.aggregate.service import wire
from services.aggregate.settings import AggregateFile, AggregateSettings
from services.bus import Bus, Stored
from services.kernel.app import App
from services.kernel.settings import convert

PERIOD = 200_000_000
EVERY_S = 0.1
"""Reading a stream takes milliseconds of processor time."""


def _site(window_s=2, **changes):
    """Return a site's settings as a file has them."""
    return {
        "id": "market",
        "profile": "lab",
        "window_s": window_s,
        "lateness_s": 0.5,
        "tracking": {"min_hits": 3, "max_gap_s": 0.5},
        "cameras": [{"id": "door", "zone": "hall", "url": "rtsp://user:hunter2@camera/"}],
        "zones": [{"id": "hall"}],
        "rules": [{"id": "low", "zone": "hall", "fire_below": 0.9, "clear_above": 0.95, "for_windows": 1,
                   "min_persons": 3}],
        **changes,
    }  # fmt: skip


class SiteOnBus:
    """What the tests do with a site on the bus."""

    def __init__(self, server, bus: Bus) -> None:
        self.server, self.bus, self.sequence = server, bus, 0
        self.apps: list[App] = []
        self.programs: list[Program] = []
        self.nats = {"url": server.url}
        self.aggregate: dict[str, object] = {"tick_s": 0.1, "announce_s": 60}

    site = staticmethod(_site)

    def raw(self, *sites):
        """Return a settings file's content."""
        return {
            "nats": self.nats,
            "sites": list(sites or [_site()]),
            "aggregate": self.aggregate,
        }

    def file(self, *sites) -> AggregateFile:
        return convert(self.raw(*sites), AggregateFile)

    def config(self, site=None) -> SiteConfig:
        return SiteConfig.of(self.file(site or _site()).sites[0])

    async def start(self, *sites) -> App:
        """Run the service in this process."""
        app = App("aggregate")
        self.apps.append(app)
        await wire(app, self.file(*sites))
        return app

    async def stop(self, app: App) -> int:
        self.apps.remove(app)
        return await app.close()

    def launch(self, path, module="services.aggregate") -> Program:
        """Run the service as a process of its own, or a script in its place."""
        self.programs.append(Program(warm(SERVICES).start(str(module), ["-c", str(path)])))
        return self.programs[-1]

    def border(self, window_s=2, ahead=None) -> int:
        """Return the start of a window that has not begun; a short one leaves time to store its pictures, too."""
        length, ahead = window_s * SECOND, ahead or (1 if window_s >= 5 else 2)
        return (time.time_ns() // length + ahead) * length

    async def picture(self, at: int, *verdicts: str, step: int = 0) -> None:
        """Store a picture with one face per verdict, all walking to the right."""
        self.sequence += 1
        faces = [
            SightingV1(box=(x, y, x + 0.05, y + 0.05), code=CODES[verdict], score=0.9, confidence=0.9)
            for n, verdict in enumerate(verdicts)
            for x, y in [(0.05 + 0.02 * step, 0.02 + 0.15 * n)]
        ]
        await self.bus.store(SIGHTINGS, sightings(*faces, sequence=self.sequence, at=at, period=PERIOD))

    async def window(self, start: int, *verdicts: str, window_s=2, seconds=None) -> None:
        """Store a whole window's pictures: these people come first, then nobody."""
        for step in range(round((seconds or window_s) * 5)):
            await self.picture(start + step * PERIOD, *(verdicts if step < 5 else ()), step=step)

    async def published(self, row=WINDOWS, **tokens):
        """Return what is published on a row."""
        tokens = {"site": "market", **tokens}
        return [stored.message for stored in await self.bus.history(row, **tokens)]

    async def until(self, row, count: int, limit_s: float = LIMIT_S, **tokens):
        """Wait until at least so many messages are published on a row; returns them."""

        async def enough():
            found[:] = await self.published(row, **tokens)
            return len(found) >= count

        found: list = []
        await until(enough, lambda: f"{len(found)} of {count} on {row.pattern}: {found}", limit_s, every_s=EVERY_S,
                    ignoring=(nats.errors.Error,))  # fmt: skip
        return found

    async def until_window(self, wanted: Callable[[Any], object], limit_s: float = LIMIT_S, **tokens):
        """Wait for a published window of which this is true; returns the first one."""

        async def there():
            return [one for one in await self.published(WINDOWS, **tokens) if wanted(one)]

        return (await until(there, "a window", limit_s, every_s=EVERY_S, ignoring=(nats.errors.Error,)))[0]

    async def stream(self) -> list[Stored]:
        """Return all that the site's stream holds."""
        runner = SiteRunner(self.bus, self.config(), AggregateSettings(), fair_host(), lambda _: None)
        _, last = await self.bus.streams.created("SIGHTINGS")
        found: list[Stored] = []
        async for stored in self.bus.follow("SIGHTINGS", runner.filters):
            assert isinstance(stored, Stored)
            found.append(stored)
            if stored.sequence >= last:
                break
        return found

    async def undisturbed(self, kind) -> list[bytes]:
        """Return the bytes of what one run over the whole stream would publish."""
        core = SiteCore(self.config())
        rows = {row.message: row for row in (WINDOWS, PASSAGES, RULES, OPERATIONS)}
        outputs = [output for stored in await self.stream() for output in core.step(stored)]
        return [encode(rows[kind], output) for output in outputs if isinstance(output, kind)]


@contextlib.asynccontextmanager
async def _closing(scene: SiteOnBus) -> AsyncIterator[SiteOnBus]:
    """Stop every service that was started."""
    try:
        yield scene
    finally:
        for app in list(scene.apps):
            await app.close()
        for program in scene.programs:
            program.close()


@pytest.fixture(name="scene")
async def _scene(nats_server, bus) -> AsyncIterator[SiteOnBus]:
    """A site on the bus."""
    async with _closing(SiteOnBus(nats_server, bus)) as scene:
        yield scene


@pytest.fixture(name="make_scene")
def _make_scene():
    """`make_scene(server, replicas=3)`: a site on the bus of another server."""

    @contextlib.asynccontextmanager
    async def make(server, replicas: int) -> AsyncIterator[SiteOnBus]:
        async with connected(server.url, "aggregate", replicas=replicas) as bus:
            await bus.ensure_streams(s.name for s in STREAMS)
            scene = SiteOnBus(server, bus)
            scene.nats |= {"replicas": replicas}
            async with _closing(scene):
                yield scene

    return make
