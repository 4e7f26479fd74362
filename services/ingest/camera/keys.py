"""Hands out frame keys only to workers whose announcement the inference identity signed."""

import asyncio
import contextlib
import time
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from prometheus_client import Counter, Gauge

from proto.frames import WorkerV1
from proto.subjects import KEYS, WORKERS
from services.bus import Bus, Request
from services.frames.sealing.keys import AHEAD_NS, CHECK_NS, KEEP_NS, RECENT_NS, FrameKey, SealingKeys
from services.frames.sealing.wrap import is_genuine, wrap_key
from services.kernel.clock import boottime_ns
from services.kernel.log import get_logger
from services.kernel.rate_limited_log import RateLimitedLog

log = get_logger()

WORKERS_KNOWN = Gauge("moretta_ingest_workers", "Inference workers that hold our frame keys", ["site"])
FORGED = Counter(
    "moretta_ingest_announcements_refused_total",
    "Announcements that the inference identity did not sign, or not lately",
)

_FORGET_NS = 5_000_000_000
_REMEMBERED = 1_024


@dataclass(frozen=True, slots=True)
class _Worker:
    """A worker's last announcement, and when it came (ns, `boottime_ns`)."""

    announcement: WorkerV1
    seen: int


class KeyGiver:
    """One site's frame keys and the workers that get them.

    Keys exist, and are handed out, only from `begin` to `end`: while a camera of the site is served here. Announcements
    are heard all the time, so that workers get the first key at once and not after their next announcement.
    """

    def __init__(self, bus: Bus, site: str, identity: Ed25519PrivateKey, trusted: tuple[Ed25519PublicKey, ...]) -> None:
        self._bus, self._site, self._identity, self._trusted = bus, site, identity, trusted
        self._keys: SealingKeys | None = None
        self._heard: dict[str, _Worker] = {}
        """The last announcements that came without need. They are checked when keys are needed: with many sites and
        workers, the checks would cost a good part of a core."""
        self._workers: dict[str, _Worker] = {}
        self._latest: dict[str, int] = {}
        self._shown = True
        self._missed = False
        """Whether a key could not be handed out while the connection was lost."""
        self._wake = asyncio.Event()
        self._rate_limited = RateLimitedLog()

    def trust(self, identity: Ed25519PrivateKey, trusted: tuple[Ed25519PublicKey, ...]) -> None:
        """Replace the identities: a worker without a signature from `trusted` gets no key from now on."""
        self._identity, self._trusted = identity, trusted
        for name in [n for n, worker in self._workers.items() if not is_genuine(trusted, worker.announcement)]:
            del self._workers[name]
            log.warning("worker no longer trusted", worker=name, site=self._site)
        self.show(self._shown)

    def show(self, shown: bool) -> None:
        """Show the metric, or remove it: the site may be gone from the settings. Without keys there is none to show."""
        self._shown = shown
        if shown and self._keys is not None:
            WORKERS_KNOWN.labels(self._site).set(len(self._workers))
        else:
            with contextlib.suppress(KeyError):
                WORKERS_KNOWN.remove(self._site)

    async def listen(self) -> None:
        """Subscribe to this site's announcements."""
        await self._bus.serve(WORKERS, self._announced, site=self._site)

    def begin(self) -> None:
        """Make a first key, and have `run` hand it out at once to the workers that were heard lately.

        Does nothing if it has begun.
        """
        if self._keys is not None:
            return
        now = boottime_ns()
        self._keys = SealingKeys(now)
        heard, self._heard = self._heard, {}
        for worker in heard.values():
            if now - worker.seen < KEEP_NS:  # an older one's private key is gone, so the worker could not open a key
                self._accept(worker)
        self._forget(now)
        self._wake.set()

    def end(self) -> None:
        """Overwrite all keys: no camera of the site is served here any more."""
        if self._keys is not None:
            self._keys.destroy()
            self._keys = None
            self.show(self._shown)

    def current(self) -> FrameKey:
        """Return the key to seal with now; only between `begin` and `end`."""
        assert self._keys is not None, "a camera is served, so keys were begun"
        return self._keys.current(boottime_ns())

    async def run(self) -> None:
        """Make a key every second, hand it out, and destroy keys older than two seconds; for ever."""
        try:
            while True:
                self._wake.clear()
                if self._keys is not None:
                    await self._turn(self._keys, boottime_ns())
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(None if self._keys is None else CHECK_NS / 2e9):
                        await self._wake.wait()
        finally:
            self.end()

    async def _turn(self, keys: SealingKeys, now: int) -> None:
        due = keys.due(now)
        if not self._bus.connected:
            self._missed = self._missed or bool(due)
            return
        if self._missed:  # keys that were due meanwhile may be too old by now
            self._missed, due = False, keys.joined(now)
        if due:
            self._forget(now)
        for key in due:
            for worker in list(self._workers.values()):
                await self._give(key, worker)

    def _forget(self, now: int) -> None:
        for name in [n for n, worker in self._workers.items() if now - worker.seen > _FORGET_NS]:
            del self._workers[name]
            log.warning("worker silent", worker=name, site=self._site)
        self.show(self._shown)

    async def _announced(self, message: WorkerV1, request: Request) -> None:
        worker = _Worker(message, request.received)
        if self._keys is None:
            self._hear(worker)
        elif self._accept(worker):
            await self._join(worker)

    def _hear(self, worker: _Worker) -> None:
        """Keep an announcement unchecked, for `begin`; with it only those of the last moments."""
        name = worker.announcement.worker
        self._heard.pop(name, None)
        self._heard[name] = worker
        while worker.seen - self._heard[oldest := next(iter(self._heard))].seen > KEEP_NS:
            del self._heard[oldest]
        if len(self._heard) > _REMEMBERED:
            del self._heard[oldest]

    def _accept(self, worker: _Worker) -> bool:
        """Take an announcement if it is genuine and recent; return whether its worker was unknown."""
        message = worker.announcement
        if message.site != self._site or not is_genuine(self._trusted, message):
            self._refuse(message, "an announcement was not signed for this site by the inference identity")
            return False
        if not self._is_recent(message):
            return False
        self._remember(message)
        is_new = message.worker not in self._workers
        self._workers[message.worker] = worker
        if is_new:
            log.info("a worker joined", worker=message.worker, site=self._site)
            self.show(self._shown)
        return is_new

    def _is_recent(self, message: WorkerV1) -> bool:
        """Whether an announcement is recent and not a repetition."""
        utc, latest = time.time_ns(), self._latest.get(message.worker, -1)
        if abs(message.at - utc) > RECENT_NS:
            why = (
                "an announcement of another time: recorded and played back, or a clock is wrong; run NTP on both hosts"
            )
            self._refuse(message, why, off_s=round((message.at - utc) / 1e9))
            return False
        if message.at > latest or latest - utc > AHEAD_NS:  # or that one is from before the clocks were set back
            return True
        self._refuse(message, "an announcement that is no later than the last: played back, or a clock was set back")
        return False

    def _refuse(self, message: WorkerV1, why: str, **details: int) -> None:
        """Count a refusal, and log it if none of this kind was lately: anybody who may announce could fill the log."""
        FORGED.inc()
        if self._rate_limited.may(boottime_ns(), why):
            log.error("worker announcement refused", reason=why, worker=message.worker, site=self._site, **details)

    def _remember(self, message: WorkerV1) -> None:
        """Keep the time of each worker's last announcement, even of workers that are gone: older ones don't count."""
        self._latest.pop(message.worker, None)
        self._latest[message.worker] = message.at
        while len(self._latest) > _REMEMBERED:
            del self._latest[next(iter(self._latest))]

    async def _join(self, worker: _Worker) -> None:
        assert self._keys is not None
        for key in self._keys.joined(boottime_ns()):
            await self._give(key, worker)

    async def _give(self, key: FrameKey, worker: _Worker) -> None:
        if key.cipher is None:
            return
        now, announcement = boottime_ns(), worker.announcement
        try:
            wrapped = wrap_key(self._identity, key, announcement, age=now - key.born, waited=now - worker.seen)
            await self._bus.publish(KEYS, wrapped)
        except Exception as error:
            # One worker's strange key, or a connection just lost, must not keep keys from the other workers.
            log.warning("frame key not handed out", worker=announcement.worker, site=self._site, error=str(error))
