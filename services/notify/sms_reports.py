"""Where SMS gateways report on deliveries: a small HTTP server that tells what it may believe, once."""

from collections.abc import Awaitable, Callable, Mapping
from typing import cast
from urllib.parse import parse_qsl

from aiohttp import web
from prometheus_client import Counter

from services.log import get_logger
from services.notify.core.sms_reports import Report, Seen, named_by
from services.notify.sms_settings import ReportsSettings

log = get_logger()

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

    async def start(self) -> None:
        """Serve; OSError if the port is taken."""
        app = web.Application(client_max_size=_MOST_BYTES)
        app.router.add_route("*", "/{path:.*}", self._report)
        # No access log: it would hold the addresses' secrets.
        self._runner = web.AppRunner(app, handle_signals=False, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._settings.host, self._settings.port).start()

    async def stop(self) -> None:
        """Stop serving."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _report(self, request: web.Request) -> web.Response:
        # Behind whatever path a proxy puts before it, the last four steps name the report.
        path = "/".join(request.match_info["path"].split("/")[-4:])
        named = named_by(path, self._settings.token.reveal())
        if named is None:
            return _answer("forged", 404)
        state = self._settings.meanings().get(await _status(request, self._settings.status))
        if state is None:
            return _answer("not-final", 200)
        report = Report(*named, state)
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


def _answer(made: str, status: int) -> web.Response:
    REPORTS.labels(made).inc()
    return web.Response(status=status)


async def _status(request: web.Request, name: str) -> str:
    """Return the field of the query, the form or the JSON object; empty if there is none."""
    fields: Mapping[str, object] = request.query
    if name not in fields and request.can_read_body:
        try:
            fields = await _body(request)
        except (ValueError, LookupError):  # no JSON, no form, or a character set that nobody knows
            return ""
    value = fields.get(name) if isinstance(fields, Mapping) else None
    return str(value) if isinstance(value, (str, int)) else ""


async def _body(request: web.Request) -> Mapping[str, object]:
    # No multipart: gateways send none, and its parser fails in many ways.
    if request.content_type == "application/json":
        return cast("Mapping[str, object]", await request.json())
    return dict(parse_qsl(await request.text(), max_num_fields=_MOST_FIELDS))
