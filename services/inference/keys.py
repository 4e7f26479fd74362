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
from services.frames.sealing.keys import CHECK_NS, FOLLOW_NS, KEEP_NS, LEAD_NS, MAX_OF_SITE, OpeningKeys
from services.frames.sealing.seal import SealError
from services.frames.sealing.wrap import announce, is_genuine, unwrap_key
from services.kernel.clock import boottime_ns
from services.kernel.log import get_logger
from services.kernel.rate_limited_log import RateLimitedLog

log = get_logger()

HELD = Gauge("moretta_inference_frame_keys", "Frame keys held at the moment")
REFUSED = Counter("moretta_inference_frame_keys_refused_total", "Frame keys that ingest did not sign, or did not open")
DISPLACED = Counter(
    "moretta_inference_frame_keys_displaced_total", "Keys displaced before their end: a site has too many", ["site"]
)
ANNOUNCE_S = 0.5
_PRIVATE_NS = KEEP_NS - LEAD_NS - CHECK_NS
"""How long the answers to an announcement can be opened. A key that is LEAD_NS old at the announcement expires together
with the announcement's private key."""


@dataclass(frozen=True, slots=True)
class _Announced:
    """An announcement's private key, and when it was made (ns, `boottime_ns`)."""

    private: X25519PrivateKey
    made: int


class KeyReceiver:
    """Announces the worker twice a second and keeps the keys that are sent to it.

    Each announcement has an X25519 key of its own, which is forgotten after _PRIVATE_NS. So traffic that was recorded
    on the bus cannot be opened later, not even with this process's memory.
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
        self._utc_offset = time.time_ns() - boottime_ns()
        self.keys = OpeningKeys(self._displaced)
        self._rate_limited = RateLimitedLog()

    def trust(self, identity: Ed25519PrivateKey, trusted: tuple[Ed25519PublicKey, ...]) -> None:
        """Change the identities: announce with `identity`, and accept keys that `trusted` ones signed."""
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
                    self._expire(boottime_ns())
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
        private, now = X25519PrivateKey.generate(), boottime_ns()
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
            # Without a signature the site is anybody's word: sites that are not ours count as one.
            if self._rate_limited.may(boottime_ns(), message.site if message.site in self.sites else "", str(error)):
                log.warning("a frame key was refused", site=message.site, reason=str(error))
            return
        now = boottime_ns()
        # Ingest sent it `waited` after our announcement came. The rest of the time is the way there and back.
        doubt = max(0, now - made - message.waited)
        self.keys.add(message.site, message.key, secret, now, age=message.age, doubt=doubt)

    def _displaced(self, site: str) -> None:
        DISPLACED.labels(site).inc()
        if self._rate_limited.may(boottime_ns(), site, "displaced"):
            log.warning("frame keys over limit", site=site, most=MAX_OF_SITE)

    def _unwrap(self, message: FrameKeyV1) -> tuple[bytearray, int]:
        """Return the key, and when the announcement that it answers was made."""
        if not is_genuine(self._trusted, message):
            raise SealError("the ingest identity did not sign it")
        if message.site not in self.sites:
            raise SealError("this worker has no such site")
        self._expire(boottime_ns())
        refused = "nothing was announced lately"
        for announced in reversed(self._private):
            try:
                return unwrap_key(announced.private, message), announced.made
            except SealError as error:
                refused = str(error)  # the text only: a kept error keeps its stack, and so the private key
        raise SealError(refused)

    def _utc(self, now: int) -> int:
        """Return the time of an announcement: later than that of the last one, unless the clock was set far back."""
        step = time.time_ns() - now - self._utc_offset
        if step > 0 or step < -FOLLOW_NS:
            self._utc_offset += step
        return now + self._utc_offset
