"""What the world hears of a camera: every change of state, and its figures every few seconds."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from proto.public import CameraV1, Lifetime
from proto.sightings import CameraEventV1
from proto.subjects import CAMERA_EVENTS, CAMERAS
from services.bus import Bus
from services.ingest.camera import Camera, CameraStatus
from services.ingest.metrics import CameraMetrics
from services.ingest.playback import CameraStats
from services.ingest.sender import Sender
from services.kernel.log import get_logger

log = get_logger()

SETTLE_S = 2.5
"""Inference may publish the last sightings for up to 2 s after its reply; `ended` promises that none will follow."""

_STEP_S = 0.05
REPEAT_S = 300.0
"""A camera without pictures says so again: the stream forgets in an hour why nothing is seen, and a restarted aggregate
reads nothing else."""


@dataclass(slots=True)
class _Seen:
    """What the last report counted, so that this one can give rates."""

    at: float
    answered: int = 0
    sampled: int = 0
    shed: int = 0

    def rates(self, stats: CameraStats, answered: int) -> tuple[float, float]:
        """Return what was analysed a second, and which share was shed, since the last time."""
        seconds = max(time.monotonic() - self.at, 1e-3)
        sampled, shed = stats.sampled - self.sampled, stats.shed - self.shed
        analysed = (answered - self.answered) / seconds
        self.at, self.answered, self.sampled, self.shed = time.monotonic(), answered, stats.sampled, stats.shed
        return analysed, min(1.0, shed / sampled) if sampled else 0.0


class Reporter:
    """Publishes one camera's states, in order, and its figures."""

    def __init__(self, bus: Bus, every_s: float, *, quiet_s: float = 0.0) -> None:
        self._bus, self._every_s, self._quiet_s = bus, every_s, quiet_s
        self._changes: asyncio.Queue[CameraStatus] = asyncio.Queue()
        self._camera: Camera | None = None
        self._sender: Sender | None = None
        self._metrics: CameraMetrics | None = None
        self._began = self._told = time.monotonic()
        self._seen, self._measured = _Seen(self._began), _Seen(self._began)
        self.latest: CameraV1 | None = None
        """The last message that was made."""

    def attach(self, camera: Camera, sender: Sender) -> None:
        """Set whose figures are reported."""
        self._camera, self._sender = camera, sender
        self._metrics = CameraMetrics(camera.site, camera.settings.id)

    def changed(self, status: CameraStatus) -> None:
        """Take a change of state; the camera calls this on the loop.

        Log and metrics have it at once: NATS may be away, and what is to be told waits for it.
        """
        assert self._metrics is not None
        _log(status)
        self._metrics.changed(status.state, status.reason)
        self._meter(status)
        self._changes.put_nowait(status)

    async def measure(self) -> None:
        """Keep the metrics for ever, whatever becomes of NATS."""
        while True:
            await asyncio.sleep(self._every_s)
            status = self._camera.status if self._camera else None
            if status is not None:
                self._meter(status)

    def _meter(self, status: CameraStatus) -> None:
        assert self._camera is not None
        assert self._sender is not None
        assert self._metrics is not None
        stats = self._camera.stats()
        analysed, _ = self._measured.rates(stats, self._sender.answered)
        age_s = time.monotonic() - (self._began if stats.pictured_ns is None else stats.pictured_ns / 1e9)
        self._metrics.figures(stats, is_live=status.state == "live", analysed_fps=analysed, age_s=age_s)

    async def run(self, sent: Callable[[], Awaitable[None]]) -> None:
        """Publish for ever. `sent` returns when the sender has had its last answer."""
        await self._keep_quiet()
        while True:
            status = await self._next(self._every_s)
            if status is None:
                await self._figures()
                await self._repeat()
                continue
            if status.state == "ended":
                await sent()
                await asyncio.sleep(SETTLE_S)
            await self._change(status)

    @property
    def takes_effect(self) -> bool:
        """Whether a picture was analysed, or none is to come: only then is a predecessor not needed any more.

        Having pictures isn't enough: for half a second no worker may have the keys of a process that has just started.
        """
        status = self._camera.status if self._camera else None
        if status is None or status.state != "live":
            return status is not None and status.is_settled
        return self._sender is not None and self._sender.answered > 0

    async def _keep_quiet(self) -> None:
        """While another replica goes on with this camera, say nothing before there is something to take over with.

        Our first word fences the other one's pictures off (ADR 12), so until then it is theirs that count.
        """
        last: CameraStatus | None = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._quiet_s):
                while self._quiet_s and not self.takes_effect:
                    last = await self._next(_STEP_S) or last
        if last is not None:
            await self._change(last)

    async def _next(self, limit_s: float) -> CameraStatus | None:
        try:
            async with asyncio.timeout(limit_s):
                return await self._changes.get()
        except TimeoutError:
            return None

    def retire(self) -> None:
        """Forget the camera's state: it is out of service, and a gauge that stays would say otherwise."""
        if self._metrics is not None:
            self._metrics.retire()

    async def _change(self, status: CameraStatus) -> None:
        await self._event(status)
        message = self._message(status)
        await self._bus.store(CAMERAS, message)
        self._counted(message)

    async def _event(self, status: CameraStatus) -> None:
        event = CameraEventV1(
            site=status.site,
            camera=status.camera,
            lease=status.lease,
            state=status.state,
            reason=status.reason,
            at=status.at,
        )
        await self._bus.store(CAMERA_EVENTS, event)
        self._told = time.monotonic()

    async def _repeat(self) -> None:
        status = self._camera.status if self._camera else None
        is_silent = status is not None and status.state not in {"live", "ended"}
        if status is not None and is_silent and time.monotonic() - self._told >= REPEAT_S:
            await self._event(status)

    async def _figures(self) -> None:
        status = self._camera.status if self._camera else None
        if status is None:
            return
        message = self._message(status)
        if self._bus.connected:
            await self._bus.publish(CAMERAS, message)
            self._counted(message)

    def _counted(self, message: CameraV1) -> None:
        assert self._sender is not None
        if (lived := message.lifetime) is not None:
            self._sender.lifetimes.told(lived.pictures or 0, lived.late or 0)

    def _message(self, status: CameraStatus) -> CameraV1:
        """What is told of the camera now."""
        assert self._camera is not None
        assert self._sender is not None
        stats, report = self._camera.stats(), self._sender.lifetimes.report()
        analysed, shed_share = self._seen.rates(stats, self._sender.answered)
        reason = "no-worker" if status.state == "live" and self._sender.without_worker else status.reason
        self.latest = CameraV1(
            site=status.site,
            camera=status.camera,
            state=status.state,
            reason=reason,
            since=status.at,
            at=time.time_ns(),
            decoder=stats.decoder,
            width=stats.width,
            height=stats.height,
            fps=round(stats.fps, 2) if stats.fps else None,
            analysed_fps=round(analysed, 2),
            shed_share=shed_share,
            lifetime=Lifetime(
                report.p50_ms,
                report.p99_ms,
                report.max_ms,
                report.frames,
                report.unconfirmed,
                report.pictures,
                report.late,
            ),
        )
        return self.latest


def _log(status: CameraStatus) -> None:
    level = log.error if status.state == "failed-config" else log.info
    level(f"camera {status.state}", site=status.site, camera=status.camera, reason=status.reason, why=status.message)
