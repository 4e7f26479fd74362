"""Who may publish to a camera and see its state: whoever has its token (RFC 6750)."""

import hmac
import math
import time
from collections.abc import Callable

from aiohttp import web

from services.ingest.camera import Camera
from services.ingest.core.guesses import SECOND_NS, Guesses
from services.ingest.web.problem import problem

Cameras = Callable[[str, str], Camera | None]
"""Finds a camera in service by site and id."""
_NOBODY = "a token that nobody has: comparing takes as long as with a camera's own"


class Access:
    """Finds the camera of a request, if its token is right."""

    def __init__(self, cameras: Cameras, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._cameras, self._clock = cameras, clock
        self._guesses = Guesses()

    def camera(self, request: web.Request) -> Camera | web.Response:
        """Return the `whip://` camera that the path names, else the answer that refuses: 401, 404 or 429."""
        address, now = request.remote or "", self._clock()
        if (wait_ns := self._guesses.wait_ns(address, now)) > 0:
            seconds = str(math.ceil(wait_ns / SECOND_NS))
            return problem(429, f"too many wrong tokens; try again in {seconds} s", {"Retry-After": seconds})
        camera = self._cameras(request.match_info["site"], request.match_info["camera"])
        given = _bearer(request)
        if given is None:
            return _unauthorised("", "give the camera's token: Authorization: Bearer TOKEN")
        expected = camera.settings.token if camera is not None and camera.seat is not None else None
        if hmac.compare_digest(given, (expected.reveal() if expected else _NOBODY).encode()) and expected is not None:
            assert camera is not None
            return camera
        self._guesses.wrong(address, now)
        if expected is None:
            return problem(404, "no camera of this name takes a peer here; its url must be whip://")
        return _unauthorised(' error="invalid_token"', "the token is wrong")


def _bearer(request: web.Request) -> bytes | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip().encode(errors="surrogateescape") if scheme.lower() == "bearer" and token.strip() else None


def _unauthorised(error: str, detail: str) -> web.Response:
    challenge = 'Bearer realm="moretta"' + (f",{error}" if error else "")
    return problem(401, detail, {"WWW-Authenticate": challenge})
