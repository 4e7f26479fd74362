"""The HTTPS server of ingest: the camera page, the state of a camera, the WHIP endpoint."""

import datetime as dt
import ipaddress
from collections.abc import Awaitable, Callable

from aiohttp import web

from services.ingest.orders.aim_orders import Aimer
from services.ingest.settings import WebSettings
from services.ingest.web import certificate, rtc
from services.ingest.web.access import Access, Cameras, problem
from services.ingest.web.aim import Aim
from services.ingest.web.pages import CameraStatePage, Pages, PhoneCode
from services.ingest.web.self_signed import names_of
from services.ingest.web.whip import MAX_BYTES, Whip
from services.kernel.app import App
from services.kernel.faults import StartError
from services.kernel.listener import Listener, runner_of
from services.kernel.log import get_logger
from services.kernel.tls import Tls

log = get_logger()

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "media-src 'self' blob: mediastream:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Permissions-Policy": "camera=(self)",
    "Cache-Control": "no-store",
    "Server": "moretta",
}
_CORS = {
    "Access-Control-Allow-Methods": "POST, DELETE, PATCH, GET, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
    "Access-Control-Expose-Headers": "Location, ETag, Link",
    "Access-Control-Max-Age": "600",
}


class WebServer:
    """The web server, which serves until stopped; `url` is the page's address."""

    def __init__(self, app: App, settings: WebSettings, cameras: Cameras, aimer: Aimer | None = None) -> None:
        self._settings = settings
        access = Access(cameras)
        self._whip = Whip(app, access, cameras, settings.ice_addresses)
        server = web.Application(client_max_size=MAX_BYTES, middlewares=[_problems])
        server.on_response_prepare.append(self._add_headers)
        aim = Aim(access, aimer, settings.operator_token) if aimer else None
        routes = [*self._whip.routes(), *CameraStatePage(access, cameras).routes(), *(aim.routes() if aim else [])]
        server.add_routes([*routes, *PhoneCode(lambda: self.url).routes(), *Pages().routes()])
        self._runner = runner_of(server)
        self._listener: Listener | None = None
        self._tls: Tls | None = None
        self.url = ""

    async def start(self) -> None:
        """Start serving; StartError if the port is taken or the certificate can't be used."""
        rtc.install()
        settings = self._settings
        self._tls = certificate.served(settings, dt.datetime.now(dt.UTC))
        await self._runner.setup()
        self._listener = Listener(self._runner.server, self._tls)
        try:
            port = await self._listener.open(settings.host, settings.port)
        except OSError as error:
            await self._runner.cleanup()
            where = f"{settings.host}:{settings.port}"
            raise StartError(
                f"ingest.web.port: cannot listen on {where}: {error.strerror}; take a free port, or 0"
            ) from None
        self.url = f"https://{self._host()}:{port}/"
        self._log_address()
        self._tls.renewed = self._log_address

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate in use; empty before the start."""
        return self._tls.fingerprint if self._tls else ""

    def reload(self) -> None:
        """Read the certificate's files again. If they can't be used, raise StartError and keep the old certificate."""
        assert self._tls is not None
        self._tls.renew()

    async def stop(self) -> None:
        """Disconnect every peer and stop serving."""
        if self._listener is not None:
            await self._listener.close()
        await self._whip.stop()
        await self._runner.cleanup()

    def _log_address(self) -> None:
        log.info("camera page", url=self.url, fingerprint=self.fingerprint)

    def _host(self) -> str:
        """Return the name that people type: the first configured, the listen address, or this machine's first one."""
        names = names_of(self._settings.names)
        is_anywhere = self._settings.host in {"0.0.0.0", "::"}  # noqa: S104 - compared, not bound
        name = names[0] if self._settings.names or is_anywhere else self._settings.host
        return f"[{name}]" if _is_ipv6(name) else name

    async def _add_headers(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        response.headers.update(_HEADERS)
        response.headers["Vary"] = "Origin"
        origin = request.headers.get("Origin")
        if origin is not None and origin in self._settings.origins:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers.update(_CORS)


@web.middleware
async def _problems(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn every error into a response that says what is wrong; an internal error shows no details."""
    try:
        return await handler(request)
    except web.HTTPRequestEntityTooLarge:
        return problem(413, f"the body is larger than {MAX_BYTES} bytes")
    except web.RequestPayloadError:
        return problem(400, "the body can't be read to its end")
    except web.HTTPException as error:
        return problem(error.status, "there is nothing here" if error.status == 404 else error.reason)
    except Exception:
        log.exception("a request failed", method=request.method)
        return problem(500, "an error of our own; the log has it")


def _is_ipv6(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).version == 6
    except ValueError:
        return False
