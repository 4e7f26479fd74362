"""How a worker gets frame keys: it announces itself, ingest answers with keys encrypted to it."""

import asyncio
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from prometheus_client import Counter, Gauge

from proto.frames import FrameKeyV1
from proto.subjects import KEYS, WORKERS
from services.bus import Bus, Request
from services.log import get_logger
from services.sealing.keys import OpeningKeys
from services.sealing.seal import SealError
from services.sealing.wrap import announce, unwrap_key

log = get_logger()

HELD = Gauge("moretta_inference_frame_keys", "Frame keys held at the moment")
REFUSED = Counter("moretta_inference_frame_keys_refused_total", "Frame keys that did not open")
ANNOUNCE_S = 1.0


class KeyReceiver:
    """Announces the worker once a second and keeps the keys it is sent."""

    def __init__(self, bus: Bus, worker: str, sites: list[str], identity: Ed25519PrivateKey) -> None:
        self._bus, self._worker, self._sites, self._identity = bus, worker, sites, identity
        self._private = X25519PrivateKey.generate()
        self.keys = OpeningKeys()

    async def listen(self) -> None:
        """Subscribe to this worker's keys."""
        await self._bus.serve(KEYS, self._receive, worker=self._worker)

    async def run(self) -> None:
        """Announce the worker to every site, for ever; expire keys on the way."""
        public = self._private.public_key().public_bytes_raw()
        while True:
            for site in self._sites:
                await self._bus.publish(WORKERS, announce(self._identity, site, self._worker, public, time.time_ns()))
            self.keys.expire(time.monotonic_ns())
            HELD.set(len(self.keys))
            await asyncio.sleep(ANNOUNCE_S)

    async def _receive(self, message: FrameKeyV1, _request: Request) -> None:
        try:
            secret = unwrap_key(self._private, message)
        except SealError as error:
            REFUSED.inc()
            log.warning("a frame key was refused", site=message.site, reason=str(error))
            return
        self.keys.add(message.key, secret, time.monotonic_ns())
