"""Aims a camera on an operator's order: records the order, then reports twice a second until the time is over."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Literal

from proto.aiming import (
    AimEnd,
    AimRecordV1,
    AimReplyV1,
    AimReportV1,
    AimRequestV1,
    PictureSize,
)
from proto.frames import FrameQualityV1, FrameV1
from proto.subjects import AIM, AIM_RECORD, AIM_REPORTS
from proto.types import Profile
from services.bus import Bus, Request
from services.ingest.camera.fleet import Fleet, RunningCamera, SiteCamera
from services.ingest.core.aiming import Aiming, Looked
from services.ingest.core.picture import hidden_share
from services.ingest.orders.in_hand import InHand
from services.kernel.app import App
from services.kernel.log import get_logger
from services.leases import Leases

log = get_logger()

EVERY_S = 0.5
_RECORD_S = 4.0
"""How long recording may take. An operator waits at most ten seconds; the order must not be carried out after that."""
_STALE_NS = 10_000_000_000
_OTHERS_FIRST_S = 1.0
"""During a handover two replicas serve a camera. A refusal waits so long, so that the other's success arrives first."""
_WAITING = 4
"""The most reports that wait for a slow reader; beyond that the oldest is dropped."""


class AimRefused(ValueError):
    """A camera can't be aimed; the text says why and what there is.

    The reason `elsewhere` is temporary: the camera is not served here at the moment, or the order was not recorded. The
    operator may try again.
    """

    def __init__(self, reason: Literal["unknown", "elsewhere", "not-live"], text: str) -> None:
        self.reason = reason
        super().__init__(text)


@dataclass(eq=False)
class _Run:
    """One order being carried out."""

    place: SiteCamera
    post: RunningCamera
    aiming: Aiming
    reports: asyncio.Queue[AimReportV1] = field(default_factory=lambda: asyncio.Queue(_WAITING))
    ended: AimEnd | None = None

    def take(self, frame: FrameV1, quality: FrameQualityV1) -> None:
        analysed = PictureSize(frame.width, frame.height)
        stats = self.post.camera.stats()
        picture = PictureSize(stats.width, stats.height) if stats.width and stats.height else analysed
        self.aiming.add(time.monotonic_ns(), Looked(quality, analysed, picture))

    def put(self, report: AimReportV1) -> None:
        if self.reports.full():
            self.reports.get_nowait()
        self.reports.put_nowait(report)


class Reports(AsyncIterator[AimReportV1]):
    """The reports of one order. It is no generator: closing a generator that never started would not end the order."""

    def __init__(self, run: _Run) -> None:
        self._run, self._is_over = run, False

    async def __anext__(self) -> AimReportV1:
        """Return the next report; there is none after the report with `ended`, or after closing."""
        if self._is_over:
            raise StopAsyncIteration
        report = await self._run.reports.get()
        self._is_over = report.ended is not None
        return report

    async def aclose(self) -> None:
        """End the order, if it has not ended yet."""
        self._is_over = True
        self._run.ended = self._run.ended or "time"


class Aimer:
    """Aims this ingest's cameras: for operators on the bus, and by `start` for ingest's own page.

    A camera carries out one order at a time; a new order ends the one before.
    """

    def __init__(self, app: App, bus: Bus, fleet: Fleet, leases: Leases) -> None:
        self._app, self._bus, self._fleet, self._leases = app, bus, fleet, leases
        self._in_hand = InHand(app)
        self._runs: dict[SiteCamera, _Run] = {}
        self._recording: set[SiteCamera] = set()
        """Cameras whose order is being recorded: one order at a time, or they would pile up while the disk is away."""

    async def listen(self, site: str) -> None:
        """Subscribe to this site's orders."""
        await self._bus.serve(AIM, self._order, site=site)

    async def start(self, order: AimRequestV1) -> Reports:
        """Record an order, carry it out, and return its reports; the last one has `ended`.

        The order is recorded when this returns. A caller that doesn't read all reports must close them (`aclosing`),
        which ends the order. AimRefused if it can't be carried out.
        """
        return Reports(await self._begin(order))

    def _is_ours(self, place: SiteCamera) -> bool:
        """Whether this replica answers an order.

        The replica that serves the camera answers. If there is no such camera, every replica answers.
        """
        return self._fleet.post(place) is not None or place not in self._fleet.wanted

    def _is_settled(self, place: SiteCamera) -> bool:
        """Whether no other replica can know better: this one has the lease, and the camera is live, paused or ended."""
        post = self._fleet.post(place)
        status = post.camera.status if post is not None else None
        return place in self._leases.held and status is not None and status.is_settled

    def _post(self, order: AimRequestV1) -> RunningCamera:
        place = (order.site, order.camera)
        post = self._fleet.post(place)
        if place not in self._fleet.wanted:
            names = ", ".join(camera for site, camera in self._fleet.wanted if site == order.site)
            raise AimRefused("unknown", f"site {order.site!r} has no camera {order.camera!r}; it has {names or 'none'}")
        if post is None:
            raise AimRefused("elsewhere", f"{order.camera} is not served here at the moment")
        status = post.camera.status
        if status is None or status.state != "live":
            state = (
                "connecting"
                if status is None
                else f"{status.state} ({status.reason})"
                if status.reason
                else status.state
            )
            raise AimRefused("not-live", f"{order.camera} is {state}; only a camera that is live can be aimed")
        return post

    async def _order(self, order: AimRequestV1, request: Request) -> None:
        if order.at is not None and time.time_ns() - order.at > _STALE_NS:
            log.warning("aim order came too late", site=order.site, operator=order.operator)
            return
        if not self._is_ours((order.site, order.camera)):
            return
        if not self._in_hand.has_room():
            return
        # A task of its own: a slow disk must not delay the next order.
        self._in_hand.spawn(f"aim {order.site}/{order.camera}", self._answer(order, request))

    async def _answer(self, order: AimRequestV1, request: Request) -> None:
        try:
            run = await self._begin(order)
            reply = AimReplyV1(site=order.site, camera=order.camera, since=run.aiming.since)
        except AimRefused as error:
            if not self._is_settled((order.site, order.camera)):
                await asyncio.sleep(_OTHERS_FIRST_S)
            reply = AimReplyV1(site=order.site, camera=order.camera, error=str(error))
        except Exception:  # a failed order must not stop the cameras
            log.exception("aim order failed", site=order.site, camera=order.camera)
            why = "the order could not be carried out; ingest's log says why"
            reply = AimReplyV1(site=order.site, camera=order.camera, error=why)
        with contextlib.suppress(Exception):  # the operator may be gone; the reports still go to their subject
            await request.reply(reply)

    async def _record(self, order: AimRequestV1) -> None:
        """Record an order before anything is reported, so that the audit has it; AimRefused if that takes too long."""
        place = order.site, order.camera
        if place in self._recording:
            raise AimRefused("elsewhere", f"another order for {order.camera} is being recorded; try again")
        self._recording.add(place)
        try:
            async with asyncio.timeout(_RECORD_S):
                await self._bus.store(AIM_RECORD, _record_of(order))
        except TimeoutError:
            why = f"the order could not be recorded within {_RECORD_S:g} s, so nothing is told; try again"
            raise AimRefused("elsewhere", why) from None
        finally:
            self._recording.discard(place)
        log.warning(
            "aimed by an operator", site=order.site, camera=order.camera, operator=order.operator, why=order.why
        )

    async def _begin(self, order: AimRequestV1) -> _Run:
        self._post(order)
        await self._record(order)
        post, since = self._post(order), time.time_ns()  # checked again: recording may have taken long
        run = _Run((order.site, order.camera), post, _aiming(order, post, self._fleet.profiles[order.site], since))
        before = self._runs.get(run.place)
        if before is not None:
            before.ended = "replaced"
        self._runs[run.place] = run
        post.sender.on_quality = run.take
        self._app.spawn(f"report aiming {order.site}/{order.camera}", self._report(run), may_end=True)
        return run

    async def _report(self, run: _Run) -> None:
        try:
            ended: AimEnd | None = None
            while ended is None:
                await asyncio.sleep(EVERY_S)
                report = run.aiming.report(time.monotonic_ns(), self._why_over(run))
                ended = report.ended
                run.put(report)
                await self._publish(report)
        finally:
            if self._runs.get(run.place) is run:
                del self._runs[run.place]
                run.post.sender.on_quality = None

    def _why_over(self, run: _Run) -> AimEnd | None:
        if run.ended is not None:
            return run.ended
        if self._fleet.post(run.place) is not run.post:
            return "out-of-service"
        status = run.post.camera.status
        return "paused" if status is not None and status.state == "paused" else None

    async def _publish(self, report: AimReportV1) -> None:
        if not self._bus.connected:  # the client would send it late
            return
        try:
            await self._bus.publish(AIM_REPORTS, report)
        except Exception as error:
            log.warning("aim report not sent", error=str(error) or type(error).__name__)


def _record_of(order: AimRequestV1) -> AimRecordV1:
    return AimRecordV1(
        site=order.site,
        camera=order.camera,
        operator=order.operator,
        at=time.time_ns(),
        seconds=order.seconds,
        why=order.why,
    )


def _aiming(order: AimRequestV1, post: RunningCamera, profile: Profile, since: int) -> Aiming:
    privacy = post.settings.privacy
    hidden = hidden_share(tuple(tuple(area) for area in privacy.areas)) if privacy else 0.0
    return Aiming(
        order.site,
        order.camera,
        profile=profile,
        start=time.monotonic_ns(),
        since=since,
        seconds=order.seconds,
        hidden=hidden,
        period_ns=round(1e9 / post.settings.fps),
    )
