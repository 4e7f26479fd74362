"""Serves the read-only page: its files from memory, by HTTP or HTTPS, and a config.json that names the NATS server.

No numbers pass through here: the page reads them from NATS itself, as the subscriber (ADR 34).
"""

import asyncio
import gzip
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from services.aggregate.settings import PageSettings
from services.kernel.faults import StartError
from services.kernel.listener import Listener, runner_of
from services.kernel.log import get_logger
from services.kernel.tls import Tls
from services.sites.columns import COLUMNS
from services.sites.gap_reasons import page_gaps
from services.sites.profiles import PROFILES
from services.sites.settings import SiteSettings

log = get_logger()

FOLDER = Path(__file__).parent / "page"
_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".txt": "text/plain",
    ".svg": "image/svg+xml",
}
_HEADERS = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
    "Vary": "Accept-Encoding",
    "Server": "moretta",
}


@dataclass(frozen=True)
class _File:
    body: bytes
    packed: bytes
    content_type: str


def policy(server: str) -> str:
    """Return the content security policy of a page that takes its numbers from `server`, and nothing from elsewhere."""
    # In some browsers "self" covers http, but not ws at the same address.
    where = f"'self' {server}" if "://" in server else "'self'"
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src {where}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _names(site: SiteSettings) -> dict[str, Any]:
    """Return what people call a site, its zones and rules, when a rule fires and what to do, its clock and language."""
    rules = {
        f"{rule.zone}/{rule.id}": {"name": rule.name or None, "action": rule.action or None, "below": rule.fire_below}
        for rule in site.rules
    }
    zones = {zone.id: zone.name for zone in site.zones}
    return {"name": site.name, "timezone": site.timezone, "language": site.language, "zones": zones, "rules": rules}


class PageServer:
    """The web server of the page; `url` is the page's address."""

    def __init__(self, settings: PageSettings) -> None:
        self._settings = settings
        self._files = {file.name: _packed(file) for file in sorted(FOLDER.iterdir()) if file.suffix in _TYPES}
        self._headers = {**_HEADERS, "Content-Security-Policy": policy(settings.server)}
        self._tls: Tls | None = None
        server = web.Application(client_max_size=1, middlewares=[_plain])
        server.on_response_prepare.append(self._add_headers)
        server.add_routes([web.get("/{name:[^/]*}", self._file)])
        self._runner = runner_of(server)
        self._listener: Listener | None = None
        self.url = ""

    def apply(self, sites: Sequence[SiteSettings]) -> None:
        """Make config.json: names of sites, zones and rules, what profiles allow, CSV's columns, words for gaps."""
        names = {one.id: _names(one) for one in sites}
        config = {
            "server": self._settings.server,
            "key": self._settings.ask_key,
            "cameras": self._settings.cameras,
            "profiles": [
                {"name": name, "rules": terms.rules, "zones": terms.zones, "trial": terms.is_trial}
                for name, terms in PROFILES.items()
            ],
            "columns": COLUMNS,
            "gaps": page_gaps(),
            "names": names,
        }
        body = msgspec.json.encode(config)
        self._files["config.json"] = _File(body, gzip.compress(body, mtime=0), "application/json")

    async def start(self) -> None:
        """Serve; StartError if the port is taken or the certificate can't be used."""
        settings = self._settings
        self._tls = settings.tls()
        await self._runner.setup()
        self._listener = Listener(self._runner.server, self._tls)
        try:
            port = await self._listener.open(settings.host, settings.port)
        except OSError as error:
            await self._runner.cleanup()
            where = f"{settings.host}:{settings.port}"
            why = f"cannot listen on {where}: {error.strerror}; take a free port, or 0"
            raise StartError(f"aggregate.page.port: {why}") from None
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        self.url = f"http{'s' if self._tls else ''}://{host}:{port}/"
        log.info("page", url=self.url)

    def reload(self) -> None:
        """Read the certificate files again; StartError if they cannot be used, and then the old certificate stays."""
        if self._tls is not None:
            self._tls.renew()

    async def stop(self) -> None:
        """Stop serving."""
        if self._listener is not None:
            await self._listener.close()
        await self._runner.cleanup()

    async def _file(self, request: web.Request) -> web.Response:
        found = self._files.get(request.match_info["name"] or "index.html")
        if found is None:
            raise web.HTTPNotFound
        packs = "gzip" in request.headers.get("Accept-Encoding", "")
        body, headers = (found.packed, {"Content-Encoding": "gzip"}) if packs else (found.body, {})
        return web.Response(body=body, headers=headers, content_type=found.content_type, charset="utf-8")

    async def _add_headers(self, _request: web.BaseRequest, response: web.StreamResponse) -> None:
        response.headers.update(self._headers)


def _packed(file: Path) -> _File:
    body = file.read_bytes()
    return _File(body, gzip.compress(body, mtime=0), _TYPES[file.suffix])


@web.middleware
async def _plain(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer an error in one line; an error of our own tells nothing of itself."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return web.Response(status=error.status, text=f"{error.status} {error.reason}\n")
    except asyncio.CancelledError:
        raise
    except Exception:
        log.exception("page request failed", method=request.method)
        return web.Response(status=500, text="500 an error of our own; the log has it\n")
