"""Checks tokens (RFC 6750): a camera's to publish to it and see its state, an operator's to aim.

Refusals, and all other errors of this server, are `application/problem+json` (RFC 9457).
"""

import hmac
import math
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Protocol

import msgspec
from aiohttp import web

from proto.public import CameraV1
from services.ingest.camera.camera import Camera
from services.ingest.core.rate_limiter import MAX_OFFERS, SECOND_NS, RateLimiter
from services.kernel.settings import Secret
from services.sites.settings import CameraSettings


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return an error response; one sentence says what is wrong or would be right. It quotes nothing of the request."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return web.Response(
        body=msgspec.json.encode(body), status=status, headers=headers, content_type="application/problem+json"
    )


def not_allowed(*methods: str) -> web.Response:
    """Return 405 with the allowed methods."""
    allowed = ", ".join(methods)
    return problem(405, f"allowed here: {allowed}", {"Allow": allowed})


def elsewhere() -> web.Response:
    """Return the response for a camera that another replica serves."""
    why = "another replica serves this camera, or is letting it go; try again in a moment"
    return problem(503, why, {"Retry-After": "1"})


class Cameras(Protocol):
    """Cameras by site and id: a camera's settings, the camera in service here, and its last figures."""

    def settings(self, site: str, name: str) -> CameraSettings | None: ...
    def camera(self, site: str, name: str) -> Camera | None: ...
    def figures(self, site: str, name: str) -> CameraV1 | None: ...
    async def claim(self, site: str, name: str) -> Camera | None:
        """Return the camera, taken from another replica; None if a peer is there, or it can't be served here yet."""


_NOBODY = "a token that nobody has: comparing takes as long as with a camera's own"


class Access:
    """Checks whether a request has the token of the camera that its path names, or an operator's."""

    def __init__(self, cameras: Cameras, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._cameras, self._clock = cameras, clock
        self._attempts, self._offers = RateLimiter(), RateLimiter(MAX_OFFERS)

    def operator(self, request: web.Request, expected: Secret | None) -> web.Response | None:
        """Return the refusal (401, 403 or 429), or None if the request has the operator's token."""
        if expected is None:
            return problem(403, "nobody may aim here; the settings have no ingest.web.operator_token")
        given = _bearer(request)
        if given is None:
            return _unauthorised("", "give the operator's token: Authorization: Bearer TOKEN")
        if hmac.compare_digest(given, expected.reveal().encode()):
            return None
        return self._guessed(request, _unauthorised(' error="invalid_token"', "the token is wrong"))

    def _guessed(self, request: web.Request, refusal: web.Response) -> web.Response:
        """Count a wrong token and refuse it; 429 after too many.

        A right token never waits: otherwise one guesser behind a shared address would lock out all others there.
        Guessing stays hopeless: tokens have 16 characters or more.
        """
        address, now_ns = request.remote or "", self._clock()
        if (wait_ns := self._attempts.wait_ns(address, now_ns)) <= 0:
            self._attempts.note(address, now_ns)
            return refusal
        return _wait("too many wrong tokens", wait_ns)

    def haste(self, request: web.Request) -> web.Response | None:
        """Return 429 if a camera gets too many offers, even with the right token: each is real work.

        From any address: who has a network of them, as with IPv6, has one limit.
        """
        now_ns = self._clock()
        if (wait_ns := self._offers.wait_ns(request.path, now_ns)) > 0:
            return _wait("too many offers", wait_ns)
        self._offers.note(request.path, now_ns)
        return None

    def refusal(self, request: web.Request) -> web.Response | None:
        """Return the refusal (401, 404 or 429), or None if the request has the token of a `whip://` camera."""
        camera = self._cameras.settings(request.match_info["site"], request.match_info["camera"])
        given = _bearer(request)
        if given is None:
            return _unauthorised("", "give the camera's token: Authorization: Bearer TOKEN")
        expected = camera.token if camera is not None and camera.is_peer else None
        if hmac.compare_digest(given, (expected.reveal() if expected else _NOBODY).encode()) and expected is not None:
            return None
        unknown = problem(404, "no camera of this name takes a peer here; its url must be whip://")
        wrong = _unauthorised(' error="invalid_token"', "the token is wrong")
        return self._guessed(request, unknown if expected is None else wrong)


def _wait(why: str, wait_ns: int) -> web.Response:
    seconds = str(math.ceil(wait_ns / SECOND_NS))
    return problem(429, f"{why}; try again in {seconds} s", {"Retry-After": seconds})


def _bearer(request: web.Request) -> bytes | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip().encode(errors="surrogateescape") if scheme.lower() == "bearer" and token.strip() else None


def _unauthorised(error: str, detail: str) -> web.Response:
    challenge = 'Bearer realm="moretta"' + (f",{error}" if error else "")
    return problem(401, detail, {"WWW-Authenticate": challenge})
