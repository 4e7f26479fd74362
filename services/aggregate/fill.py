"""How full each stream is, and how far back SIGHTINGS goes: what is full drops its oldest, and nobody else says so."""

import asyncio
import contextlib
from math import ceil

from prometheus_client import Gauge

from proto.subjects import DRIFT, PASSAGES, SIGHTINGS, STREAMS
from services.aggregate.core.config import SECOND
from services.bus import Bus

BYTES = Gauge(
    "moretta_stream_bytes",
    "What a stream holds; of SIGHTINGS, PASSAGES and DRIFT rounded up to a twentieth of the limit",
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
"""Their bytes follow the faces: exact, they would count people finer than windows (docs/privacy.md)."""
_STEPS = 20
_AGAIN_S = 15.0
_LIMIT_S = 5.0


def shown(stream: str, held: int, limit: int) -> int:
    """Return what may be said of the bytes that a stream holds."""
    if stream not in COARSE or not limit:
        return held if stream not in COARSE else 0
    return ceil(held * _STEPS / limit) * limit // _STEPS


async def watch(bus: Bus) -> None:
    """Keep the metrics for ever; what is not answered stays as it was, and that NATS is away is told elsewhere."""
    while True:
        for stream in STREAMS:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_LIMIT_S):
                    await _ask(bus, stream.name)
        await asyncio.sleep(_AGAIN_S)


async def _ask(bus: Bus, stream: str) -> None:
    kept = await bus.streams.kept(stream)
    BYTES.labels(stream).set(shown(stream, kept.bytes, kept.max_bytes))
    LIMIT.labels(stream).set(kept.max_bytes)
    LACKING.labels(stream).set(kept.replicas_lacking)
    if stream == SIGHTINGS.stream:  # of PASSAGES it is the age of a passer-by, which nobody is to know
        REACH.labels(stream).set((kept.now - kept.first) // (60 * SECOND) * 60)
