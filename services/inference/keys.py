"""How a worker gets frame keys: it announces itself, ingest answers with keys encrypted to it."""

import asyncio
import time
from collections import deque

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from prometheus_client import Counter, Gauge

from proto.frames import FrameKeyV1
from proto.subjects import KEYS, WORKERS
from services.bus import Bus, Request
from services.log import get_logger
from services.sealing.keys import CHECK_NS, OpeningKeys
from services.sealing.seal import SealError
from services.sealing.wrap import announce, unwrap_key

log = get_logger()

HELD = Gauge("moretta_inference_frame_keys", "Frame keys held at the moment")
REFUSED = Counter("moretta_inference_frame_keys_refused_total", "Frame keys that did not open")
ANNOUNCE_S = 1.0
_PRIVATE_KEYS = 3


class KeyReceiver:
    """Announces the worker once a second and keeps the keys it is sent.

    Each announcement has an X25519 key of its own, and only the last three are kept: what was recorded on the bus
    cannot be opened later, not even with this process's memory.
    """

    def __init__(self, bus: Bus, worker: str, sites: list[str], identity: Ed25519PrivateKey) -> None:
        self._bus, self._worker, self._identity = bus, worker, identity
        self.sites = sites
        self._private: deque[X25519PrivateKey] = deque(maxlen=_PRIVATE_KEYS)
        # A clock that is set back must not make our own announcements look like old ones.
        self._utc_offset = time.time_ns() - time.monotonic_ns()
        self.keys = OpeningKeys()

    async def listen(self) -> None:
        """Subscribe to this worker's keys."""
        await self._bus.serve(KEYS, self._receive, worker=self._worker)

    async def run(self) -> None:
        """Announce the worker to every site, for ever; expire keys on the way."""
        try:
            while True:
                await self._announce()
                for _ in range(round(ANNOUNCE_S * 2e9 / CHECK_NS)):
                    await asyncio.sleep(CHECK_NS / 2e9)
                    self.keys.expire(time.monotonic_ns())
                    HELD.set(len(self.keys))
        finally:
            self.keys.destroy()

    async def _announce(self) -> None:
        if not self._bus.connected:
            return  # announcements would only pile up in the client
        self._private.append(X25519PrivateKey.generate())
        public = self._private[-1].public_key().public_bytes_raw()
        at = time.monotonic_ns() + self._utc_offset
        try:
            for site in list(self.sites):
                await self._bus.publish(WORKERS, announce(self._identity, site, self._worker, public, at))
        except Exception as error:
            log.warning("could not announce this worker", error=str(error) or type(error).__name__)

    async def _receive(self, message: FrameKeyV1, _request: Request) -> None:
        try:
            secret = self._unwrap(message)
        except SealError as error:
            REFUSED.inc()
            log.warning("a frame key was refused", site=message.site, reason=str(error))
            return
        self.keys.add(message.key, secret, time.monotonic_ns())

    def _unwrap(self, message: FrameKeyV1) -> bytearray:
        refused = SealError("nothing was announced yet")
        for private in reversed(self._private):
            try:
                return unwrap_key(private, message)
            except SealError as error:
                refused = error
        raise refused
