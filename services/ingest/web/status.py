"""`GET /api/SITE/CAMERA`: a camera's state and figures for whoever has its token. No verdict, no count of people."""

from typing import Any

import msgspec
from aiohttp import web

from proto.public import CameraV1
from services.ingest.camera import Camera
from services.ingest.web.access import Access, Cameras
from services.ingest.web.problem import elsewhere, not_allowed

_LIFETIME = ("p50_ms", "p99_ms", "frames", "unconfirmed")
"""What the page says of the pixels' lifetime."""


class Status:
    """The endpoint."""

    def __init__(self, access: Access, cameras: Cameras) -> None:
        self._access, self._cameras = access, cameras

    def routes(self) -> list[web.AbstractRouteDef]:
        """Return what to serve."""
        return [web.route("*", "/api/{site}/{camera}", self._status)]

    async def _status(self, request: web.Request) -> web.Response:
        if request.method == "OPTIONS":
            return web.Response(headers={"Allow": "GET, OPTIONS"})
        if request.method != "GET":
            return not_allowed("GET", "OPTIONS")
        if (refusal := self._access.refusal(request)) is not None:
            return refusal
        place = request.match_info["site"], request.match_info["camera"]
        camera = self._cameras.camera(*place)
        if camera is None:
            return elsewhere()
        body = _figures(camera, self._cameras.figures(*place))
        return web.Response(body=msgspec.json.encode(body), content_type="application/json")


def _figures(camera: Camera, seen: CameraV1 | None) -> dict[str, Any]:
    """The state of now, with the figures that were published last."""
    status, stats = camera.status, camera.stats()
    state = status.state if status else "connecting"
    reason = seen.reason if seen and seen.state == state else status.reason if status else None
    lifetime = seen.lifetime if seen else None
    return {
        "site": camera.site,
        "camera": camera.settings.id,
        "state": state,
        "reason": reason,
        "width": stats.width,
        "height": stats.height,
        "fps": seen.fps if seen else None,
        "analysed_fps": seen.analysed_fps if seen else None,
        "lifetime": {name: getattr(lifetime, name) for name in _LIFETIME} if lifetime else None,
    }
