"""Publishes a camera's state changes as they happen, and every few seconds its state with the last window's figures."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from proto.public import CameraV1, Lifetime
from proto.sightings import CameraEventV1
from proto.subjects import CAMERA_EVENTS, CAMERAS
from services.bus import Bus
from services.ingest.camera.camera import Camera
from services.ingest.camera.leased import CameraStatus
from services.ingest.camera.metrics import CameraMetrics
from services.ingest.camera.playback import CameraStats
from services.ingest.camera.sender import FrameSender
from services.ingest.core.figures import Figures, Spans, Totals
from services.kernel.clock import boottime
from services.kernel.log import get_logger
from services.privacy.counters import PERIOD_S
from services.sites.profiles import PROFILES
from services.sites.settings import SiteSettings, clock_phase_s

log = get_logger()

SECOND_NS = 1_000_000_000
SETTLE_S = 2.5
"""Inference may publish the last sightings for up to 2 s after its reply; `ended` promises that none will follow."""

_STEP_S = 0.05
REPEAT_S = 300.0
"""Interval in seconds at which a camera without pictures repeats its state. The stream deletes the reason after an
hour, and a restarted aggregate reads nothing else."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a site's figures may change: once a window; in the metrics of a trial with each report."""

    window_ns: int
    phase_ns: int
    is_trial: bool

    @classmethod
    def of(cls, site: SiteSettings) -> "Pace":
        """Return the pace of a site by its windows and its legal profile."""
        phase_ns = round(clock_phase_s(site) * SECOND_NS)
        return cls(round(site.window_s * SECOND_NS), phase_ns, PROFILES[site.profile].is_trial)


@dataclass(slots=True)
class _Measured:
    """What was analysed at the last call, from which the next one computes a rate."""

    at: float
    answered: int = 0

    def rate(self, answered: int) -> float:
        """Return the pictures analysed per second since the last call."""
        now = boottime()
        found = (answered - self.answered) / max(now - self.at, 1e-3)
        self.at, self.answered = now, answered
        return found


class Reporter:
    """Publishes one camera's states, in order, and its figures."""

    def __init__(self, bus: Bus, every_s: float, pace: Pace, *, quiet_s: float = 0.0) -> None:
        self._bus, self._every_s, self._quiet_s = bus, every_s, quiet_s
        self._pace, self._windows = pace, Spans(pace.window_ns, pace.phase_ns)
        self._periods = Spans(round(PERIOD_S * SECOND_NS))
        self._changes: asyncio.Queue[CameraStatus] = asyncio.Queue()
        self._ahead_of: CameraStatus | None = None
        """A state that is published, or about to be, before the loop heard of it: up to it, nothing heard is news."""
        self._camera: Camera | None = None
        self._sender: FrameSender | None = None
        self._metrics: CameraMetrics | None = None
        self._began = self._reported_at = boottime()
        self._measured = _Measured(self._began)
        self.latest: CameraV1 | None = None
        """The last message about the camera."""

    def attach(self, camera: Camera, sender: FrameSender) -> None:
        """Set the camera and the sender whose figures are reported."""
        self._camera, self._sender = camera, sender
        self._metrics = CameraMetrics(camera.site, camera.settings.id)

    def keep(self, pace: Pace) -> None:
        """Put another pace into force: new settings of the site."""
        assert self._sender is not None
        self._sender.metrics.is_trial = pace.is_trial
        if pace != self._pace:
            self._pace, self._windows = pace, Spans(pace.window_ns, pace.phase_ns)

    def changed(self, status: CameraStatus) -> None:
        """Record a change of state; the camera calls this on the loop.

        Log and metrics get it at once. The published message waits for NATS, which may be away.
        """
        assert self._metrics is not None
        _log(status)
        self._metrics.changed(status.state, status.reason)
        self._meter(status)
        if self._ahead_of is None:
            self._changes.put_nowait(status)
        elif status is self._ahead_of:
            self._ahead_of = None

    async def measure(self) -> None:
        """Update the metrics for ever, also while NATS is away."""
        while True:
            await asyncio.sleep(self._every_s)
            status = self._camera.status if self._camera else None
            if status is not None:
                self._meter(status)

    def _meter(self, status: CameraStatus) -> None:
        assert self._camera is not None
        assert self._sender is not None
        assert self._metrics is not None
        stats, is_live = self._camera.stats(), status.state == "live"
        self._count(stats)
        age_s = boottime() - (self._began if stats.pictured_ns is None else stats.pictured_ns / 1e9)
        analysed = self._measured.rate(self._sender.answered)
        if self._pace.is_trial:
            self._metrics.rates(stats.fps if is_live else 0, analysed, age_s)
        else:
            self._metrics.steps(self._periods.latest, is_live=is_live, age_s=age_s)
        self._metrics.described(stats)

    def _count(self, stats: CameraStats) -> None:
        """Take the counts, so that what is told of a window or a period changes at its end."""
        assert self._sender is not None
        lived = self._sender.lifetimes
        now, totals = time.time_ns(), Totals(stats.sampled, stats.shed, lived.unconfirmed, lived.late)
        self._windows.step(now, totals, stats.fps)
        if self._periods.step(now, totals, stats.fps):
            self._sender.metrics.flush()

    async def run(self, sent: Callable[[], Awaitable[None]]) -> None:
        """Publish for ever. `sent` returns when the sender has received its last reply."""
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
        """Whether a picture was analysed, or none will come: only then is the old replica no longer needed.

        Having pictures isn't enough: for half a second no worker may have the keys of a process that has just started.
        """
        status = self._camera.status if self._camera else None
        if status is None or status.state != "live":
            return status is not None and status.is_settled
        return self._sender is not None and self._sender.answered > 0

    async def _keep_quiet(self) -> None:
        """Publish nothing while another replica serves this camera and this one can't take over yet.

        Our first message fences off the other replica's pictures (ADR 12). Until then its pictures count.
        """
        if not self._quiet_s:
            return
        heard: CameraStatus | None = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._quiet_s):
                while not self.takes_effect:
                    heard = await self._next(_STEP_S) or heard
        while not self._changes.empty():
            heard = self._changes.get_nowait()
        self._begin_with(self._camera.status if self._camera else None, heard)

    def _begin_with(self, status: CameraStatus | None, heard: CameraStatus | None) -> None:
        """Make the camera's present state the first that is published; the one that was heard last may be older.

        The camera's thread sets a state before the loop hears of it.
        """
        if status is not None:
            self._ahead_of = None if heard is status else status
            self._changes.put_nowait(status)

    async def _next(self, limit_s: float) -> CameraStatus | None:
        try:
            async with asyncio.timeout(limit_s):
                return await self._changes.get()
        except TimeoutError:
            return None

    def retire(self) -> None:
        """Remove the camera's state: it is out of service, and a gauge that stays would say otherwise."""
        if self._metrics is not None:
            self._metrics.retire()

    async def _change(self, status: CameraStatus) -> None:
        await self._event(status)
        message = self._message(status)
        await self._bus.store(CAMERAS, message)

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
        self._reported_at = boottime()

    async def _repeat(self) -> None:
        status = self._camera.status if self._camera else None
        is_silent = status is not None and status.state not in {"live", "ended"}
        if status is not None and is_silent and boottime() - self._reported_at >= REPEAT_S:
            await self._event(status)

    async def _figures(self) -> None:
        status = self._camera.status if self._camera else None
        if status is None:
            return
        message = self._message(status)
        if self._bus.connected:
            await self._bus.publish(CAMERAS, message)

    def _message(self, status: CameraStatus) -> CameraV1:
        """Return a message with the camera's current state, and the figures of the last window."""
        assert self._camera is not None
        assert self._sender is not None
        stats = self._camera.stats()
        self._count(stats)
        figures = self._windows.latest
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
            fps=figures.fps if figures else None,
            analysed_fps=figures.analysed_fps if figures else None,
            shed_share=figures.shed_share if figures else None,
            lifetime=_lifetime(figures) if figures else None,
        )
        return self.latest


def _lifetime(figures: Figures) -> Lifetime:
    return Lifetime(figures.start, figures.end, figures.pictures, figures.late)


def _log(status: CameraStatus) -> None:
    level = log.error if status.state == "failed-config" else log.info
    level(f"camera {status.state}", site=status.site, camera=status.camera, reason=status.reason, why=status.message)
