"""HTTP connections for `http_camera`, built from http.client and urllib; every wait obeys the camera's time limit.

urllib's own openers also open files and FTP, use the environment's proxy, and give each wait the whole limit again.
"""

import http.client
import io
import socket
import ssl
import urllib.request
import weakref
from http.client import HTTPResponse
from typing import Any, Protocol
from urllib.parse import urlsplit

from proto.types import CameraReason
from services.destinations import refusal


class HttpError(OSError):
    """An error in a response or in an address; the text does not contain the URL."""

    def __init__(self, reason: CameraReason, text: str) -> None:
        self.reason: CameraReason = reason
        self.text = text
        super().__init__(text)


class HttpLimits(Protocol):
    """The camera's side of its connections: their rules and time limit."""

    @property
    def secure(self) -> bool:
        """Whether every connection must use TLS."""

    @property
    def context(self) -> ssl.SSLContext:
        """The TLS context."""

    @property
    def left_s(self) -> float:
        """The time left for the next wait, in s; TimeoutError if it is over."""

    def connect(self, host: str, port: int) -> socket.socket:
        """Return a connection; HttpError if the address is not allowed."""


def checked_connection(host: str, port: int, web: HttpLimits, *, link_local: bool) -> socket.socket:
    """Return a connection to a checked address; HttpError("bad-source") if the address is not allowed."""
    found = [where for *_, where in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    for one in (host, *(str(where[0]) for where in found)):
        if why := refusal(one, link_local=link_local):
            raise HttpError("bad-source", why)
    error: OSError = ConnectionRefusedError("nobody is there")
    for where in found:
        try:
            return socket.create_connection((str(where[0]), port), web.left_s)
        except OSError as refused:
            error = refused
    raise error


class _Wire:
    """A connection for http.client: every wait obeys the camera's time limit, and a reader, if any, closes it."""

    def __init__(self, connection: socket.socket, web: HttpLimits) -> None:
        self._connection, self._web = connection, web
        self._is_read = False

    def sendall(self, data: bytes) -> None:
        self._connection.settimeout(self._web.left_s)
        self._connection.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        self._is_read = True
        return io.BufferedReader(_Reading(self._connection, self._web))

    def close(self) -> None:
        if not self._is_read:
            self._connection.close()


class _Reading(io.RawIOBase):
    def __init__(self, connection: socket.socket, web: HttpLimits) -> None:
        self._connection, self._web = connection, web

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(self._web.left_s)
        return self._connection.recv_into(buffer)

    def close(self) -> None:
        self._connection.close()
        super().close()


class _Plain(http.client.HTTPConnection):
    def __init__(self, host: str, *, web: HttpLimits, **_: object) -> None:
        super().__init__(host)
        self._web = web

    def connect(self) -> None:
        self.sock = _Wire(self._connected(), self._web)

    def _connected(self) -> socket.socket:
        return self._web.connect(self.host, self.port)


class _Secure(_Plain):
    default_port = http.client.HTTPS_PORT

    def _connected(self) -> socket.socket:
        connection = super()._connected()
        try:
            connection.settimeout(self._web.left_s)
            return self._web.context.wrap_socket(connection, server_hostname=self.host)
        except BaseException:
            connection.close()
            raise


class _Http(urllib.request.AbstractHTTPHandler):
    def __init__(self, web: HttpLimits) -> None:
        super().__init__()
        self._web = web

    def http_open(self, request: urllib.request.Request) -> HTTPResponse:
        if self._web.secure:
            raise HttpError("bad-source", "it leads from https to a connection without TLS")
        return self.do_open(_Plain, request, web=self._web)  # type: ignore[arg-type]  # a class with an argument more

    def https_open(self, request: urllib.request.Request) -> HTTPResponse:
        return self.do_open(_Secure, request, web=self._web)  # type: ignore[arg-type]

    http_request = https_request = urllib.request.AbstractHTTPHandler.do_request_


class _Closing(urllib.request.BaseHandler):
    """Closes a response that asks for a password or redirects: urllib would first read its body, of any size."""

    handler_order = 1

    def http_error_401(self, _request: object, fp: HTTPResponse, *_: object) -> None:
        fp.close()

    http_error_301 = http_error_302 = http_error_303 = http_error_307 = http_error_308 = http_error_401


def director(web: HttpLimits) -> urllib.request.OpenerDirector:
    """Return an opener that speaks HTTP and nothing else; `web` is to outlive it.

    An opener and its handlers hold each other, until Python's collector comes, which may be an hour. They must not hold
    the camera's side too: its TLS context takes 0.8 MB.
    """
    director = urllib.request.OpenerDirector()
    parts: list[Any] = [
        _Http(weakref.proxy(web)),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Closing(),
    ]
    for handler in [*parts, urllib.request.HTTPDefaultErrorHandler()]:
        director.add_handler(handler)
    return director


def signing(url: str, user: str, password: str) -> list[urllib.request.BaseHandler]:
    """Return handlers that give the password to this server and to no other."""
    if not user and not password:
        return []
    known = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    known.add_password(None, f"{urlsplit(url).scheme}://{urlsplit(url).netloc}/", user, password)
    return [urllib.request.HTTPDigestAuthHandler(known), urllib.request.HTTPBasicAuthHandler(known)]
