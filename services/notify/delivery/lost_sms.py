"""Handles gateways' reports about a site's accepted SMS. A lost SMS becomes a dead letter and an alarm."""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import cast

from proto.notifications import NotificationV1
from proto.public import DeliveryV1
from proto.subjects import DELIVERIES, NOTIFICATIONS
from proto.types import NotificationId
from services.bus import Bus, Stored, Unavailable
from services.kernel.log import get_logger
from services.notify.channels.sms.delivery_reports import Losses
from services.notify.delivery.site_ledger import SiteLedger

log = get_logger()

KEPT_S = 8 * 86_400.0
"""Dead letters are kept for a week."""
_RETRY_S = 1.0


class LostMessages:
    """Follows a site's delivery records. Any replica may record a report; the site's lease holder handles it."""

    def __init__(self, bus: Bus, site: str, ledger: SiteLedger, clock: Callable[[], int] = time.time_ns) -> None:
        self._bus, self._site, self._ledger, self._clock = bus, site, ledger, clock
        self._losses = Losses()
        self._inbox: asyncio.Queue[DeliveryV1] = asyncio.Queue()

    def restore(self, deliveries: Iterable[DeliveryV1]) -> None:
        """Load the records. `run` handles lost SMS that were not handled before."""
        self._losses, self._inbox = Losses(), asyncio.Queue()
        for record in self._losses.restore(deliveries):
            self._inbox.put_nowait(record)

    async def run(self, start: int) -> None:
        """Handle reports from this sequence of the stream on, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(start), name=f"{DELIVERIES.stream} of {self._site}")
            group.create_task(self._settle(), name=f"lost messages of {self._site}")

    async def _follow(self, start: int) -> None:
        async for stored in self._bus.follow(
            str(DELIVERIES.stream), [DELIVERIES.wildcard(site=self._site)], start=start
        ):
            if isinstance(stored, Stored):
                record = cast("DeliveryV1", stored.message)
                if record.outcome == "delivered" or self._losses.take(record):
                    self._inbox.put_nowait(record)

    async def _settle(self) -> None:
        while True:
            found = [await self._inbox.get()]
            while not self._inbox.empty():
                found.append(self._inbox.get_nowait())
            decided = await self._decided({one.notification for one in found if one.outcome != "delivered"})
            for record in found:
                await self._ledger.reported(record, decided.get(record.notification))

    async def _decided(self, names: set[NotificationId]) -> dict[NotificationId, NotificationV1]:
        """Return the decisions with these names that are recent enough to be sent again."""
        while names:
            try:
                reading = self._bus.read(NOTIFICATIONS, since=self._clock() - int(KEPT_S * 1e9), site=self._site)
                records = [cast("NotificationV1", stored.message) async for stored in reading]
                return {one.notification: one for one in records if one.notification in names}
            except Unavailable as error:
                log.warning("decisions not read", site=self._site, error=str(error))
                await asyncio.sleep(_RETRY_S)
        return {}
