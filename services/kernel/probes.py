"""The HTTP endpoints /livez, /readyz and /metrics."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from typing import Annotated

from aiohttp import web
from msgspec import Meta, Struct
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    GC_COLLECTOR,
    PROCESS_COLLECTOR,
    CollectorRegistry,
    Gauge,
    Metric,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client import REGISTRY as DEFAULT_REGISTRY
from prometheus_client.registry import Collector

from services.kernel.listener import Listener, runner_of
from services.kernel.tls import EXPIRIES

READY = Gauge("moretta_ready", "1 while the condition holds", ["condition"])
_BEAT_S = 0.5
_STUCK_S = 10.0
"""/livez fails when the event loop has not run for this long."""


class ProbesSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The section `probes` of the settings file. Port 0 picks a free port and logs it."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 0


class Probes:
    """Named readiness conditions, and the web server that shows them."""

    def __init__(
        self, registry: CollectorRegistry = DEFAULT_REGISTRY, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._conditions: dict[str, str | None] = {}
        self._registry, self._clock = registry, clock
        self._beat = clock()
        self._runner: web.AppRunner | None = None
        self._listener: Listener | None = None
        self._heart: asyncio.Task[None] | None = None
        self.port = 0

    def ready(self, name: str, ok: bool, why: str = "") -> None:
        """Set a condition; the service is ready when all hold."""
        self._conditions[name] = None if ok else (why or "not yet")
        READY.labels(name).set(int(ok))

    def forget(self, name: str) -> None:
        """Remove a condition: the thing it described is gone."""
        self._conditions.pop(name, None)
        with contextlib.suppress(KeyError):
            READY.remove(name)

    def is_ready(self) -> bool:
        """Return whether all conditions hold, and there is at least one."""
        return bool(self._conditions) and not self.reasons()

    def reasons(self) -> dict[str, str]:
        """Return why the service is not ready, by condition."""
        return {name: why for name, why in self._conditions.items() if why is not None}

    async def start(self, settings: ProbesSettings) -> None:
        """Start serving. OSError if the port is taken."""
        _choose_metrics(self._registry)
        app = web.Application()
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        self._runner = runner_of(app)
        await self._runner.setup()
        listener = Listener(self._runner.server)
        self.port = await listener.open(settings.host, settings.port)
        self._listener = listener
        self._heart = asyncio.create_task(self._keep_beating(), name="heartbeat of the loop")

    async def stop(self) -> None:
        """Stop serving."""
        if self._heart is not None:
            self._heart.cancel()
            await asyncio.gather(self._heart, return_exceptions=True)
        if self._listener is not None:
            await self._listener.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _keep_beating(self) -> None:
        while True:
            self._beat = self._clock()
            await asyncio.sleep(_BEAT_S)

    async def _livez(self, _request: web.Request) -> web.Response:
        late = self._clock() - self._beat
        if late > _STUCK_S:
            return web.Response(status=503, text=f"the event loop is {late:.0f} s behind\n")
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        if self.is_ready():
            return web.Response(text="ok\n")
        lines = [f"{name}: {why}" for name, why in sorted(self.reasons().items())] or ["starting"]
        return web.Response(status=503, text="\n".join(lines) + "\n")

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


class _WithoutProcessorTime(Collector):
    """The process's own metrics but for its processor time."""

    def collect(self) -> Iterable[Metric]:
        """Return memory, files and start."""
        return [family for family in PROCESS_COLLECTOR.collect() if family.name != "process_cpu_seconds"]


_WITHOUT_CPU = _WithoutProcessorTime()


def _choose_metrics(registry: CollectorRegistry) -> None:
    """Remove metrics that nobody may see or nobody needs, and add the expiry of certificates."""
    # The rate of garbage collections follows the number of objects made, and so the number of faces. So does processor
    # time, which the machine tells its administrator anyhow.
    with contextlib.suppress(KeyError):
        registry.unregister(GC_COLLECTOR)
    with contextlib.suppress(KeyError):
        registry.unregister(PROCESS_COLLECTOR)
        registry.register(_WITHOUT_CPU)
    disable_created_metrics()  # type: ignore[no-untyped-call] # a second series of each counter, of no use to Prometheus
    with contextlib.suppress(KeyError):
        registry.unregister(EXPIRIES)
    registry.register(EXPIRIES)
