"""Reads http:// and https:// cameras over connections of our own, for FFmpeg to demux.

FFmpeg's own HTTP would follow a redirection, and a playlist, to wherever it says. Here every address is looked at when
it is connected to, after its name was resolved; nothing else than HTTP is spoken; and https stays https.
"""

import ctypes
import http.client
import io
import socket
import ssl
import time
import urllib.request
from collections.abc import Mapping
from http.client import HTTPResponse
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit, urlunsplit

from proto.types import CameraReason
from services.destinations.addresses import refusal
from services.ingest.http_connection import HttpError, director, signing
from services.kernel.tls import bare_context
from services.sites.settings import CameraSettings

_FORMATS = {
    "multipart/x-mixed-replace": "mpjpeg",
    "application/vnd.apple.mpegurl": "hls",
    "application/x-mpegurl": "hls",
    "audio/mpegurl": "hls",
    "audio/x-mpegurl": "hls",
}
"""FFmpeg's names of formats, where a server's word is better than looking at the first bytes."""
MOST_BYTES = 64 * 1024 * 1024
"""What may come before a packet is complete."""
_STATUS: dict[int, tuple[CameraReason, str]] = {
    401: ("unauthorised", "user name or password refused"),
    403: ("unauthorised", "access forbidden"),
    404: ("not-found", "the server knows no such stream"),
}


class Body:
    """An answer's body as PyAV reads files: what is there at once, nothing at the end."""

    def __init__(self, web: "HttpCamera", response: HTTPResponse, url: str) -> None:
        self._web, self._response, self.name = web, response, url
        self._given = b""

    @property
    def format(self) -> str | None:
        """FFmpeg's name of the format that the server says it is; None to look at the bytes."""
        return _FORMATS.get(self._response.headers.get_content_type())

    def read(self, size: int) -> bytes:
        """Return up to so many bytes; HttpError("timeout") if they took too long. What breaks off has ended.

        They are the reader's until it reads again, or closes: then they are overwritten.
        """
        self._overwrite()
        try:
            self._given = self._response.read1(size)
            return self._web.counted(self._given)
        except HttpError:
            raise
        except TimeoutError:
            raise HttpError("timeout", "no answer in time") from None
        except (OSError, http.client.HTTPException):
            return b""

    @property
    def closed(self) -> bool:
        """Whether it was closed, or has come to its end."""
        return self._response.isclosed()

    def close(self) -> None:
        """Close the connection."""
        self._overwrite()
        self._response.close()

    def _overwrite(self) -> None:
        """Overwrite what FFmpeg has its own copy of. In small blocks, which are freed to be used again, it would stay.

        Neither Python (up to 512 bytes) nor glibc (up to 1032, of which each thread keeps some) overwrites those.
        """
        if len(self._given) > 1:  # Python's own empty bytes, and its 256 of one byte, are everybody's
            ctypes.memset(ctypes.c_char_p(self._given), 0, len(self._given))
        self._given = b""


class HttpCamera:
    """One camera's connections. Belongs to one thread; called by FFmpeg for what a playlist names."""

    def __init__(self, settings: CameraSettings, context: ssl.SSLContext) -> None:
        """`context` is for https."""
        self._settings, self.context = settings, context
        self._until = time.monotonic() + settings.open_timeout_s
        self._read = 0
        self._open: list[Body] = []
        parts = urlsplit(settings.url)
        self._url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        self.secure = parts.scheme.lower() == "https"
        self._director = director(self)
        for handler in signing(self._url, unquote(parts.username or ""), unquote(parts.password or "")):
            self._director.add_handler(handler)

    def open(self) -> Body:
        """Return the camera's stream; HttpError says why there is none."""
        return self._get(self._url)

    def __call__(self, url: str, _flags: int, _options: Mapping[str, str]) -> "Body | io.BytesIO":
        """Return what a playlist names; nothing if it can't be had, HttpError if it must not be asked for."""
        try:
            return self._get(url)
        except HttpError as error:
            if error.reason == "bad-source":
                raise
            return io.BytesIO()

    def rest(self) -> None:
        """Begin to count the time of the next packet."""
        self._until, self._read = time.monotonic() + self._settings.read_timeout_s, 0

    def counted(self, data: bytes) -> bytes:
        """Return the data; HttpError where a packet has no end, which FFmpeg would keep all of."""
        self._read += len(data)
        if self._read > MOST_BYTES:
            raise HttpError("undecodable", f"{MOST_BYTES >> 20} MiB came without a picture")
        return data

    @property
    def left_s(self) -> float:
        """How long the opening, or the next packet, may still take, in s; TimeoutError if that is over.

        So a byte now and then is no stream.
        """
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def close(self) -> None:
        """Close every connection."""
        while self._open:
            self._open.pop().close()

    def connect(self, host: str, port: int) -> socket.socket:
        """Return a connection, to an address that was looked at; HttpError("bad-source") if it must not be."""
        found = [where for *_, where in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        for why in filter(None, (self._refusal(one) for one in (host, *(str(where[0]) for where in found)))):
            raise HttpError("bad-source", why)
        error: OSError = ConnectionRefusedError("nobody is there")
        for where in found:
            try:
                return socket.create_connection((str(where[0]), port), self.left_s)
            except OSError as refused:
                error = refused
        raise error

    def _refusal(self, host: str) -> str | None:
        return refusal(host, link_local=self._settings.allow_link_local)

    def _get(self, url: str) -> Body:
        if urlsplit(url).scheme.lower() not in {"http", "https"}:
            raise HttpError("bad-source", "it names something that is not HTTP")
        request = urllib.request.Request(url, headers={"User-Agent": "Moretta"})  # noqa: S310 - the scheme is HTTP's
        try:
            response = self._director.open(request)
        except HTTPError as error:
            error.close()
            raise HttpError(*_STATUS.get(error.code, ("other", f"the server answered {error.code}"))) from None
        except URLError as error:
            raise error.reason if isinstance(error.reason, OSError) else HttpError("other", "no HTTP") from None
        except http.client.HTTPException:
            raise HttpError("undecodable", "the server does not speak HTTP") from None
        except (ValueError, IndexError, OverflowError):  # urllib on `Digest realm=`, and on a port of 20 digits
            raise HttpError("other", "the server asks for a login, or names an address, of an unknown kind") from None
        assert isinstance(response, HTTPResponse)
        self._open = [*(one for one in self._open if not one.closed), Body(self, response, url)]
        return self._open[-1]


def context_of(options: dict[str, str]) -> ssl.SSLContext:
    """Return TLS as FFmpeg's options say: a camera's own certificate is an authority for itself."""
    context = bare_context(ssl.PROTOCOL_TLS_CLIENT)
    if options.get("ca_file"):
        context.load_verify_locations(options["ca_file"])
    else:
        context.load_default_certs()
    if options.get("tls_verify") == "0":
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
