"""How a worker gets frame keys: it announces itself, ingest answers with keys encrypted to it."""

import asyncio
import time
from collections import deque
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from prometheus_client import Counter, Gauge

from proto.frames import FrameKeyV1
from proto.subjects import KEYS, WORKERS
from services.bus import Bus, Request
from services.frames.sealing.keys import CHECK_NS, KEEP_NS, LEAD_NS, OpeningKeys
from services.frames.sealing.seal import SealError
from services.frames.sealing.wrap import announce, is_genuine, unwrap_key
from services.kernel.log import get_logger

log = get_logger()

HELD = Gauge("moretta_inference_frame_keys", "Frame keys held at the moment")
REFUSED = Counter("moretta_inference_frame_keys_refused_total", "Frame keys that ingest did not sign, or did not open")
ANNOUNCE_S = 0.5
_PRIVATE_NS = KEEP_NS - LEAD_NS - CHECK_NS
"""So long after an announcement what answers it can be opened: a key that is LEAD_NS old then dies with it."""

_STEP_NS = 30_000_000_000
"""A clock that was set back by more than this is followed; a smaller step would only look like a replay."""


@dataclass(frozen=True, slots=True)
class _Announced:
    """An announcement's private key, and when it was made (monotonic ns)."""

    private: X25519PrivateKey
    made: int


class KeyReceiver:
    """Announces the worker twice a second and keeps the keys it is sent.

    Each announcement has an X25519 key of its own, which is forgotten after _PRIVATE_NS: what was recorded on the bus
    cannot be opened later, not even with this process's memory.
    """

    def __init__(
        self,
        bus: Bus,
        worker: str,
        sites: list[str],
        identity: Ed25519PrivateKey,
        trusted: tuple[Ed25519PublicKey, ...],
    ) -> None:
        self._bus, self._worker, self._identity, self._trusted = bus, worker, identity, trusted
        self.sites = sites
        self._private: deque[_Announced] = deque()
        # A clock that is set back must not make our own announcements look like old ones.
        self._utc_offset = time.time_ns() - time.monotonic_ns()
        self.keys = OpeningKeys()

    def trust(self, identity: Ed25519PrivateKey, trusted: tuple[Ed25519PublicKey, ...]) -> None:
        """Take other identities: announce by this one, take keys of these."""
        self._identity, self._trusted = identity, trusted

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
                    self._expire(time.monotonic_ns())
        finally:
            self.keys.destroy()
            self._private.clear()

    def _expire(self, now: int) -> None:
        self.keys.expire(now)
        HELD.set(len(self.keys))
        while self._private and now - self._private[0].made >= _PRIVATE_NS:
            self._private.popleft()  # the library overwrites it

    async def _announce(self) -> None:
        if not self._bus.connected:
            return  # announcements would only pile up in the client
        private, now = X25519PrivateKey.generate(), time.monotonic_ns()
        self._private.append(_Announced(private, now))
        public, at = private.public_key().public_bytes_raw(), self._utc(now)
        try:
            for site in list(self.sites):
                await self._bus.publish(WORKERS, announce(self._identity, site, self._worker, public, at))
        except Exception as error:
            log.warning("could not announce this worker", error=str(error) or type(error).__name__)

    async def _receive(self, message: FrameKeyV1, _request: Request) -> None:
        try:
            secret, made = self._unwrap(message)
        except SealError as error:
            REFUSED.inc()
            log.warning("a frame key was refused", site=message.site, reason=str(error))
            return
        now = time.monotonic_ns()
        # It was sent `waited` after our announcement had come: what is missing since then is the way there and back.
        doubt = max(0, now - made - message.waited)
        self.keys.add(message.key, secret, now, age=message.age, doubt=doubt)

    def _unwrap(self, message: FrameKeyV1) -> tuple[bytearray, int]:
        """Return the key, and when the announcement that it answers was made."""
        if not is_genuine(self._trusted, message):
            raise SealError("the ingest identity did not sign it")
        self._expire(time.monotonic_ns())
        refused = "nothing was announced lately"
        for said in reversed(self._private):
            try:
                return unwrap_key(said.private, message), said.made
            except SealError as error:
                refused = str(error)  # an error that is kept keeps its stack, and with it the private key
        raise SealError(refused)

    def _utc(self, now: int) -> int:
        """Return the time of an announcement: later than that of the last one, unless the clock was set far back."""
        step = time.time_ns() - now - self._utc_offset
        if step > 0 or step < -_STEP_NS:
            self._utc_offset += step
        return now + self._utc_offset
