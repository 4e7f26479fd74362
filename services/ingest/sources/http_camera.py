"""Reads http:// and https:// cameras over ingest's own connections, for FFmpeg to demux.

FFmpeg's own HTTP client would follow a redirect or a playlist to any address. This module checks every address when it
connects, after the name was resolved. It speaks only HTTP, and https stays https.
"""

import ctypes
import http.client
import io
import socket
import ssl
import time
import urllib.request
from collections.abc import Mapping
from functools import cached_property
from http.client import HTTPResponse
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit, urlunsplit

from proto.types import CameraReason
from services.ingest.sources.http_connection import HttpError, checked_connection, director, signing
from services.kernel.tls import bare_context
from services.sites.settings import CameraSettings

_FORMATS = {
    "multipart/x-mixed-replace": "mpjpeg",
    "application/vnd.apple.mpegurl": "hls",
    "application/x-mpegurl": "hls",
    "audio/mpegurl": "hls",
    "audio/x-mpegurl": "hls",
}
"""FFmpeg's format names by content type, where the server's header is more reliable than the first bytes."""
MAX_BYTES = 64 * 1024 * 1024
"""The most bytes that may arrive before a packet is complete."""
_STATUS: dict[int, tuple[CameraReason, str]] = {
    401: ("unauthorised", "user name or password refused"),
    403: ("unauthorised", "access forbidden"),
    404: ("not-found", "the server knows no such stream"),
}


class Body:
    """A response body that PyAV reads like a file: a read returns the bytes that are there, and none at the end."""

    def __init__(self, web: "HttpCamera", response: HTTPResponse, url: str) -> None:
        self._web, self._response, self.name = web, response, url
        self._given = b""

    @property
    def format(self) -> str | None:
        """FFmpeg's name of the format in the server's header; None to let FFmpeg look at the bytes."""
        return _FORMATS.get(self._response.headers.get_content_type())

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes; HttpError("timeout") if they took too long. A broken connection counts as the end.

        The bytes are valid until the next read or close, which overwrites them.
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
        """Overwrite the bytes last read: FFmpeg has its own copy, and small blocks would keep them after being freed.

        Neither Python (up to 512 bytes) nor glibc (up to 1032, of which each thread keeps some) overwrites such blocks.
        """
        if len(self._given) > 1:  # Python shares its empty bytes object, and its 256 of one byte
            ctypes.memset(ctypes.c_char_p(self._given), 0, len(self._given))
        self._given = b""


class HttpCamera:
    """One camera's connections, for one thread. FFmpeg calls it to open the addresses in a playlist."""

    def __init__(self, settings: CameraSettings, options: dict[str, str]) -> None:
        """`options` are FFmpeg's: by what the camera's certificate is proved."""
        self._settings, self._options = settings, options
        self._until = time.monotonic() + settings.open_timeout_s
        self._read = 0
        self._open: list[Body] = []
        parts = urlsplit(settings.login_url)
        self._url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        self.secure = parts.scheme.lower() == "https"
        self._director = director(self)
        for handler in signing(self._url, unquote(parts.username or ""), unquote(parts.password or "")):
            self._director.add_handler(handler)

    @cached_property
    def context(self) -> ssl.SSLContext:
        """The TLS context, made when first asked for: it takes 0.8 MB and 10 ms."""
        return context_of(self._options)

    def open(self) -> Body:
        """Return the camera's stream; HttpError says why there is none."""
        return self._get(self._url)

    def __call__(self, url: str, _flags: int, _options: Mapping[str, str]) -> "Body | io.BytesIO":
        """Return the body at a playlist's address: empty if it can't be fetched, HttpError if it is not allowed."""
        try:
            return self._get(url)
        except HttpError as error:
            if error.reason == "bad-source":
                raise
            return io.BytesIO()

    def rest(self) -> None:
        """Restart the time limit and the byte count for the next packet."""
        self._until, self._read = time.monotonic() + self._settings.read_timeout_s, 0

    def counted(self, data: bytes) -> bytes:
        """Return the data; HttpError if a packet does not end within MAX_BYTES, since FFmpeg would keep all of it."""
        self._read += len(data)
        if self._read > MAX_BYTES:
            raise HttpError("undecodable", f"{MAX_BYTES >> 20} MiB came without a picture")
        return data

    @property
    def left_s(self) -> float:
        """The time left for opening or for the next packet, in s; TimeoutError if it is over.

        So a source that sends one byte now and then does not count as a stream.
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
        """Return a connection to a checked address; HttpError("bad-source") if the address is not allowed."""
        return checked_connection(host, port, self, link_local=self._settings.allow_link_local)

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
    """Return a TLS context for FFmpeg's options. A camera's own certificate is accepted as its own authority."""
    context = bare_context(ssl.PROTOCOL_TLS_CLIENT)
    if options.get("ca_file"):
        context.load_verify_locations(options["ca_file"])
    else:
        context.load_default_certs()
    if options.get("tls_verify") == "0":
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
