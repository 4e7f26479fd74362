"""Handing out frame keys: to workers whose announcement the inference identity signed, and to nobody else."""

import asyncio
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from prometheus_client import Counter, Gauge

from proto.frames import WorkerV1
from proto.subjects import KEYS, WORKERS
from services.bus import Bus, Request
from services.log import get_logger
from services.sealing.keys import FrameKey, SealingKeys
from services.sealing.wrap import is_genuine, wrap_key

log = get_logger()

WORKERS_KNOWN = Gauge("moretta_ingest_workers", "Inference workers that hold our frame keys", ["site"])
FORGED = Counter("moretta_ingest_announcements_refused_total", "Announcements that the inference identity did not sign")

_FORGET_NS = 5_000_000_000
_CHECK_S = 0.1


class KeyGiver:
    """One site's frame keys and the workers that get them."""

    def __init__(self, bus: Bus, site: str, identity: Ed25519PublicKey) -> None:
        self._bus, self._site, self._identity = bus, site, identity
        self._keys = SealingKeys(time.monotonic_ns())
        self._workers: dict[str, tuple[WorkerV1, int]] = {}

    async def listen(self) -> None:
        """Subscribe to this site's announcements."""
        await self._bus.serve(WORKERS, self._announced, site=self._site)

    def current(self) -> FrameKey:
        """Return the key to seal with now."""
        return self._keys.current(time.monotonic_ns())

    async def run(self) -> None:
        """Make a key every second, hand it out, destroy what is older than two; for ever."""
        try:
            while True:
                now = time.monotonic_ns()
                fresh = self._keys.rotate(now)
                if fresh is not None:
                    self._forget(now)
                    for worker, _ in list(self._workers.values()):
                        await self._give(fresh, worker)
                await asyncio.sleep(_CHECK_S)
        finally:
            self._keys.destroy()

    def _forget(self, now: int) -> None:
        for name in [n for n, (_, seen) in self._workers.items() if now - seen > _FORGET_NS]:
            del self._workers[name]
            log.warning("a worker is silent; it gets no more keys", worker=name, site=self._site)
        WORKERS_KNOWN.labels(self._site).set(len(self._workers))

    async def _announced(self, message: WorkerV1, _request: Request) -> None:
        if not is_genuine(self._identity, message):
            FORGED.inc()
            log.error("an announcement was not signed by the inference identity", worker=message.worker)
            return
        known = self._workers.get(message.worker)
        if known is not None and message.at < known[0].at:
            return  # an old announcement, replayed
        self._workers[message.worker] = (message, time.monotonic_ns())
        if known is None or known[0].public_key != message.public_key:
            log.info("a worker joined", worker=message.worker, site=self._site)
            for key in self._keys.alive():
                await self._give(key, message)

    async def _give(self, key: FrameKey, worker: WorkerV1) -> None:
        if key.cipher is not None:
            await self._bus.publish(KEYS, wrap_key(bytes(key.secret), key.id, worker))
