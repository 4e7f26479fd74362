"""What SMS gateways report of deliveries, recorded: the server in use, and the records that follow."""

import asyncio
import time
from collections.abc import Callable
from typing import cast

from msgspec import structs

from proto.public import DeliveryReason, DeliveryV1
from proto.subjects import DELIVERIES
from services.bus import Bus
from services.kernel.faults import StartError
from services.kernel.log import get_logger
from services.notify.core.ledger import record_id
from services.notify.core.sms_reports import Report, reported, says_more
from services.notify.sms_reports import ReportServer
from services.notify.sms_settings import ReportsSettings, SmsSettings

log = get_logger()

_SENT = 4 * 86_400 * 10**9
"""A report on an SMS that was sent before is worth nothing any more: telephone networks keep an SMS for three days."""
_YET_S = 2.0


class DeliveryReports:
    """Serves reports at the address that the settings name, if they do. Any replica may record any site's: a fact."""

    def __init__(self, bus: Bus, clock: Callable[[], int] = time.time_ns) -> None:
        self._bus, self._clock = bus, clock
        self._one_at_a_time = asyncio.Lock()
        self._server: ReportServer | None = None
        self._settings: ReportsSettings | None = None

    async def use(self, sms: SmsSettings | None) -> None:
        """Serve as these settings say; StartError if the port is taken: then it goes on as before."""
        wanted, before = None if sms is None else sms.reports, self._settings
        if wanted == before:
            return
        await self.stop()
        try:
            await self._serve(wanted)
        except StartError:
            await self._serve(before)
            raise

    async def _serve(self, wanted: ReportsSettings | None) -> None:
        if wanted is None:
            return
        server = ReportServer(wanted, self.tell)
        try:
            await server.start()
        except OSError as error:
            await server.stop()
            where = f"notify.sms.reports: cannot listen on {wanted.host}:{wanted.port}"
            raise StartError(f"{where}: {error.strerror or error}") from None
        self._server, self._settings = server, wanted

    async def stop(self) -> None:
        """Serve no more."""
        server, self._server, self._settings = self._server, None, None
        if server is not None:
            await server.stop()

    async def tell(self, report: Report) -> None:
        """Record a report; LookupError where no SMS is recorded as sent that it could be about, or not yet."""
        now = self._clock()
        found = await self._about(report, now)
        if not found:  # a gateway may report before its acceptance is recorded, and Kannel reports once
            await asyncio.sleep(_YET_S)
            found = await self._about(report, now)
        if not found:
            raise LookupError(report.notification)
        for last in found:
            if says_more(report, last):
                reason: DeliveryReason = "accepted" if report.state == "delivered" else "lost"
                record = structs.replace(last, outcome=report.state, reason=reason, at=now)
                await self._bus.store(DELIVERIES, record, message_id=record_id(record))
        log.info("delivery report", site=report.site, notification=report.notification, outcome=report.state)

    async def _about(self, report: Report, now: int) -> list[DeliveryV1]:
        async with self._one_at_a_time:
            reading = self._bus.read(DELIVERIES, since=now - _SENT, site=report.site)
            return reported(report, [cast("DeliveryV1", stored.message) async for stored in reading])
