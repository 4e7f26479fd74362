"""Checks the streams as they are on the server: how full they are, and whether they keep what a replay needs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from prometheus_client import Gauge

from proto.subjects import DRIFT, PASSAGES, SIGHTINGS, STREAMS
from services.aggregate.core.config import SECOND, SiteConfig
from services.aggregate.core.restart.retention import Reach, loss, shortfall
from services.aggregate.metrics import LOST
from services.bus import Bus
from services.kernel.log import get_logger

log = get_logger()

_REPLAYED = ("SIGHTINGS", "PASSAGES")
_INTERVAL_S = 10.0
_TIMEOUT_S = 5.0

Ready = Callable[[str, bool, str], None]
"""Called with a condition, whether it holds, and if not, why."""


class Retention:
    """Watches what the streams keep for one site."""

    def __init__(self, bus: Bus, site: str, ready: Ready) -> None:
        self._bus, self._site, self._ready = bus, site, ready
        self._logged = ""
        self._whole = False

    async def watch(self, config: Callable[[], SiteConfig]) -> None:
        """Compare the streams with the configuration, for ever; tell readiness the problem, and the log once."""
        while True:
            async with _asking():
                self._report(await self._problems(config()))
            await asyncio.sleep(_INTERVAL_S)

    async def check_start(self, since: int) -> bool:
        """Return whether PASSAGES has certainly dropped nothing since the open window's start (ns).

        Log an error if sightings since then are gone: that window loses coverage.
        """
        async with _asking():
            why = loss("SIGHTINGS", await self._reach("SIGHTINGS"), since) if since else None
            if why is not None:
                LOST.labels(self._site).inc()
                log.error("sightings lost", site=self._site, why=why)
            self._whole = loss("PASSAGES", await self._reach("PASSAGES"), since) is None
        return self._whole

    async def _problems(self, config: SiteConfig) -> str:
        found = [shortfall(name, await self._reach(name), config) for name in _REPLAYED]
        return "; ".join(problem for problem in found if problem)

    async def _reach(self, stream: str) -> Reach:
        kept = await self._bus.streams.kept(stream)
        return Reach(kept.max_age, kept.max_bytes, kept.first_sequence > 1, kept.first, kept.now)

    def _report(self, why: str) -> None:
        self._ready(f"streams of {self._site}", not why, why)
        if why and why != self._logged:
            log.error("the streams keep too little", site=self._site, why=why)
        self._logged = why


@contextlib.asynccontextmanager
async def _asking() -> AsyncIterator[None]:
    """Limit a query's time and ignore its failure: windows matter more, and other parts report that NATS is away."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(_TIMEOUT_S):
            yield


BYTES = Gauge(
    "moretta_stream_bytes",
    "What a stream holds; of SIGHTINGS, PASSAGES and DRIFT 0 up to nine tenths of the limit, and beyond them the limit",
    ["stream"],
)
LIMIT = Gauge("moretta_stream_limit_bytes", "What a stream holds at most", ["stream"])
LACKING = Gauge(
    "moretta_stream_replicas_lacking", "Copies that a stream should have and that are not current", ["stream"]
)
REACH = Gauge(
    "moretta_aggregate_stream_reach_seconds", "How far back SIGHTINGS goes, in whole minutes, rounded down", ["stream"]
)
COARSE = frozenset({str(row.stream) for row in (SIGHTINGS, PASSAGES, DRIFT)})
"""The size of these streams grows with the faces: it would tell how busy a place is, finer than windows do
(docs/privacy.md)."""
_FULL = 0.9
"""The share of the limit from which on a stream is nearly full (k8s/moretta/files/rules.yaml)."""
_LOOK_S = 15.0


def shown(stream: str, held: int, limit: int) -> int:
    """Return how many of a stream's bytes may be shown."""
    if stream not in COARSE:
        return held
    return limit if 0 < _FULL * limit < held else 0


async def watch(bus: Bus) -> None:
    """Update the metrics for ever.

    A metric stays as it was if NATS does not answer: other parts report that NATS is away.
    """
    while True:
        for stream in STREAMS:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_TIMEOUT_S):
                    await _ask(bus, stream.name)
        await asyncio.sleep(_LOOK_S)


async def _ask(bus: Bus, stream: str) -> None:
    kept = await bus.streams.kept(stream)
    BYTES.labels(stream).set(shown(stream, kept.bytes, kept.max_bytes))
    LIMIT.labels(stream).set(kept.max_bytes)
    LACKING.labels(stream).set(kept.replicas_lacking)
    if stream == SIGHTINGS.stream:  # for PASSAGES it would tell how long ago a person passed
        REACH.labels(stream).set((kept.now - kept.first) // (60 * SECOND) * 60)
