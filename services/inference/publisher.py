"""The bounded publisher: sightings wait for JetStream here, so that the reply to ingest does not wait (ADR 14)."""

import asyncio

from prometheus_client import Counter

from proto.sightings import SightingsV1
from proto.subjects import SIGHTINGS
from services.bus import Bus
from services.kernel.log import get_logger
from services.kernel.tracing import current, follow

log = get_logger()

LOST = Counter("moretta_inference_sightings_lost_total", "Sightings that JetStream did not take in time")

_TIMEOUT_S = 2.0
_QUEUE = 512
_POLL_S = 0.02


class SightingsPublisher:
    """Stores sightings in order.

    Sightings that are not stored 2 s after `emit` count as lost, and coverage falls.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._queue: asyncio.Queue[tuple[float, SightingsV1, str]] = asyncio.Queue(_QUEUE)

    def emit(self, sightings: SightingsV1) -> None:
        """Take one message; when too many wait, the oldest is lost."""
        if self._queue.full():
            self._queue.get_nowait()
            self._queue.task_done()
            LOST.inc()
        self._queue.put_nowait((asyncio.get_running_loop().time() + _TIMEOUT_S, sightings, current().traceparent))

    async def run(self) -> None:
        """Store the emitted sightings, for ever."""
        while True:
            until, sightings, trace = await self._queue.get()
            try:
                with follow("inference.publish", trace, site=sightings.site, camera=sightings.camera) as span:
                    span.set_attributes(outcome="stored" if await self._store(sightings, until) else "lost")
            finally:
                self._queue.task_done()

    async def _store(self, sightings: SightingsV1, until: float) -> bool:
        try:
            async with asyncio.timeout_at(until):
                # Messages buffered by a disconnected client would be stored long after they were counted as lost.
                while not self._bus.connected or asyncio.get_running_loop().time() >= until:
                    await asyncio.sleep(_POLL_S)
                await self._bus.store(SIGHTINGS, sightings, message_id=_id(sightings))
            return True
        except Exception as error:  # one message that cannot be stored may not stop all that follow
            LOST.inc()
            why = "JetStream did not answer" if isinstance(error, TimeoutError) else str(error)
            log.warning("sightings lost", camera=sightings.camera, reason=why)
            return False

    async def flush(self) -> None:
        """Wait until all emitted sightings are stored or lost."""
        await self._queue.join()


def _id(sightings: SightingsV1) -> str:
    return f"{sightings.site}/{sightings.camera}/{sightings.lease}/{sightings.sequence}"
