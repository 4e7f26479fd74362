"""One camera's HTTP: each request over a checked connection of its own, within limits of time and size.

A redirect is not followed: a camera that was named by its address has no reason to send us to another one.
"""

import http.client
import re
import socket
import ssl
import time
import urllib.request
from http.client import HTTPMessage, HTTPResponse
from typing import Any, Literal, NoReturn
from urllib.error import HTTPError, URLError

from operate.cameras.core.addresses import CameraAddress, Login
from operate.cameras.core.xml import MAX_BYTES
from services.ingest.sources.http_connection import HttpError, checked_connection, director

ANSWER_S = 5.0
ALL_S = 30.0
"""The most seconds that one answer, and all of a camera's answers, may take."""
Why = Literal["unreachable", "unlike", "login"]
_TYPE = "application/soap+xml; charset=utf-8"
_READ = 64 * 1024


class ExchangeError(Exception):
    """A request without a usable answer; the text says why, and quotes nothing of it."""

    def __init__(self, why: Why, text: str) -> None:
        self.why: Why = why
        super().__init__(text)


class _NoRedirects(urllib.request.BaseHandler):
    handler_order = 0

    def http_error_302(self, *_: object) -> NoReturn:
        raise HttpError("bad-source", "it redirects to another address, which is not followed")

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


class _Digest(urllib.request.HTTPDigestAuthHandler):
    """Answers the first challenge of HTTP Digest with MD5 (RFC 7616), wherever it stands among those that are offered.

    urllib reads the first challenge alone.
    """

    def http_error_401(self, req: Any, fp: Any, code: int, msg: str, headers: HTTPMessage) -> Any:
        usable = [one for one in headers.get_all("WWW-Authenticate", []) if _is_usable(one)]
        if not usable:
            return None
        chosen = HTTPMessage()
        for one in usable[:1]:
            chosen["WWW-Authenticate"] = one
        return super().http_error_401(req, fp, code, msg, chosen)


def _is_usable(challenge: str) -> bool:
    scheme, _, fields = challenge.strip().partition(" ")
    found = re.search(r"algorithm\s*=\s*\"?([^\s\",]+)", fields, re.IGNORECASE)
    return scheme.lower() == "digest" and (found is None or found[1].upper() == "MD5")


class Exchange:
    """Sends requests to one camera, and to no other host."""

    def __init__(
        self, camera: CameraAddress, login: Login | None, context: ssl.SSLContext, *, link_local: bool
    ) -> None:
        """`context` is for https."""
        self._camera, self._link_local = camera, link_local
        self.secure, self.context = camera.secure, context
        self._end = time.monotonic() + ALL_S
        self._until = self._end
        self.peers: set[str] = set()
        """The addresses at which the camera answered."""
        self._director = director(self)
        self._director.add_handler(_NoRedirects())
        if login is not None:
            self._director.add_handler(self._digest(login))

    def _digest(self, login: Login) -> urllib.request.HTTPDigestAuthHandler:
        """Return what answers a challenge of HTTP Digest; Basic would show the password to a listener."""
        known = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        known.add_password(None, self._url("/"), login.user, login.password)
        return _Digest(known)

    def _url(self, path: str) -> str:
        return f"http{'s' if self.secure else ''}://{self._camera.label}{path}"

    @property
    def left_s(self) -> float:
        """The time left for this answer, in s; TimeoutError if it is over."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def connect(self, host: str, port: int) -> socket.socket:
        """Return a connection to the camera; HttpError if its address is not allowed."""
        connection = checked_connection(host, port, self, link_local=self._link_local)
        self.peers.add(str(connection.getpeername()[0]))
        return connection

    def post(self, path: str, data: bytes) -> bytes:
        """Return the body of the camera's answer, that of an error too; ExchangeError if there is none."""
        self._until = min(time.monotonic() + ANSWER_S, self._end)
        headers = {"Content-Type": _TYPE, "User-Agent": "Moretta"}
        request = urllib.request.Request(self._url(path), data, headers, method="POST")  # noqa: S310 - HTTP alone
        try:
            return self._answered(request)
        except ExchangeError:
            raise
        except (OSError, http.client.HTTPException, ValueError, IndexError, OverflowError) as error:
            raise _failed(error) from None

    def _answered(self, request: urllib.request.Request) -> bytes:
        try:
            answer: Any = self._director.open(request)
        except HTTPError as error:
            answer = error
        with answer:
            if isinstance(answer, HTTPError) and answer.code in {401, 403}:
                raise ExchangeError("login", f"it answered {answer.code}")
            if isinstance(answer, HTTPError) and answer.code not in {400, 500}:
                raise ExchangeError("unlike", f"it answered HTTP status {answer.code}")
            return _limited(answer)


def _limited(answer: HTTPResponse) -> bytes:
    taken = b""
    while part := answer.read1(_READ):
        taken += part
        if len(taken) > MAX_BYTES:
            raise ExchangeError("unlike", f"its answer is larger than {MAX_BYTES >> 20} MiB")
    return taken


def _failed(error: Exception) -> ExchangeError:
    reason: Any = error.reason if isinstance(error, URLError) else error
    found = ExchangeError("unlike", "it does not speak HTTP")
    if isinstance(reason, HttpError):
        found = ExchangeError("unlike", reason.text)
    elif isinstance(reason, TimeoutError):
        found = ExchangeError("unreachable", f"no answer within {ANSWER_S:g} s")
    elif isinstance(reason, ssl.SSLError):
        found = ExchangeError("unlike", f"no TLS connection: {_tls(reason)}")
    elif isinstance(reason, socket.gaierror):
        found = ExchangeError("unreachable", "no such host is known here")
    elif isinstance(reason, OSError):
        found = ExchangeError("unreachable", (reason.strerror or "no connection").lower())
    elif isinstance(error, ValueError):  # urllib on a challenge that it does not know
        found = ExchangeError("login", "it asks for a login in a way that is not understood")
    return found


def _tls(error: ssl.SSLError) -> str:
    return getattr(error, "verify_message", "") or "the other side speaks no TLS, or none that is safe"
