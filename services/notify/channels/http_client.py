"""HTTP to gateways and webhooks with aiohttp: URLs and certificates checked, no redirect followed, no answer kept."""

import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import SplitResult, urlsplit

import aiohttp
from aiohttp.abc import ResolveResult
from yarl import URL

from services.destinations import refusal
from services.kernel.settings import Secret
from services.kernel.tls import Tls, Use, saw
from services.notify.channels.http_exchange import HttpAnswer, HttpRequest
from services.notify.outcome import Failure, Kind, retry_after_s
from services.sites.problems import Problem

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
READ_BYTES = 65_536
"""At most this much of an answer's body is read."""


def url_problems(path: str, url: Secret, *, allow_http: bool) -> Iterator[Problem]:
    """Yield what is wrong with a URL, without quoting it."""
    text = url.reveal()
    parts = _parts(text)
    if parts is None or not text.isascii() or any(sign.isspace() for sign in text) or "$" in parts.netloc:
        yield path, "is no URL such as https://sms.example.org/send"
    elif "@" in parts.netloc:
        yield path, "holds a user or a password before its host; they have fields of their own"
    elif why := refusal(parts.hostname or ""):
        yield path, f"leads nowhere that is called: {why}"
    elif parts.scheme == "http" and not allow_http and parts.hostname not in _LOOPBACK:
        yield (
            path,
            "is not https: all on the way would read what is sent; allow_http: true allows it on a network of yours",
        )


def _parts(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    return parts if parts.scheme in {"http", "https"} and parts.hostname and port != 0 else None


class Forbidden(OSError):
    """A destination to which Moretta never connects. The text gives the reason, without the destination's name."""


class _Resolver(aiohttp.ThreadedResolver):
    """Checks the addresses of a name when connecting to it, since settings cannot know them."""

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
    """Connections to one server, opened when the first request needs one and then reused. Close it after use."""

    def __init__(self, timeout_s: float, tls: Tls, clock: Callable[[], int] = time.time_ns) -> None:
        self._timeout, self._tls, self._clock = _timeout(timeout_s), tls, clock
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def send(self, request: HttpRequest) -> HttpAnswer | Failure:
        """Return the server's answer, or a failure whose text never quotes the request."""
        if self._closed:  # new settings came while the request was written
            return Failure("disconnected", "data")
        try:
            return await self._ask(request)
        except (aiohttp.ClientError, OSError, ValueError) as error:  # TimeoutError is an OSError
            return failure_of(error)

    async def close(self) -> None:
        """Close the connections and open no more."""
        self._closed = True
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _ask(self, request: HttpRequest) -> HttpAnswer:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=_Connector(self._tls.use),
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                # Not decompressed: a small answer could become a large one.
                auto_decompress=False,
                headers={"Accept-Encoding": "identity", "User-Agent": "Moretta"},
            )
        url = URL(request.url, encoded=True)
        _require_allowed(url.host or "")  # the resolver does not see a literal address
        async with self._session.request(
            request.method, url, data=request.body, headers=request.headers,
            allow_redirects=False, ssl=self._tls.context,
        ) as response:  # fmt: skip
            wait = retry_after_s(response.headers.get("Retry-After"), self._clock())
            return HttpAnswer(response.status, wait, *await _beginning(response.content))


class _Connector(aiohttp.TCPConnector):
    """Notes at connect when the server's certificate ends.

    Later would be too late: a response without a body has already released its connection.
    """

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
    """Allow half of the time to connect. This tells an unreachable server from one that does not answer."""
    return aiohttp.ClientTimeout(total=timeout_s, sock_connect=timeout_s / 2)


async def _beginning(content: aiohttp.StreamReader) -> tuple[bytes, Failure | None]:
    """Return the beginning of a body, and what cut it short: the status is known by then, and mostly decides alone."""
    found = bytearray()
    try:
        while len(found) < READ_BYTES and (block := await content.read(READ_BYTES - len(found))):
            found += block
    except (aiohttp.ClientError, OSError) as error:
        return bytes(found), failure_of(error)
    return bytes(found), None


def failure_of(error: Exception) -> Failure:
    """Return what went wrong on the way, in words without any URL."""
    if isinstance(error, aiohttp.ClientConnectorDNSError) and isinstance(error.os_error, Forbidden):
        error = error.os_error
    match error:
        case TimeoutError():  # before OSError: aiohttp's timeouts are OSErrors too
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
            # Cut off the host for which a certificate is not valid.
            return str(getattr(cause, "verify_message", "") or cause.reason or "").partition(",")[0]
    return ""


def _words_of(error: OSError) -> str:
    """Return the operating system's words for a network error. asyncio's own words contain the address."""
    return os.strerror(error.errno).lower() if error.errno and error.errno > 0 else "the name cannot be resolved"
