"""Requests to gateways and webhooks with aiohttp: certificates checked, no redirect followed, no answer kept."""

import asyncio
import os
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp.abc import ResolveResult
from yarl import URL

from services.destinations.addresses import refusal
from services.kernel.tls import Tls, Use, saw
from services.notify.core.http_outcome import retry_after_s
from services.notify.core.outcome import Failure, Kind
from services.notify.core.sms_gateway import Answer, Request

READ_BYTES = 65_536
"""As much of an answer's body is looked at."""


class Forbidden(OSError):
    """A destination that nothing of ours connects to; the text says why, without its name."""


class _Resolver(aiohttp.ThreadedResolver):
    """Looks at what a name stands for when it is connected to: settings can't know."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await super().resolve(host, port, family)
        for one in found:
            _require_allowed(one["host"])
        return found


def _require_allowed(host: str) -> None:
    if why := refusal(host):
        raise Forbidden(why)


class HttpClient:
    """Connections to one server, made when the first request needs one and used again. Close it."""

    def __init__(self, timeout_s: float, tls: Tls, clock: Callable[[], int] = time.time_ns) -> None:
        self._timeout, self._tls, self._clock = _timeout(timeout_s), tls, clock
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def send(self, request: Request) -> Answer | Failure:
        """Return the server's answer, or why there is none; nothing that the failure says quotes the request."""
        if self._closed:  # new settings came while the request was written
            return Failure("disconnected", "data")
        try:
            return await self._ask(request)
        except (aiohttp.ClientError, OSError, ValueError) as error:  # TimeoutError is an OSError
            return failure_of(error)

    async def close(self) -> None:
        """Close the connections, and make no more."""
        self._closed = True
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _ask(self, request: Request) -> Answer:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=_Connector(self._tls.use),
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                # Not unpacked: a small answer could become a large one.
                auto_decompress=False,
                headers={"Accept-Encoding": "identity", "User-Agent": "Moretta"},
            )
        url = URL(request.url, encoded=True)
        _require_allowed(url.host or "")  # an address is not resolved
        async with self._session.request(
            request.method, url, data=request.body, headers=request.headers,
            allow_redirects=False, ssl=self._tls.context,
        ) as response:  # fmt: skip
            wait = retry_after_s(response.headers.get("Retry-After"), self._clock())
            return Answer(response.status, wait, await _beginning(response.content))


class _Connector(aiohttp.TCPConnector):
    """Notes when the server's certificate ends; a response without a body has let its connection go already."""

    def __init__(self, use: Use) -> None:
        super().__init__(resolver=_Resolver())
        self._use: Use = use

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> aiohttp.connector.Connection:
        connection = await super().connect(req, traces, timeout)
        if connection.transport is not None:
            saw(self._use, connection.transport.get_extra_info("ssl_object"))
        return connection


def _timeout(timeout_s: float) -> aiohttp.ClientTimeout:
    """Half of the time to connect, so that a server that is out of reach is told from one that doesn't answer."""
    return aiohttp.ClientTimeout(total=timeout_s, sock_connect=timeout_s / 2)


async def _beginning(content: aiohttp.StreamReader) -> bytes:
    try:
        return await content.readexactly(READ_BYTES)
    except asyncio.IncompleteReadError as short:
        return short.partial


def failure_of(error: Exception) -> Failure:
    """Return what went wrong on the way, in words that hold no URL."""
    if isinstance(error, aiohttp.ClientConnectorDNSError) and isinstance(error.os_error, Forbidden):
        error = error.os_error
    match error:
        case TimeoutError():  # before OSError, of which aiohttp's own are too
            return Failure("timeout", "connect" if isinstance(error, aiohttp.ConnectionTimeoutError) else "data")
        case aiohttp.ClientSSLError() | aiohttp.ClientConnectorCertificateError() | ssl.SSLError():
            return Failure("tls", "connect", detail=_tls_words(error))
        case aiohttp.InvalidURL() | Forbidden():
            return Failure("misconfigured", "connect", detail=str(error) if isinstance(error, Forbidden) else "")
        case aiohttp.ClientConnectorError():
            return Failure("connect", "connect", detail=_words_of(error.os_error))
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() | aiohttp.ClientPayloadError() | OSError():
            return Failure("disconnected", "data")
    kind: Kind = "unavailable" if isinstance(error, aiohttp.ClientResponseError) else "other"
    return Failure(kind, "data", detail=type(error).__name__)


def _tls_words(error: Exception) -> str:
    for cause in (getattr(error, "certificate_error", None), getattr(error, "os_error", None), error):
        if isinstance(cause, ssl.SSLError):
            # Without the host that a certificate isn't valid for.
            return str(getattr(cause, "verify_message", "") or cause.reason or "").partition(",")[0]
    return ""


def _words_of(error: OSError) -> str:
    """The operating system's words for a network trouble; asyncio's own hold the address."""
    return os.strerror(error.errno).lower() if error.errno and error.errno > 0 else "the name cannot be resolved"
