"""The operator's pause: now, sticky over restarts, audited (design §4)."""

import asyncio
import time

from proto.control import PauseReplyV1, PauseRequestV1, PauseStateV1
from proto.subjects import PAUSE, PAUSE_STATE
from services.app import App
from services.bus import Bus, Request
from services.ingest.fleet import Fleet
from services.log import get_logger

log = get_logger()


class Pausing:
    """Takes pause and resume orders for the sites of this ingest."""

    def __init__(self, app: App, bus: Bus, fleet: Fleet) -> None:
        self._app, self._bus, self._fleet = app, bus, fleet
        self._recording = asyncio.Lock()

    async def restore(self, site: str) -> None:
        """Take the orders in force over a restart."""
        last = await self._bus.last(PAUSE_STATE, site=site)
        if last is None or not isinstance(last.message, PauseStateV1):
            return
        state = last.message
        self._fleet.obey(self._fleet.orders.restored(state))
        if state.paused or state.paused_cameras:
            what = {"operator": state.operator, "whole_site": state.paused, "cameras": state.paused_cameras}
            log.warning("paused by an operator", site=site, **what)

    async def listen(self, site: str) -> None:
        """Subscribe to this site's orders."""
        await self._bus.serve(PAUSE, self._order, site=site)

    async def _order(self, message: PauseRequestV1, request: Request) -> None:
        names = [camera.settings.id for camera in self._fleet.cameras(message.site)]
        if message.camera is not None and message.camera not in names and message.action == "pause":
            await request.reply(self._refused(message, names))
            return
        # First the act, then the record: a slow disk may not keep a picture alive, nor keep the next order waiting.
        self._fleet.obey(self._fleet.orders.after(message))
        state = self._fleet.orders.record(message, time.time_ns())
        meant = len(names) if message.camera is None else names.count(message.camera)
        reply = PauseReplyV1(site=state.site, paused=state.paused, cameras=meant, paused_cameras=state.paused_cameras)
        self._app.spawn(f"record {message.action}", self._record(state, reply, request), may_end=True)

    def _refused(self, message: PauseRequestV1, names: list[str]) -> PauseReplyV1:
        orders = self._fleet.orders
        return PauseReplyV1(
            site=message.site,
            paused=message.site in orders.sites,
            cameras=0,
            error=f"site {message.site!r} has no camera {message.camera!r}; it has {', '.join(names) or 'none'}",
            paused_cameras=orders.at(message.site),
        )

    async def _record(self, state: PauseStateV1, reply: PauseReplyV1, request: Request) -> None:
        async with self._recording:  # a lock is fair: the audit has the orders in their order
            await self._bus.store(PAUSE_STATE, state)
        log.warning(
            f"{state.action} by an operator",
            site=state.site,
            camera=state.camera,
            operator=state.operator,
            why=state.why,
        )
        await request.reply(reply)
