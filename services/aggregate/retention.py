"""Whether JetStream keeps what a replay needs, asked of the streams as they are: somebody else may manage them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from services.aggregate.core.config import SiteConfig
from services.aggregate.core.retention import Reach, loss, shortfall
from services.aggregate.metrics import LOST
from services.bus import Bus
from services.kernel.log import get_logger

log = get_logger()

STREAMS = ("SIGHTINGS", "PASSAGES")
_AGAIN_S = 10.0
_LIMIT_S = 5.0

Ready = Callable[[str, bool, str], None]
"""Told a condition, whether it holds, and why not."""


class Retention:
    """Watches what the streams keep for one site."""

    def __init__(self, bus: Bus, site: str, ready: Ready) -> None:
        self._bus, self._site, self._ready = bus, site, ready
        self._told = ""

    async def watch(self, config: Callable[[], SiteConfig]) -> None:
        """Compare the streams with the configuration, for ever; readiness has the reason, the log once more."""
        while True:
            async with _asking():
                self._tell(await self._problems(config()))
            await asyncio.sleep(_AGAIN_S)

    async def check_start(self, since: int) -> None:
        """Say so if messages are gone that were stored since the open window's start: it loses coverage."""
        async with _asking():
            why = loss("SIGHTINGS", await self._reach("SIGHTINGS"), since)
            if why is not None:
                LOST.labels(self._site).inc()
                log.error("sightings lost", site=self._site, why=why)

    async def _problems(self, config: SiteConfig) -> str:
        found = [shortfall(name, await self._reach(name), config) for name in STREAMS]
        return "; ".join(problem for problem in found if problem)

    async def _reach(self, stream: str) -> Reach:
        kept = await self._bus.streams.kept(stream)
        return Reach(kept.max_age, kept.max_bytes, kept.first_sequence > 1, kept.first, kept.now)

    def _tell(self, why: str) -> None:
        self._ready(f"streams of {self._site}", not why, why)
        if why and why != self._told:
            log.error("the streams keep too little", site=self._site, why=why)
        self._told = why


@contextlib.asynccontextmanager
async def _asking() -> AsyncIterator[None]:
    """Ask, but neither for long nor at the price of the windows: that NATS is away is told elsewhere."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(_LIMIT_S):
            yield
