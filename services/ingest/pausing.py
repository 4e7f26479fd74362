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
        """Take the order in force over a restart."""
        last = await self._bus.last(PAUSE_STATE, site=site)
        if last is not None and isinstance(last.message, PauseStateV1) and last.message.paused:
            self._fleet.paused.add(site)
            log.warning("the site is paused by an operator", site=site, operator=last.message.operator)

    async def listen(self, site: str) -> None:
        """Subscribe to this site's orders."""
        await self._bus.serve(PAUSE, self._order, site=site)

    async def _order(self, message: PauseRequestV1, request: Request) -> None:
        paused = message.action == "pause"
        cameras = self._fleet.cameras(message.site)
        # First the act, then the record: a slow disk may not keep a picture alive, nor keep the next order waiting.
        (self._fleet.paused.add if paused else self._fleet.paused.discard)(message.site)
        for camera in cameras:
            camera.pause() if paused else camera.resume()
        state = PauseStateV1(site=message.site, paused=paused, operator=message.operator, at=time.time_ns())
        reply = PauseReplyV1(site=message.site, paused=paused, cameras=len(cameras))
        self._app.spawn(f"record {message.action}", self._record(state, reply, request), may_end=True)

    async def _record(self, state: PauseStateV1, reply: PauseReplyV1, request: Request) -> None:
        async with self._recording:  # a lock is fair: the audit has the orders in their order
            await self._bus.store(PAUSE_STATE, state)
        action = "pause" if state.paused else "resume"
        log.warning(f"{action} by an operator", site=state.site, operator=state.operator)
        await request.reply(reply)
