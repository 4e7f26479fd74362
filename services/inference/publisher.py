"""The bounded publisher: sightings wait for JetStream here, never in the reply to ingest (design §6)."""

import asyncio

from prometheus_client import Counter

from proto.sightings import SightingsV1
from proto.subjects import SIGHTINGS
from services.bus import Bus
from services.log import get_logger

log = get_logger()

LOST = Counter("moretta_inference_sightings_lost_total", "Sightings that JetStream did not take in time")

_LIMIT_S = 2.0
_QUEUE = 512


class SightingsPublisher:
    """Stores sightings in order; what is not stored within 2 s is counted as lost, and coverage falls."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._queue: asyncio.Queue[SightingsV1] = asyncio.Queue(_QUEUE)

    def emit(self, sightings: SightingsV1) -> None:
        """Take one message; when too many wait, the oldest is lost."""
        if self._queue.full():
            self._queue.get_nowait()
            self._queue.task_done()
            LOST.inc()
        self._queue.put_nowait(sightings)

    async def run(self) -> None:
        """Store what was emitted, for ever."""
        while True:
            sightings = await self._queue.get()
            try:
                async with asyncio.timeout(_LIMIT_S):
                    await self._bus.store(SIGHTINGS, sightings, message_id=_id(sightings))
            except TimeoutError:
                LOST.inc()
                log.warning("sightings lost: JetStream did not answer", camera=sightings.camera)
            finally:
                self._queue.task_done()

    async def flush(self) -> None:
        """Wait until all that was emitted is stored or lost."""
        await self._queue.join()


def _id(sightings: SightingsV1) -> str:
    return f"{sightings.site}/{sightings.camera}/{sightings.lease}/{sightings.sequence}"
