"""Serves the read-only page: its files from memory, by HTTP or HTTPS, and a config.json that names the NATS server.

The page reads its numbers from NATS itself, as the subscriber (ADR 34); a `NatsRelay` may pass them on.
"""

import asyncio
import gzip
import hmac
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from services.aggregate.nats_relay import NatsRelay
from services.aggregate.page_config import config, known, proof
from services.aggregate.settings import PageSettings
from services.kernel.faults import StartError
from services.kernel.listener import Listener, runner_of
from services.kernel.log import get_logger
from services.kernel.tls import Tls
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
_OF_ERRORS = ("Allow", "Upgrade")
"""Headers that an answer of status 405 or 426 must have (RFC 9110, sections 15.5.6 and 15.5.22)."""
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


class PageServer:
    """The web server of the page; `url` is the page's address."""

    def __init__(self, settings: PageSettings) -> None:
        self._settings = settings
        self._files = {file.name: _packed(file) for file in sorted(FOLDER.iterdir()) if file.suffix in _TYPES}
        self._headers = {**_HEADERS, "Content-Security-Policy": policy(settings.server)}
        self._tls: Tls | None = None
        server = web.Application(client_max_size=1, middlewares=[_plain])
        server.on_response_prepare.append(self._add_headers)
        if settings.upstream is not None:
            server.add_routes([web.get(settings.server, NatsRelay(settings.upstream).serve)])
        server.add_routes([web.get("/{name:[^/]*}", self._file)])
        self._runner = runner_of(server)
        self._listener: Listener | None = None
        self._whole: _File | None = None
        self._seed = settings.seed
        self.url = ""

    def apply(self, sites: Sequence[SiteSettings], new: PageSettings | None = None) -> None:
        """Make config.json from these sites. Names are for browsers alone that have the seed, if there is one.

        Of the `new` settings of a reload the seed comes into force. If they have no page any more, it stays.
        """
        self._seed = new.seed if new else self._seed
        given = config(self._settings)
        self._whole = _json(given | known(self._settings, sites))
        self._files["config.json"] = self._whole if self._seed is None else _json(given)

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
        name = request.match_info["name"] or "index.html"
        found = self._whole if name == "config.json" and self._has_key(request) else self._files.get(name)
        if found is None:
            raise web.HTTPNotFound
        packs = "gzip" in request.headers.get("Accept-Encoding", "")
        body, headers = (found.packed, {"Content-Encoding": "gzip"}) if packs else (found.body, {})
        return web.Response(body=body, headers=headers, content_type=found.content_type, charset="utf-8")

    def _has_key(self, request: web.Request) -> bool:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return self._seed is not None and hmac.compare_digest(given.encode(errors="surrogateescape"), proof(self._seed))

    async def _add_headers(self, _request: web.BaseRequest, response: web.StreamResponse) -> None:
        response.headers.update(self._headers)


def _packed(file: Path) -> _File:
    return _of(file.read_bytes(), _TYPES[file.suffix])


def _json(value: dict[str, Any]) -> _File:
    return _of(msgspec.json.encode(value), "application/json")


def _of(body: bytes, content_type: str) -> _File:
    return _File(body, gzip.compress(body, mtime=0), content_type)


@web.middleware
async def _plain(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer an error in one line; an error of our own tells nothing of itself."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        kept = {name: error.headers[name] for name in _OF_ERRORS if name in error.headers}
        return web.Response(status=error.status, headers=kept, text=f"{error.status} {error.reason}\n")
    except asyncio.CancelledError:
        raise
    except Exception:
        log.exception("page request failed", method=request.method)
        return web.Response(status=500, text="500 an error of our own; the log has it\n")
