"""The operator's pause: now, sticky over restarts, audited (design §4)."""

import time

from proto.control import PauseReplyV1, PauseRequestV1, PauseStateV1
from proto.subjects import PAUSE, PAUSE_STATE
from services.bus import Bus, Request
from services.ingest.fleet import Fleet
from services.log import get_logger

log = get_logger()


class Pausing:
    """Takes pause and resume orders for the sites of this ingest."""

    def __init__(self, bus: Bus, fleet: Fleet) -> None:
        self._bus, self._fleet = bus, fleet

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
        # First the act, then the record: a slow disk may not keep a picture alive.
        (self._fleet.paused.add if paused else self._fleet.paused.discard)(message.site)
        for camera in cameras:
            camera.pause() if paused else camera.resume()
        state = PauseStateV1(site=message.site, paused=paused, operator=message.operator, at=time.time_ns())
        await self._bus.store(PAUSE_STATE, state)
        log.warning(f"{message.action} by an operator", site=message.site, operator=message.operator)
        await request.reply(PauseReplyV1(site=message.site, paused=paused, cameras=len(cameras)))
