"""A small HTTP server where SMS gateways report on deliveries. It rejects forged reports and records genuine ones."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, cast
from urllib.parse import parse_qsl

from aiohttp import web
from msgspec import structs
from prometheus_client import Counter

from proto.public import DeliveryReason, DeliveryV1
from proto.subjects import DELIVERIES
from services.bus import Bus
from services.kernel.faults import StartError
from services.kernel.listener import BODY_S, Listener, runner_of
from services.kernel.log import get_logger
from services.notify.channels.sms.delivery_reports import STEPS, EarlierReports, Report, is_news, named_by, reported
from services.notify.channels.sms.settings import ReportsSettings, SmsSettings
from services.notify.notification import record_id

log = get_logger()

Made = Literal["forged", "not-final", "known", "not-recorded", "delivered", "failed"]
REPORTS = Counter("moretta_notify_sms_reports_total", "Delivery reports of SMS, by what was made of them", ["made"])
_MAX_BYTES = 16_384
_MAX_FIELDS = 100


class ReportServer:
    """Serves the URLs of reports and calls `store` with each report that is genuine, final and new.

    If `store` raises an error, the answer is 503, so that a gateway that repeats reports does so.
    """

    def __init__(self, settings: ReportsSettings, store: Callable[[Report], Awaitable[None]]) -> None:
        self._settings, self._store = settings, store
        self._seen = EarlierReports()
        self._runner: web.AppRunner | None = None
        self._listener: Listener | None = None

    async def start(self) -> None:
        """Serve; OSError if the port is taken."""
        app = web.Application(client_max_size=_MAX_BYTES)
        app.router.add_route("*", "/{path:.*}", self._report)
        self._runner = runner_of(app)
        await self._runner.setup()
        listener = Listener(self._runner.server)
        await listener.open(self._settings.host, self._settings.port)
        self._listener = listener

    async def stop(self) -> None:
        """Stop serving."""
        if self._listener is not None:
            await self._listener.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _report(self, request: web.Request) -> web.Response:
        # A proxy may put any path before it. The last steps name the report.
        path = "/".join(request.match_info["path"].split("/")[-STEPS:])
        named = named_by(path, self._settings.token.reveal())
        if named is None:
            return _answer("forged", 404)
        state = self._settings.meanings().get(await _status(request, self._settings.status))
        if state is None:
            return _answer("not-final", 200)
        report = Report(*named[:3], state, named[3])
        if not self._seen.is_news(report):
            return _answer("known", 200)
        self._seen.remember(report)  # before `store`: a duplicate that arrives meanwhile counts as known
        try:
            await self._store(report)
        except Exception as error:
            log.warning("delivery report not recorded", error=type(error).__name__)
            self._seen.forget(report)
            return _answer("not-recorded", 503)
        return _answer(state, 200)


def _answer(made: Made, status: int) -> web.Response:
    REPORTS.labels(made).inc()
    return web.Response(status=status)


async def _status(request: web.Request, name: str) -> str:
    """Return the field `name` of the query, the form or the JSON object; empty if there is none."""
    fields: Mapping[str, object] = request.query
    if name not in fields and request.can_read_body:
        try:
            async with asyncio.timeout(BODY_S):
                body = await request.text()
            fields = json.loads(body) if request.content_type == "application/json" else _form(body)
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
        except (ValueError, LookupError, RecursionError):  # UnicodeDecodeError is one, LookupError an unknown charset
            return ""
    value = fields.get(name) if isinstance(fields, Mapping) else None
    return str(value) if isinstance(value, (str, int)) else ""


def _form(body: str) -> dict[str, str]:
    """Return a form's fields. aiohttp's parser would write files of a multipart body to disk, and unpack parts."""
    return dict(parse_qsl(body, keep_blank_values=True, max_num_fields=_MAX_FIELDS))


_SENT = 4 * 86_400 * 10**9
"""Reports on older SMS are ignored: telephone networks keep an SMS for three days."""
_YET_S = 2.0
"""How long a report waits for the record of its SMS."""


class DeliveryReports:
    """Serves reports at the address in the settings, if any. Any replica may record any site's report: it is a fact."""

    def __init__(
        self,
        bus: Bus,
        clock: Callable[[], int] = time.time_ns,
        *,
        wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._bus, self._clock, self._wait = bus, clock, wait
        self._one_at_a_time = asyncio.Lock()
        self._server: ReportServer | None = None
        self._settings: ReportsSettings | None = None

    async def use(self, sms: SmsSettings | None) -> None:
        """Serve with these settings. StartError if the port is taken; the earlier settings then stay in use."""
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
        server = ReportServer(wanted, self.store)
        try:
            await server.start()
        except OSError as error:
            await server.stop()
            where = f"notify.sms.reports: cannot listen on {wanted.host}:{wanted.port}"
            raise StartError(f"{where}: {error.strerror or error}") from None
        self._server, self._settings = server, wanted

    async def stop(self) -> None:
        """Stop serving."""
        server, self._server, self._settings = self._server, None, None
        if server is not None:
            await server.stop()

    async def store(self, report: Report) -> None:
        """Record a report; LookupError if no SMS that it could be about is recorded as sent, or not yet."""
        now = self._clock()
        found = await self._about(report, now)
        if not found:  # a gateway may report before its acceptance is recorded, and Kannel reports once
            await self._wait(_YET_S)
            found = await self._about(report, now)
        if not found:
            raise LookupError(report.notification)
        for last in found:
            if is_news(report, last):
                reason: DeliveryReason = "accepted" if report.state == "delivered" else "lost"
                record = structs.replace(last, outcome=report.state, reason=reason, at=now)
                await self._bus.store(DELIVERIES, record, message_id=record_id(record))
        log.info("delivery report", site=report.site, notification=report.notification, outcome=report.state)

    async def _about(self, report: Report, now: int) -> list[DeliveryV1]:
        async with self._one_at_a_time:
            reading = self._bus.read(DELIVERIES, since=now - _SENT, site=report.site)
            return reported(report, [cast("DeliveryV1", stored.message) async for stored in reading])
