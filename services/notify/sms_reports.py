"""Where SMS gateways report on deliveries: a small HTTP server that tells what it may believe, once."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal
from urllib.parse import parse_qsl

from aiohttp import web
from prometheus_client import Counter

from services.kernel.listener import BODY_S, Listener, runner_of
from services.kernel.log import get_logger
from services.notify.core.sms_reports import STEPS, Report, Seen, named_by
from services.notify.sms_settings import ReportsSettings

log = get_logger()

Made = Literal["forged", "not-final", "known", "not-recorded", "delivered", "failed"]
REPORTS = Counter("moretta_notify_sms_reports_total", "Delivery reports of SMS, by what was made of them", ["made"])
_MOST_BYTES = 16_384
_MOST_FIELDS = 100


class ReportServer:
    """Serves the addresses of reports and calls `tell` with each that is genuine, final and news.

    What `tell` raises is answered with 503, so that a gateway that repeats reports does so.
    """

    def __init__(self, settings: ReportsSettings, tell: Callable[[Report], Awaitable[None]]) -> None:
        self._settings, self._tell = settings, tell
        self._seen = Seen()
        self._runner: web.AppRunner | None = None
        self._listener: Listener | None = None

    async def start(self) -> None:
        """Serve; OSError if the port is taken."""
        app = web.Application(client_max_size=_MOST_BYTES)
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
        # Behind whatever path a proxy puts before it, the last steps name the report.
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
        self._seen.remember(report)  # before it is told: a double that comes in the meantime is one
        try:
            await self._tell(report)
        except Exception as error:
            log.warning(
                "a delivery report could not be recorded; the gateway may repeat it", error=type(error).__name__
            )
            self._seen.forget(report)
            return _answer("not-recorded", 503)
        return _answer(state, 200)


def _answer(made: Made, status: int) -> web.Response:
    REPORTS.labels(made).inc()
    return web.Response(status=status)


async def _status(request: web.Request, name: str) -> str:
    """Return the field of the query, the form or the JSON object; empty if there is none."""
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
    """Return a form's fields. Not by aiohttp's way: it writes files of a multipart body to disk, and unpacks parts."""
    return dict(parse_qsl(body, keep_blank_values=True, max_num_fields=_MOST_FIELDS))
