"""Handing out frame keys: to workers whose announcement the inference identity signed, and to nobody else."""

import asyncio
import contextlib
import time
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from prometheus_client import Counter, Gauge

from proto.frames import WorkerV1
from proto.subjects import KEYS, WORKERS
from services.bus import Bus, Request
from services.frames.sealing.keys import CHECK_NS, FrameKey, SealingKeys
from services.frames.sealing.wrap import is_genuine, wrap_key
from services.kernel.log import get_logger

log = get_logger()

WORKERS_KNOWN = Gauge("moretta_ingest_workers", "Inference workers that hold our frame keys", ["site"])
FORGED = Counter(
    "moretta_ingest_announcements_refused_total",
    "Announcements that the inference identity did not sign, or not lately",
)

_FORGET_NS = 5_000_000_000
_REMEMBERED = 1_024
_RECENT_NS = 60_000_000_000
"""What two hosts' clocks may differ by, and how long a recorded announcement means anything to a new ingest."""


@dataclass(frozen=True, slots=True)
class _Worker:
    """A worker's last announcement, and when it came (monotonic ns)."""

    said: WorkerV1
    seen: int


class KeyGiver:
    """One site's frame keys and the workers that get them."""

    def __init__(self, bus: Bus, site: str, identity: Ed25519PrivateKey, trusted: tuple[Ed25519PublicKey, ...]) -> None:
        self._bus, self._site, self._identity, self._trusted = bus, site, identity, trusted
        self._keys = SealingKeys(time.monotonic_ns())
        self._workers: dict[str, _Worker] = {}
        self._latest: dict[str, int] = {}
        self._shown = True
        self._missed = False
        """Whether a key could not be handed out, since the connection was lost."""

    def trust(self, identity: Ed25519PrivateKey, trusted: tuple[Ed25519PublicKey, ...]) -> None:
        """Take other identities: a worker that none of `trusted` signed for gets no key from now on."""
        self._identity, self._trusted = identity, trusted
        for name in [n for n, worker in self._workers.items() if not is_genuine(trusted, worker.said)]:
            del self._workers[name]
            log.warning(
                "a worker's identity is not trusted any more; it gets no more keys", worker=name, site=self._site
            )
        self.show(self._shown)

    def show(self, shown: bool) -> None:
        """Have the metric, or not: the site may be gone from the settings."""
        self._shown = shown
        if shown:
            WORKERS_KNOWN.labels(self._site).set(len(self._workers))
        else:
            with contextlib.suppress(KeyError):
                WORKERS_KNOWN.remove(self._site)

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
                await self._turn(time.monotonic_ns())
                await asyncio.sleep(CHECK_NS / 2e9)
        finally:
            self._keys.destroy()

    async def _turn(self, now: int) -> None:
        due = self._keys.due(now)
        if not self._bus.connected:
            self._missed = self._missed or bool(due)
            return
        if self._missed:  # what was due meanwhile may be too old by now
            self._missed, due = False, self._keys.joined(now)
        if due:
            self._forget(now)
        for key in due:
            for worker in list(self._workers.values()):
                await self._give(key, worker)

    def _forget(self, now: int) -> None:
        for name in [n for n, worker in self._workers.items() if now - worker.seen > _FORGET_NS]:
            del self._workers[name]
            log.warning("a worker is silent; it gets no more keys", worker=name, site=self._site)
        self.show(self._shown)

    async def _announced(self, message: WorkerV1, request: Request) -> None:
        if message.site != self._site or not is_genuine(self._trusted, message):
            FORGED.inc()
            log.error("an announcement was not signed for this site by the inference identity", worker=message.worker)
            return
        if not self._is_recent(message):
            return
        self._remember(message)
        known = message.worker in self._workers
        self._workers[message.worker] = _Worker(message, request.received)
        if not known:
            await self._join(self._workers[message.worker])

    def _is_recent(self, message: WorkerV1) -> bool:
        """Whether an announcement is of our time, and no repetition."""
        utc, latest = time.time_ns(), self._latest.get(message.worker, -1)
        if abs(message.at - utc) > _RECENT_NS:
            FORGED.inc()
            why = (
                "an announcement of another time: recorded and played back, or a clock is wrong; run NTP on both hosts"
            )
            log.error(why, worker=message.worker, site=self._site, off_s=round((message.at - utc) / 1e9))
            return False
        return message.at > latest or latest - utc > _RECENT_NS  # that one was before the clocks were set back

    def _remember(self, message: WorkerV1) -> None:
        """Keep the time of each worker's last announcement, also of those that are gone: nothing older counts."""
        self._latest.pop(message.worker, None)
        self._latest[message.worker] = message.at
        while len(self._latest) > _REMEMBERED:
            del self._latest[next(iter(self._latest))]

    async def _join(self, worker: _Worker) -> None:
        log.info("a worker joined", worker=worker.said.worker, site=self._site)
        self.show(self._shown)
        for key in self._keys.joined(time.monotonic_ns()):
            await self._give(key, worker)

    async def _give(self, key: FrameKey, worker: _Worker) -> None:
        if key.cipher is None:
            return
        now, said = time.monotonic_ns(), worker.said
        try:
            wrapped = wrap_key(self._identity, key, said, age=now - key.born, waited=now - worker.seen)
            await self._bus.publish(KEYS, wrapped)
        except Exception as error:
            # One worker's strange key, or a connection just lost, may not end the handing out to the others.
            log.warning("a frame key was not handed out", worker=said.worker, site=self._site, error=str(error))
